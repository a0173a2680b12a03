"""When to copy once more, and when to stop the machine: what a warm migration decides between its copies.

A sync takes some seconds however little has changed, and longer the more has: what the next one would take is guessed
from the last one, by how long the machine has been writing since.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from longshore.flows.moves.copying import Copied
from longshore.model.request import Cutover, CutoverMode

FRESH = timedelta(seconds=60)  # a sync older than that is followed by another before the machine is stopped
_FIGURES = re.compile(r"\d+")


class Turn(StrEnum):
    SYNC = "sync"
    CUT_OVER = "cut-over"
    WAIT = "wait"


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
        """Return how many seconds it took, from the wish for a snapshot to the last disk's last byte verified."""
        return (self.ended - self.moment).total_seconds()

    @property
    def changed(self) -> int | None:
        """Return how many bytes had changed; None when a disk's source couldn't say."""
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


@dataclass(frozen=True, slots=True)
class History:
    """The figures of all syncs of a machine that the next turn depends on. Moments in UTC, times in seconds."""

    count: int = 0
    moment: datetime | None = None  # of the last one
    ended: datetime | None = None
    seconds: float = 0.0  # that it took
    before: datetime | None = None  # the moment of the one before
    least: float | None = None  # that any but the first has taken

    def plus(self, sync: Sync) -> "History":
        least = self.least
        if self.count:
            least = sync.seconds if least is None else min(least, sync.seconds)
        return History(self.count + 1, sync.moment, sync.ended, sync.seconds, self.moment, least)


def expected_seconds(history: History, now: datetime) -> float | None:
    """Return how many seconds the next sync would take if it began now; None before there were two to go by."""
    if history.moment is None or history.before is None or history.least is None:
        return None
    wrote_for = max((history.moment - history.before).total_seconds(), 0.1)
    writes_for = (now - history.moment).total_seconds()
    return history.least + (history.seconds - history.least) * writes_for / wrote_for


def next_turn(cutover: Cutover, history: History, now: datetime, *, asked: bool, held: bool = False) -> Turn:
    """Return what to do now. `asked`: the user wants the machine stopped; `held`: it isn't before they do."""
    if history.ended is None:
        return Turn.SYNC
    if history.ended > now:  # by a clock that was wrong: how old that copy is can't be told
        return Turn.SYNC
    stop = Turn.CUT_OVER if now - history.ended <= FRESH else Turn.SYNC
    if asked:
        return stop
    if held:
        return Turn.SYNC if _is_old(cutover, history.ended, now) else Turn.WAIT
    if cutover.mode is CutoverMode.AUTOMATIC and history.count <= cutover.syncs:
        expected = expected_seconds(history, now)
        return Turn.CUT_OVER if expected is not None and expected <= cutover.downtime else Turn.SYNC
    if _inside_window(cutover, now):
        return stop
    return Turn.SYNC if _is_old(cutover, history.ended, now) else Turn.WAIT


def _is_old(cutover: Cutover, ended: datetime, now: datetime) -> bool:
    return now - ended >= timedelta(seconds=cutover.interval)


def next_moment(cutover: Cutover, history: History, now: datetime) -> datetime:
    """Return when there is something to do again by itself, while it waits."""
    due = min(history.ended or now, now) + timedelta(seconds=cutover.interval)
    opens = utc(cutover.at) if cutover.mode is CutoverMode.SCHEDULED and cutover.at is not None else None
    return min(due, opens) if opens is not None and opens > now else due


def _inside_window(cutover: Cutover, now: datetime) -> bool:
    if cutover.mode is not CutoverMode.SCHEDULED or cutover.at is None or now < utc(cutover.at):
        return False
    return cutover.until is None or now <= utc(cutover.until)


def why_waiting(cutover: Cutover, history: History, now: datetime, held: str = "") -> str:
    """Return a sentence for the user, while the machine runs on and syncs go on. `held`: why a cutover failed."""
    how = "longshore migration cutover stops the machine and ends the migration"
    every = f"It is synchronised every {cutover.interval:.0f} s."
    if held:
        return f"The cutover failed: {held} {every} Waiting: {how}, once that is mended."
    if cutover.mode is CutoverMode.AUTOMATIC:
        expected = expected_seconds(history, now)
        takes = f"{expected:.0f} s" if expected is not None else "longer"
        return (
            f"After {history.count - 1} syncs the next would still take {takes}, and {cutover.downtime:.0f} s were "
            f"asked for. {every} Waiting: {how} all the same."
        )
    if cutover.mode is CutoverMode.SCHEDULED and cutover.at is not None:
        if cutover.until is not None and now > utc(cutover.until):
            return f"The window for the cutover closed at {cutover.until:%Y-%m-%d %H:%M} UTC. {every} Waiting: {how}."
        return f"Waiting for the cutover at {cutover.at:%Y-%m-%d %H:%M} UTC. {every} Sooner: {how}."
    return f"Waiting for the cutover. {every} When you are ready: {how}."


def utc(moment: datetime) -> datetime:
    """Return the moment in UTC if it has no zone; a moment with a zone is returned as it is."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def same_reason(why: str, other: str) -> bool:
    """Tell whether the two say the same but for figures: how long a sync would take changes all the time."""
    return _FIGURES.sub("", why) == _FIGURES.sub("", other)
