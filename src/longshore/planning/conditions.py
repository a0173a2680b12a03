"""The conditions of a replica beside its stage: any number of them, each with a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from longshore.model.durations import duration
from longshore.model.point import Consistency
from longshore.model.replica import SYNCED, Stage

CODES = (
    "no-point",
    "rpo-breached",
    "rpo-warning",
    "drifted",
    "quota-short",
    "away",
    "sync-fails",
    "error",
    "cannot-land",
    "failover-failed",
    "suspect",
    "paused",
    "machine-off",
    "adopted",
    "look-failed",
    "unproven",
)
# What a sync's error, by its code, is as a condition
_OF_SYNCS = {"drifted": "drifted", "quota-exceeded": "quota-short", "unreachable": "away"}


@dataclass(frozen=True, slots=True)
class ReplicaFacts:
    """The facts that conditions are judged by. Moments in UTC."""

    stage: Stage
    paused: bool
    paused_until: datetime | None
    rpo: timedelta | None
    rpo_now: timedelta | None
    expected: timedelta | None  # what a sync would take that began now
    failures: int  # syncs in a row
    error: str | None
    error_code: str | None
    consistency: Consistency | None  # of the newest usable point
    proved: bool  # any of the usable points
    test_error: str | None = None  # why the last test failed, if it did
    failover_error: str | None = None  # why the last failover failed, if it did
    suspect: int = 0  # points that are there
    cannot_land: str | None = None  # what stands against it, in sentences, as the newest look at a point tells
    look_error: str | None = None  # why the last look came to nothing, if it did


@dataclass(frozen=True, slots=True)
class Condition:
    code: str
    text: str


def conditions(now: ReplicaFacts) -> Iterator[Condition]:
    """Yield the conditions in the order of their weight."""
    yield from _age(now)
    if now.failures and now.stage in SYNCED:
        times = "The last sync" if now.failures == 1 else f"The last {now.failures} syncs"
        code = _OF_SYNCS.get(now.error_code or "", "sync-fails")
        yield Condition(code, f"{times} failed: {now.error}")
    elif now.error and not now.failures:
        yield Condition("error", now.error)
    if now.cannot_land and now.stage in (*SYNCED, Stage.ADOPTED):
        yield Condition("cannot-land", f"No machine could be made of its points: {now.cannot_land}")
    if now.failover_error is not None and now.stage in (Stage.PROTECTED, Stage.ADOPTED):
        yield Condition("failover-failed", f"The last failover failed: {now.failover_error}")
    if now.suspect:
        text = f"An audit has found what copies lacked: {now.suspect} point(s) that are there may lack it, too."
        yield Condition("suspect", text)
    if now.paused:
        until = f"until {now.paused_until:%Y-%m-%d %H:%M} UTC" if now.paused_until else "until it is resumed"
        yield Condition("paused", f"It is paused {until}. Its points get older meanwhile.")
    if now.stage is Stage.FAILED_BACK:
        yield Condition(
            "uncommitted",
            "What the machine was before the failback is kept, which takes room, and nothing is copied, until "
            "that is committed or undone.",
        )
    if now.consistency is Consistency.OFF and now.stage is Stage.PROTECTED:
        yield Condition("machine-off", "The machine was off at the newest point: that gets older, its content doesn't.")
    if now.stage is Stage.ADOPTED:
        yield Condition("adopted", "It was found at its target, and nothing more is copied to it: its points only age.")
    if now.look_error is not None and now.stage is Stage.PROTECTED:
        text = f"Whether its points can land isn't known, they couldn't be looked into: {now.look_error}"
        yield Condition("look-failed", text)
    if now.test_error is not None:
        yield Condition("test-failed", f"The last test failed: {now.test_error}")
    if now.stage in (Stage.PROTECTED, Stage.ADOPTED) and not now.proved:
        yield Condition("unproven", "No machine was ever made of one of its points: a test shows whether it boots.")


def _age(now: ReplicaFacts) -> Iterator[Condition]:
    if now.rpo_now is None:
        if now.stage is Stage.SEEDING:
            yield Condition("no-point", "There is no point yet: nothing is protected.")
        return
    if now.rpo is None or now.stage not in SYNCED:
        return
    age, objective = duration(now.rpo_now.total_seconds()), duration(now.rpo.total_seconds())
    if now.rpo_now > now.rpo:
        yield Condition("rpo-breached", f"The newest usable point is {age} old, and {objective} were asked for.")
    elif now.expected is not None and now.rpo_now + now.expected > now.rpo:
        takes = duration(max(now.expected.total_seconds(), 1))
        yield Condition(
            "rpo-warning",
            f"The newest usable point is {age} old, and a sync takes {takes}: the next point will come after the "
            f"{objective} that were asked for.",
        )
