"""Policies of backups, as they go over the wire."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from longshore.api.schemas import Moment, Name, Strict
from longshore.model.backup_policy import Stand
from longshore.model.selection import MachineFilter

Line = Annotated[str, Field(min_length=1, max_length=255)]

Playbook = Annotated[str, Field(min_length=1, max_length=4096)]

Networks = Annotated[dict[Line, Line], Field(max_length=1000)]


class NewBackupPolicy(Strict):
    """A backup policy that is to be made. Its machines are named, or found by a filter at each run."""

    name: Name
    source: str
    vault: str
    machines: Annotated[list[Line], Field(max_length=1000)] = Field(default_factory=list)
    filter: MachineFilter | None = None  # with nothing in it: every machine of the source
    schedule: Line  # as of a replica, but for "continuous"
    retention: Line  # as of a replica
    verify: Line | None = None  # the schedule on which the vault is verified
    copy_to: Line | None = None  # a second vault, which its points are copied to after each run
    prove: Line | None = None  # on which the newest good points are restored, booted and taken away again
    prove_on: Line | None = None  # the cloud where that happens
    # Networks of the cloud, by the machines' networks: they are copied for the proof, to networks that lead nowhere
    prove_networks: Networks = Field(default_factory=dict)
    before: Playbook | None = None  # an Ansible playbook that is run before each snapshot, as its absolute path
    after: Playbook | None = None  # and one that is run after it, whatever becomes of that


class BackupPolicyChange(Strict):
    """Changes to a backup policy. A field that isn't given stays as it is."""

    machines: Annotated[list[Line], Field(max_length=1000)] | None = None
    filter: MachineFilter | None = None
    schedule: Line | None = None
    retention: Line | None = None
    verify: Line | None = None  # "never": not any more
    copy_to: Line | None = None  # likewise
    prove: Line | None = None  # likewise
    prove_on: Line | None = None
    prove_networks: Networks | None = None
    before: Playbook | None = None  # "never": none any more
    after: Playbook | None = None  # likewise
    paused: bool | None = None


class VaultImport(Strict):
    """Options of the import of policies that a vault's points tell of, and that aren't here."""

    sources: dict[str, str] = Field(
        default_factory=dict
    )  # providers here, vaults and clouds among them, by what the policies call them
    paused: bool = True  # since the installation that had them may be at work still


class ImportOutcome(StrEnum):
    MADE = "made"
    THERE = "there already"
    REFUSED = "refused"


class ImportedPolicy(Strict):
    id: str
    name: str | None  # null: its points don't say
    points: int  # that it has made
    playbooks: list[str]  # of this machine that it would run
    outcome: ImportOutcome
    error: str | None  # why it was refused


class PolicyBackup(Strict):
    """One machine's part of a run."""

    machine_name: str
    migration: str  # its id, which watches it
    state: Stand
    error: str | None
    point: str | None
    deleted: list[str]  # points that no rule kept any more


class PolicyRun(Strict):
    begun_at: Moment
    ended_at: Moment | None
    missed: int  # further times of the schedule for which it made up, too
    error: str | None  # why no machine could be chosen
    backups: list[PolicyBackup]


class PolicyVerification(Strict):
    migration: str
    begun_at: Moment
    state: Stand
    error: str | None
    suspect: list[str]  # points that can't be restored whole


class PolicyCopy(Strict):
    """A run's copy into the second vault."""

    migration: str
    begun_at: Moment
    state: Stand
    error: str | None
    points: int  # that it has copied
    deleted: list[str]  # points there that no rule kept any more


class PointTrial(Strict):
    machine_name: str
    point: str
    migration: str  # its restore, a dry run
    state: Stand
    error: str | None  # why it wasn't seen up
    shown_by: str | None  # what has shown that it is up
    seconds: dict[str, float]  # that the parts took until then, and "all" of them: the RTO


class PolicyProof(Strict):
    begun_at: Moment
    ended_at: Moment | None
    error: str | None  # why no point could be chosen
    trials: list[PointTrial]


class BackupPolicy(Strict):
    id: str
    project_id: str
    name: str
    source: str
    vault: str
    machines: list[str]
    filter: MachineFilter | None
    schedule: str
    retention: str
    verify: str | None
    copy_to: str | None
    prove: str | None
    prove_on: str | None
    prove_networks: dict[str, str]
    before: str | None
    after: str | None
    paused: bool
    due_at: Moment | None  # of the next run; null: it is paused
    verify_due_at: Moment | None
    prove_due_at: Moment | None
    run: PolicyRun | None  # the last one, or the one under way
    verification: PolicyVerification | None  # likewise
    copied: PolicyCopy | None  # likewise
    proof: PolicyProof | None  # likewise
    error: str | None  # why it can't be followed now


class KeptPoint(Strict):
    name: str
    machine_name: str
    moment: Moment
    suspect: bool
    reasons: list[str]  # for which it stays; none: it goes after the machine's next successful backup


class BackupPolicyDetails(BackupPolicy):
    points: list[KeptPoint]  # that it has made, by machine, newest first
    points_error: str | None  # why the vault can't be read now
