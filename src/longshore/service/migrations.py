"""Migrations: asked for, watched, resumed, cancelled, cleaned up after, forgotten."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query

from longshore.api.schemas import (
    Cleanup,
    CutoverTime,
    Event,
    LastMove,
    LedgerEntry,
    Migration,
    NewConversion,
    NewInspection,
    NewMarks,
    NewMigration,
    NewTry,
    PlanConcern,
    ServerConsole,
)
from longshore.engine import embedded
from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.late_conversion import landed, make_again, request_after
from longshore.flows.relays import held_by_another
from longshore.flows.undo import undo
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.replica import Stage
from longshore.model.request import Cutover, CutoverMode, MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.planning.faults import RequestFault
from longshore.planning.validation import (
    aware,
    check_ahead,
    check_request,
    check_window,
    refuse_unfit,
    refuse_unreadable,
)
from longshore.providers.registry import refuse_missing_library
from longshore.service.beforehand import Beforehand, look_beforehand
from longshore.service.caller import Caller
from longshore.service.migrations_shown import shown
from longshore.service.paging import LIMIT
from longshore.service.parts import TheCaller, TheClouds, TheStore, judged_router
from longshore.service.queued import begun, going_on
from longshore.service.shapes import shaped, shown_concern
from longshore.store import MigrationRecord, Store
from longshore.store import NewMigration as NewRecord

router = judged_router("/v1")
_LARGEST = (1 << 63) - 1  # a number of an event, as databases keep it
# What a terminal acts on and doesn't show: colours, places, titles. A guest may print anything
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNSEEN = re.compile(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]")


@router.post("/migrations", status_code=202)
def create(body: NewMigration, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Migration:
    """Begin a migration. Everything that can be known beforehand is checked now; what passes is queued and an engine
    takes it up.

    With type "volume" `machine` is the name or id of a volume that no machine has; of the request that counts which is
    about volumes: storage, availability_zone, volume, accept, verify, rate_limit, keep.
    """
    found = _looked_at(body, store, clouds, caller)
    return begun(store, found.new(), found.said)


@router.post("/migrations/check")
def check(body: NewMigration, store: TheStore, clouds: TheClouds, caller: TheCaller) -> list[PlanConcern]:
    """Check what stands against a migration, or might: nothing is made."""
    return [shown_concern(one, body.machine) for one in _looked_at(body, store, clouds, caller).all_concerns]


def _looked_at(body: NewMigration, store: Store, clouds: Clouds, caller: Caller) -> Beforehand:
    """Look at what a migration is asked for of. Raises InvalidInput for a type that isn't begun here, and as
    `look_beforehand`.
    """
    if body.request.type is MigrationType.INSPECTION:
        raise InvalidInput("An inspection has no target.", advice="Use: longshore machine inspect PROVIDER MACHINE.")
    if body.request.type is MigrationType.CONVERSION or body.request.of is not None:
        raise InvalidInput(
            "A later conversion is asked of the migration that brought the machine.",
            advice="Use: longshore migration convert ID.",
        )
    kind, own = body.request.type, (MigrationType.REPLICA, MigrationType.FAILBACK)
    if kind.of_point or kind in own or body.request.point is not None:
        raise InvalidInput("Replicas have commands of their own.", advice="Use: longshore replica create.")
    if kind is MigrationType.IN_PLACE:
        raise InvalidInput("Only a point in a vault takes a server's place.", advice="Use: longshore restore create.")
    return look_beforehand(store, clouds, caller, body.machine, body.source, body.target, body.request)


def begin_again(failed: MigrationRecord, store: Store, clouds: Clouds, caller: Caller) -> Migration:
    """Begin a migration without a plan once more, as it was asked for. A cutover whose time has passed waits.

    Raises Conflict for one that hasn't failed, or isn't a move, and as `create`.
    """
    if failed.status is not Status.FAILED or not failed.type.moves:
        raise Conflict(f"{failed.machine_name} is no migration that has failed: it is {failed.status}.")
    if any(one.id != failed.id for one in store.migrations.last_moves(failed.source_id, [failed.machine_ref])):
        raise Conflict(f"{failed.machine_name} was started again already.")
    request = form(MigrationRequest).validate_python(failed.request)
    at = request.cutover.at
    if at is not None and aware(at) <= datetime.now(UTC):
        request = replace(request, cutover=replace(request.cutover, mode=CutoverMode.MANUAL, at=None, until=None))
    machine, source, target = failed.machine_ref, failed.source_id, failed.target_id
    found = look_beforehand(store, clouds, caller, machine, source, target, request)
    return begun(store, found.new(again=failed.id), found.said)


@router.post("/inspections", status_code=202)
def inspect(body: NewInspection, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Migration:
    """Look into a snapshot of a machine's disks. It is watched as a migration, of type "inspection", whose source is
    its target, too; what was found is in its result: `guest`, and `concerns` by the landing that they are about."""
    refuse_unreadable(machine=body.machine, source=body.source)
    source = store.providers.get(body.source)
    if caller.works_here(store):
        refuse_missing_library(source.kind, source.settings)
    with clouds.source(source.id) as cloud:
        machine = cloud.machine(body.machine)
    request = MigrationRequest(type=MigrationType.INSPECTION)
    new = NewRecord.of_machine(machine, source.id, source.id, request)
    return begun(store, replace(new, disks=()))  # none of them is copied


@router.get("/last-moves")
def last_moves(
    store: TheStore,
    source: str,
    machine: Annotated[list[str], Query(max_length=LIMIT, description="References; as often as there are machines.")],
) -> list[LastMove]:
    """Return the last migration of each of these machines that was ever to be moved, dry runs included."""
    found = store.migrations.last_moves(store.providers.get(source).id, machine)
    return [LastMove(**asdict(one)) for one in found]


@router.get("/migrations/{migration}")
def migration(migration: str, store: TheStore) -> Migration:
    """Show a migration, by its id or the beginning of it."""
    return _migration(store, store.migrations.get(migration))


@router.get("/migrations/{migration}/events")
def events(
    migration: str,
    store: TheStore,
    after: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = LIMIT,
) -> list[Event]:
    """List the events of a migration, oldest first; `after` is the last event id already known."""
    return [Event(**asdict(event)) for event in store.events.of(migration, after, limit)]


@router.get("/migrations/{migration}/ledger")
def ledger(migration: str, store: TheStore) -> list[LedgerEntry]:
    """List everything that a migration made on either side, and what became of it."""
    record = store.migrations.get(migration)
    return [shaped(LedgerEntry, entry) for entry in store.ledger.entries(record.id)]


@router.get("/migrations/{migration}/console")
def console(
    migration: str,
    store: TheStore,
    clouds: TheClouds,
    lines: Annotated[int, Query(ge=1, le=1000, description="At most, the last ones.")] = 200,
) -> ServerConsole:
    """Return the end of what a migration's server has printed until now, as plain text. 404 before it is made, and when
    it is gone.
    """
    record = store.migrations.get(migration)
    if record.server_id is None:
        raise NotFound(f"Migration {record.id} has no server (yet).")
    with clouds.target(record.target_id) as target:
        said = plain(target.console(record.server_id)).splitlines()
        off = target.server(record.server_id).is_off
    return ServerConsole(server_id=record.server_id, text="\n".join(said[-lines:]), off=off)


def plain(console: str) -> str:
    """Return what a terminal would have shown of a console's output, line by line, without characters for it alone."""
    return _UNSEEN.sub("", _SEQUENCE.sub("", console.replace("\r\n", "\n").replace("\r", "\n")))


@router.post("/migrations/{migration}/resume", status_code=202)
def resume(migration: str, store: TheStore) -> Migration:
    """Have a migration go on at once where it is parked, or where an interrupted engine stopped. Nothing to do while
    one is running it.
    """
    record = store.migrations.get(migration)
    if record.status.ended:
        raise Conflict(
            f"Migration {record.id} has ended already ({record.status}).",
            advice="Start a new one." if record.error else "",
        )
    if record.status is Status.PARKED:
        store.jobs.hasten(record.id)
    return going_on(store, [record])[0]


@router.post("/migrations/{migration}/cutover", status_code=202)
def cutover(migration: str, store: TheStore, body: CutoverTime | None = None) -> Migration:
    """Cut a warm migration over: its machine is stopped, and the migration ends; when a sync is under way, right after
    it. With a time it is cut over then, by itself.
    """
    record = request_cutover(store, migration, body)
    return going_on(store, [record])[0]


def request_cutover(store: Store, migration: str, time: CutoverTime | None) -> MigrationRecord:
    """Have a migration cut over, now or at a time. Raises InvalidInput for one that is past, and as the store does."""
    if time is None:
        return store.migrations.request_cutover(migration)
    at, until = (aware(one).astimezone(UTC) if one is not None else None for one in (time.at, time.until))
    assert at is not None
    try:
        scheduled = Cutover(mode=CutoverMode.SCHEDULED, at=at, until=until)
        check_window(scheduled)
        check_ahead(scheduled)
    except RequestFault as fault:
        raise InvalidInput(fault.text.replace('"cutover.', '"'), field=str(fault.path[-1])) from None
    return store.migrations.schedule_cutover(migration, at, until)


@router.delete("/migrations/{migration}/cutover", status_code=202)
def take_cutover_back(migration: str, store: TheStore) -> Migration:
    """Take back that a migration is to be cut over, now or at a time, as long as that hasn't begun."""
    record = store.migrations.take_cutover_back(migration)
    return going_on(store, [record])[0]


@router.post("/migrations/{migration}/retry", status_code=202)
def retry(migration: str, store: TheStore, body: NewTry | None = None) -> Migration:
    """Let a migration that kept its copy when its cutover failed try again: what has changed since is copied first."""
    before = store.migrations.get(migration).request
    options = _added(before, body.model_dump(mode="json", exclude_unset=True) if body else {})
    asked = form(MigrationRequest).validate_python({**before, **options})
    check_request(replace(asked, cutover=Cutover()))  # whose time may have passed
    record = store.migrations.request_retry(migration, options)
    return going_on(store, [record])[0]


def _added(before: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Work out what a request has by these options of a further try: what holds several things keeps those it had."""
    whole = dict(options)
    for name in ("networks", "subnets"):
        if name in options:
            whole[name] = {**before.get(name, {}), **options[name]}
    for name in ("accept", "guest_keys"):
        if name in options:
            whole[name] = list(dict.fromkeys((*before.get(name, ()), *options[name])))
    return whole


@router.post("/migrations/{migration}/source-marks", status_code=202)
def mark_source(migration: str, store: TheStore, body: NewMarks) -> Migration:
    """Mark the machine of a migration that is done, at its source; marks that aren't wanted any more are taken away."""
    refuse_unfit(**{name: getattr(body, name) for name in type(body).model_fields})
    options = body.model_dump(mode="json")
    record = store.migrations.request_marks(migration, options)
    return going_on(store, [record])[0]


@router.delete("/migrations/{migration}/source-marks", status_code=202)
def unmark_source(migration: str, store: TheStore) -> Migration:
    """Take away all marks of a migration's machine at its source."""
    return mark_source(migration, store, NewMarks())


@router.post("/migrations/{migration}/convert", status_code=202)
def convert(migration: str, store: TheStore, body: NewConversion | None = None) -> Migration:
    """Convert a machine that landed as it was, in a stop of its own. The answer is that stop's own migration."""
    earlier = store.migrations.get(migration)
    try:
        store.providers.get(earlier.target_id)
    except NotFound:  # to begin something new takes the right that it took then
        raise NotFound(
            f"The provider to which {earlier.machine_name} was moved is no longer shared with your project.",
            advice="Ask who shared it.",
        ) from None
    landed(earlier)  # raises Conflict when there is nothing to convert
    beside = body or NewConversion()
    refuse_unfit(accept=beside.accept, guest_keys=beside.guest_keys)
    new = NewRecord(
        machine_name=earlier.machine_name,
        machine_ref=earlier.machine_ref,
        source_id=earlier.source_id,
        target_id=earlier.target_id,
        request=request_after(earlier, beside.accept, beside.guest_keys).to_json(),
        places=earlier.places,
    )
    return begun(store, new)


@router.post("/migrations/{migration}/cancel", status_code=202)
def cancel(migration: str, store: TheStore) -> Migration:
    """Cancel a migration, and take back everything made so far; the engine does it. Raises Conflict for the record of a
    replica or of a policy of backups.
    """
    found = store.migrations.get(migration)
    if found.type is MigrationType.REPLICA:
        raise Conflict("This is a replica.", advice=f"To have all of it removed: longshore replica delete {migration}.")
    if found.type is MigrationType.BACKUP_POLICY:
        name = found.machine_name
        raise Conflict(
            "This is a policy of backups.",
            advice=f"To stop it: longshore backup policy pause {name}; "
            f"for good: longshore backup policy delete {name}.",
        )
    record = store.migrations.request_cancel(migration)
    return going_on(store, [record])[0]


@router.post("/migrations/{migration}/cleanup")
def cleanup(migration: str, store: TheStore, clouds: TheClouds) -> Cleanup:
    """Try once more to remove what an ended migration left behind. A test that stays for a while is removed soon."""
    record = store.migrations.get(migration)
    if record.job is not None and record.job.kind is JobKind.CLEAN_UP:  # the engine does it
        store.jobs.hasten(record.id)
        embedded.ensure_running(store.state)
        return Cleanup(left=[])
    if not record.status.ended:
        raise Conflict(f"Migration {record.id} is {record.status}.", advice="Cancel it first, or let it end.")
    if record.type is MigrationType.CONVERSION and record.status is not Status.DONE:
        return Cleanup(
            left=make_again(MoveContext(store, record.id, clouds=clouds))
        )  # its machine comes before what is left of it
    if _is_uncommitted(store, record):
        raise Conflict(
            f"What it has made runs in the place of {record.machine_name}.",
            advice=f"Use: longshore replica undo {record.request['of']}, or commit.",
        )
    # A relay that was booted for it may serve others by now; the process that has it removes it in the end
    return Cleanup(left=undo(store, clouds, record.id, lambda entry: not held_by_another(store, entry)))


@router.delete("/migrations/{migration}", status_code=204)
def remove(migration: str, store: TheStore) -> None:
    """Forget an ended migration, with its logs and digests. What was moved stays as it is."""
    record = store.migrations.get(migration)
    store.migrations.remove(record.id)
    shutil.rmtree(store.state.migration(record.id), ignore_errors=True)


def _is_uncommitted(store: Store, record: MigrationRecord) -> bool:
    """Tell whether a migration is the failover or failback that its replica stands at the end of.

    Then it is for the replica to take it back.
    """
    if record.type not in (MigrationType.FAILOVER, MigrationType.FAILBACK) or not record.of:
        return False
    replica = store.replicas.get(record.of)
    return record.status is Status.DONE and (
        (record.id == replica.failback_id and replica.stage is Stage.FAILED_BACK)
        or (record.id == replica.failover_id and replica.stage is not Stage.COMMITTED)
    )


def _migration(store: Store, record: MigrationRecord) -> Migration:
    return shown(store, [record])[0]
