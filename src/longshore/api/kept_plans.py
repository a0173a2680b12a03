"""Plans in vaults, as they go over the wire."""

from typing import Any

from longshore.api.schemas import Moment, Name, Strict


class PlanKeeping(Strict):
    vault: str  # its name or id


class KeptPlan(Strict):
    """A plan in a vault, as it was kept last."""

    id: str  # in the installation that has kept it; empty, as the rest, where it can't be read
    name: str
    kept_at: Moment | None
    source: str  # what that installation calls it
    target: str
    description: str
    machines: int  # and volumes
    states: dict[str, int]  # of those that had been started: how many were done, failed, …
    left_out: list[str]  # options whose texts may be secret, which aren't kept
    error: str | None  # why it can't be read


class PlanImport(Strict):
    """Options of the import of a plan from a vault."""

    name: Name | None = None  # null: as it was called
    source: str | None = None  # a provider here; null: the one that is called as it was
    target: str | None = None
    with_moved: bool = False  # the machines, too, that had moved when it was kept


class ImportedPlan(Strict):
    plan: dict[str, Any]  # as its file has it
    kept_at: Moment
    moved: list[str]  # machines and volumes that had moved when it was kept
    under_way: list[str]  # those that were on their way then: another installation may be at work on them still
    left_out: list[str]  # options that have to be said anew
    playbooks: list[str]  # of this machine that it would run
