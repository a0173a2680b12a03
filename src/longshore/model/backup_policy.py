"""The state of a backup policy: its last run, or the one under way, its last copy, verification and proof."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from longshore.model.platform import Platform


class Stand(StrEnum):
    """The state of one thing that a policy has begun."""

    CHOSEN = "chosen"  # it is written down, and about to be queued
    UNDER_WAY = "under way"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (Stand.DONE, Stand.FAILED)


@dataclass(frozen=True, slots=True)
class MachineBackup:
    """One machine's part of a run."""

    machine_name: str
    machine_ref: str
    id: str  # of its backup
    stand: Stand = Stand.CHOSEN
    error: str | None = None
    point: str | None = None  # that it has made
    deleted: tuple[str, ...] = ()  # points that no rule kept any more


@dataclass(frozen=True, slots=True)
class KnownMachine:
    """A machine that a policy names, as it was when it was last found."""

    word: str  # by which the policy names it
    name: str
    ref: str
    platform: Platform
    uuid: str
    instance_uuid: str


@dataclass(frozen=True, slots=True)
class LastRun:
    begun_at: datetime
    backups: tuple[MachineBackup, ...]
    ended_at: datetime | None = None
    error: str | None = None  # why it found no machines
    known: tuple[KnownMachine, ...] = ()  # of a policy that names its machines, also in runs before it

    def known_as(self, word: str) -> KnownMachine | None:
        """Return the machine that the policy names by this word, as far as it was ever found."""
        return next((one for one in self.known if one.word == word), None)


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification of the policy's vault."""

    id: str
    begun_at: datetime
    stand: Stand = Stand.CHOSEN
    error: str | None = None
    suspect: tuple[str, ...] = ()  # points that the last one which has ended found damaged


@dataclass(frozen=True, slots=True)
class SecondCopy:
    """A copy of the policy's points into its second vault."""

    id: str
    begun_at: datetime
    stand: Stand = Stand.CHOSEN
    error: str | None = None
    points: int = 0  # that it has copied
    deleted: tuple[str, ...] = ()  # points of the second vault that no rule kept any more


@dataclass(frozen=True, slots=True)
class PointTrial:
    """A machine's newest good point in a proof: restored, booted, and taken away again."""

    machine_name: str
    point: str
    id: str  # of its restore, a dry run
    stand: Stand = Stand.CHOSEN
    error: str | None = None  # why it wasn't seen up
    shown_by: str | None = None  # what has shown that it is up
    seconds: dict[str, float] = field(default_factory=dict)  # that its parts took until then, and all of them


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof of the policy's machines, one after another."""

    begun_at: datetime
    trials: tuple[PointTrial, ...]
    ended_at: datetime | None = None
    error: str | None = None  # why no point could be chosen

    @property
    def failed(self) -> bool:
        return self.error is not None or any(trial.stand is Stand.FAILED for trial in self.trials)
