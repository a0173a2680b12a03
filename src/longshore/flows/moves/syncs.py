"""When to copy once more, and when to stop the machine: what a warm migration decides between its copies.

A sync takes some seconds however little has changed, and longer the more has: what the next one would take is guessed
from the last one, by how long the machine has been writing since.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from longshore.flows.moves.copying import Copied
from longshore.model.request import Cutover, CutoverMode

FRESH = timedelta(seconds=60)  # a sync older than that is followed by another before the machine is stopped
_LOOK_EVERY = 1.0  # seconds
_FIGURES = re.compile(r"\d+")


class Turn(StrEnum):
    SYNC = "sync"
    CUT_OVER = "cut-over"


@dataclass(frozen=True, slots=True)
class Sync:
    """One copy of all disks, as they were at one moment. Sizes in bytes, moments in UTC."""

    number: int  # 0: the first copy of everything
    moment: datetime  # not after the snapshot was taken
    ended: datetime
    copies: tuple[Copied, ...]
    final: bool = False  # with the machine off

    @property
    def seconds(self) -> float:
        """From the wish for a snapshot to the last disk's last byte verified."""
        return (self.ended - self.moment).total_seconds()

    @property
    def changed(self) -> int | None:
        """None when a disk's source couldn't say."""
        told = [copy.changed for copy in self.copies if copy.changed is not None]
        return sum(told) if len(told) == len(self.copies) else None

    def as_record(self) -> dict[str, object]:
        return {
            "number": self.number,
            "at": self.moment.isoformat(),
            "seconds": round(self.seconds, 1),
            "bytes_changed": self.changed,
            "bytes_read": sum(copy.read for copy in self.copies),
            "bytes_written": sum(copy.written for copy in self.copies),
            "bytes_verified": sum(copy.verified for copy in self.copies),
            "final": self.final,
        }


def expected_seconds(syncs: list[Sync], now: datetime) -> float | None:
    """What the next sync would take if it began now; None before there were two to go by."""
    if len(syncs) < 2:
        return None
    before, last = syncs[-2:]
    least = min(sync.seconds for sync in syncs[1:])
    wrote_for = max((last.moment - before.moment).total_seconds(), 0.1)
    writes_for = (now - last.moment).total_seconds()
    return least + (last.seconds - least) * writes_for / wrote_for


def next_turn(cutover: Cutover, syncs: list[Sync], now: datetime, *, asked: bool) -> Turn | None:
    """What to do now; None: wait. `asked`: the user wants the machine stopped."""
    last = syncs[-1]
    stop = Turn.CUT_OVER if now - last.ended <= FRESH else Turn.SYNC
    if asked:
        return stop
    if cutover.mode is CutoverMode.AUTOMATIC and len(syncs) <= cutover.syncs:
        expected = expected_seconds(syncs, now)
        return Turn.CUT_OVER if expected is not None and expected <= cutover.downtime else Turn.SYNC
    if _inside_window(cutover, now):
        return stop
    if now - last.ended >= timedelta(seconds=cutover.interval):
        return Turn.SYNC
    return None


def _inside_window(cutover: Cutover, now: datetime) -> bool:
    if cutover.mode is not CutoverMode.SCHEDULED or cutover.at is None or now < utc(cutover.at):
        return False
    return cutover.until is None or now <= utc(cutover.until)


def why_waiting(cutover: Cutover, syncs: list[Sync], now: datetime) -> str:
    """A sentence for the user, while the machine runs on and syncs go on."""
    how = "longshore migration cutover stops the machine and ends the migration"
    every = f"It is synchronised every {cutover.interval:.0f} s."
    if cutover.mode is CutoverMode.AUTOMATIC:
        expected = expected_seconds(syncs, now)
        takes = f"{expected:.0f} s" if expected is not None else "longer"
        return (
            f"After {len(syncs) - 1} syncs the next would still take {takes}, and {cutover.downtime:.0f} s were asked "
            f"for. {every} Waiting: {how} all the same."
        )
    if cutover.mode is CutoverMode.SCHEDULED and cutover.at is not None:
        if cutover.until is not None and now > utc(cutover.until):
            return f"The window for the cutover closed at {cutover.until:%Y-%m-%d %H:%M} UTC. {every} Waiting: {how}."
        return f"Waiting for the cutover at {cutover.at:%Y-%m-%d %H:%M} UTC. {every} Sooner: {how}."
    return f"Waiting for the cutover. {every} When you are ready: {how}."


def utc(moment: datetime) -> datetime:
    """A moment without a zone is one in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


async def wait_for_turn(
    cutover: Cutover,
    syncs: list[Sync],
    *,
    asked: Callable[[], bool],
    raise_if_cancelled: Callable[[], None],
    say: Callable[[str], None],
) -> Turn:
    """Wait until there is something to do, however long that is. `raise_if_cancelled` may raise to end it.

    Hundreds may wait like this for days: no thread is held meanwhile.
    """
    said = ""
    while True:
        await asyncio.to_thread(raise_if_cancelled)
        now = datetime.now(UTC)
        turn = next_turn(cutover, syncs, now, asked=await asyncio.to_thread(asked))
        if turn is not None:
            return turn
        why = why_waiting(cutover, syncs, now)
        if (words := _FIGURES.sub("", why)) != said:  # how long a sync would take changes all the time
            said = words
            await asyncio.to_thread(say, why)
        await asyncio.sleep(_LOOK_EVERY)
