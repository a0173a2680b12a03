"""Import from files to a cloud: what would be done, and doing it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from longshore.errors import Conflict
from longshore.tenancy.blobs import BLOBS
from longshore.tenancy.carry_out import CarryingOut
from longshore.tenancy.cloud import Cloud, Progress
from longshore.tenancy.documents import Resource
from longshore.tenancy.faults import refusal
from longshore.tenancy.kind import ResourceKind
from longshore.tenancy.kinds import BY_NAME, KINDS
from longshore.tenancy.passwords import Passwords
from longshore.tenancy.plan import Action, Plan, Planner, Verdict
from longshore.tenancy.quotas import check_room
from longshore.tenancy.selection import Selection
from longshore.tenancy.validate import references, validate


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a report: what would become, or became, of one resource."""

    action: str  # make, change, leave, conflict, skip; and when it is over: made, changed, left, failed, skipped
    kind: str
    name: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    rows: list[Row]
    notes: list[str]


def read_valid(directory: Path) -> list[Resource]:
    """Read the resources of the files. Raises InvalidInput with the first fault when there are any."""
    resources, faults = validate(directory)
    if any(not fault.warning for fault in faults):
        raise refusal(faults, directory)
    return resources


def diff(cloud: Cloud, directory: Path, selection: Selection, progress: Progress) -> Report:
    """Report what an import would do. Changes nothing."""
    planned = _plan(cloud, directory, selection, progress)
    return Report(_rows(planned, {verdict: verdict.value for verdict in Verdict}, {}), planned.notes)


def import_(
    cloud: Cloud,
    directory: Path,
    selection: Selection,
    progress: Progress,
    stop: Event,
    *,
    passwords: Path | None = None,
) -> Report:
    """Make the cloud have what the files say; what is there already stays. May be run as often as one likes.

    Users who are made get new passwords, which are in the file `passwords`; without one they have none.
    Raises, before anything is changed, Conflict when something can't become what the files say, QuotaExceeded, and
    InvalidInput when others can read that file.
    What fails later fails alone, with all that needs it, and is in the report.
    """
    planned = _plan(cloud, directory, selection, progress)
    conflicts = planned.of(Verdict.CONFLICT)
    if conflicts:
        raise _refused(conflicts)
    check_room(cloud, planned)
    users = [action for action in planned.of(Verdict.MAKE) if action.resource.kind.name == "user"]
    with closing(Passwords(passwords)) if passwords and users else nullcontext() as cloud.passwords:
        failed = CarryingOut(cloud, planned, progress, stop).run()
    notes = [*planned.notes, *cloud.remarks]
    if made := sum(action not in failed for action in users):
        notes.append(
            f"users: {made} made with new passwords, which are in {passwords}."
            if passwords
            else f"users: {made} made without a password: nobody can log in as one of them until one is set."
        )
    over = {Verdict.MAKE: "made", Verdict.CHANGE: "changed", Verdict.LEAVE: "left", Verdict.SKIP: "skipped"}
    return Report(_rows(planned, over, failed), notes)


def _refused(conflicts: list[Action]) -> Conflict:
    first = conflicts[0]
    what = f"{first.resource.kind.name.capitalize()} {first.resource.name} ({first.resource.place})"
    more = f" And {len(conflicts) - 1} more." if len(conflicts) > 1 else ""
    return Conflict(
        f"{what} can't be imported: {first.said}{more}",
        advice="`longshore tenant diff` lists all. Change the files, or leave resources out with --only or --filter. "
        "Nothing was changed.",
    )


def _plan(cloud: Cloud, directory: Path, selection: Selection, progress: Progress) -> Plan:
    read = read_valid(directory)
    resources, machines = _in_order(selection.of(read)), _machines(read, selection)
    cloud.blobs = directory / BLOBS
    # A file without a rule says that there are none
    present = {r.kind.name for r in resources} | {k.name for k in selection.kinds if (directory / k.file).is_file()}
    for error in cloud.look(_needed(resources), progress).values():
        raise error
    planned = Planner(cloud, resources).plan(tuple(kind for kind in selection.kinds if kind.name in present))
    planned.notes.extend([*_too_large(cloud, planned), *machines])
    return planned


def _too_large(cloud: Cloud, planned: Plan) -> list[str]:
    """Return what only administrators can know beforehand: whether networks can have the MTU that they are to have."""
    made = [
        action.values.get("mtu") or 0 for action in planned.of(Verdict.MAKE) if action.resource.kind.name == "network"
    ]
    there = [raw.mtu for raw in cloud.all(BY_NAME["network"]) if raw.mtu and not raw.is_router_external] if made else []
    count = sum(mtu > max(there) for mtu in made) if there else 0
    if not count:
        return []
    return [
        f"networks: mtu of {count} is more than any network there has ({max(there)}): if this cloud's networks can't "
        "have as much, they get a smaller one."
    ]


def _machines(resources: list[Resource], selection: Selection) -> list[str]:
    """Return what is to be said of servers and volumes: they are in the files, and not what is made here."""
    if selection.kinds != KINDS:
        return []
    count = Counter(resource.kind.plural for resource in resources)
    return [
        f"{plural}: {count[plural]} left out; {how}."
        for plural, how in (
            ("workloads", "servers are moved by plans (longshore plan create --from-workloads)"),
            ("detached_volumes", "volumes are moved by longshore volume migrate --file"),
        )
        if count[plural]
    ]


def _in_order(resources: list[Resource]) -> list[Resource]:
    """Sort resources as their kinds depend on each other, whatever the files are called."""
    place = {kind.name: number for number, kind in enumerate(KINDS)}
    return sorted(resources, key=lambda resource: (place[resource.kind.name], resource.place))


def _needed(resources: Iterable[Resource]) -> list[ResourceKind]:
    """Return the kinds that have to be looked at: those of the files, and those that they name."""
    names = {r.kind.name for r in resources}
    for resource in resources:
        names |= {name for _, kinds, _ in references(resource) for name in kinds.split(" or ")}
    return [kind for kind in BY_NAME.values() if kind.name in names]


def _rows(planned: Plan, words: Mapping[Verdict, str], failed: Mapping[Action, str]) -> list[Row]:
    rows = [
        Row("failed" if a in failed else words[a.what], a.resource.kind.name, a.resource.name, failed.get(a, a.said))
        for a in planned.actions
    ]
    return rows + [Row(words[Verdict.LEAVE], kind, name, "Only on the target.") for kind, name in planned.strays]
