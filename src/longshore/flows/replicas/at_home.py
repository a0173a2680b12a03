"""The end of a failover or a failback: back to what was before it, or for good to what there is now."""

from dataclasses import replace

from longshore.blocks.dirty import Dirty
from longshore.errors import LongshoreError
from longshore.flows.following import machine_of
from longshore.flows.moves.context import MoveContext, made_machine
from longshore.flows.moves.copying import DiskBase
from longshore.flows.moves.syncing import SyncState
from longshore.flows.moves.target_side import Prepared
from longshore.flows.moves.told_changes import read_extents
from longshore.flows.replicas.way_back import volumes_of
from longshore.flows.undo import LASTING, undo
from longshore.model.extents import Extent
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.model.replica import Stage
from longshore.model.target import Owner
from longshore.store import EntryState, LedgerRecord, MigrationRecord, ThingKind


def undo_failback(job: MoveContext) -> None:
    """Take the machine back to what it was before, off, and start its server again.

    While the machine can't be taken back, the server stays off, and the replica failed back. A second run does nothing
    when the first one came to its end.
    """
    store = job.store
    replica = store.replicas.get(job.id)
    if replica.stage is not Stage.FAILED_BACK:
        return
    failback = store.migrations.get(replica.failback_id or "")
    failover = store.migrations.get(replica.failover_id or "")
    job.phase("undoing", "Undoing the failback.")
    left = undo(store, job.clouds, failback.id)
    if _there(job, failback, ThingKind.HOME_SNAPSHOT, ThingKind.SERVER) is not None:
        _say_why_not(job, "The failback isn't undone", " ".join(left))
        return
    job.say_each(left, "error")
    store.replicas.update(job.id, error=None, error_code=None)
    try:
        with job.clouds.source(job.record.target_id) as cloud:
            cloud.power_on(failover.server_id or "")
    except LongshoreError as error:
        _say_why_not(job, "The server couldn't be started again", str(error))
    else:
        job.say("The failback is undone: the server runs again, and the machine is as it was before.")
    store.replicas.stays_away(job.id, failback.id)


def commit_failback(job: MoveContext) -> None:
    """Keep the machine, and protect it as before. A server that isn't the user's is removed.

    A second run does nothing when the first one came to its end.
    """
    store = job.store
    replica = store.replicas.get(job.id)
    if replica.stage is not Stage.FAILED_BACK:
        return
    failback = store.migrations.get(replica.failback_id or "")
    job.phase("committing", f"Keeping {job.record.machine_name} as it is now.")
    if (snapshot := _there(job, failback, ThingKind.HOME_SNAPSHOT)) is not None:
        try:
            with job.clouds.source(job.record.source_id) as source:
                machine = machine_of(store, source, snapshot)
                found = source.find_snapshot(machine, snapshot.owner)
                if found is not None:
                    source.remove_snapshot(machine, found.ref)
        except LongshoreError as error:
            _say_why_not(job, "The failback isn't committed", str(error))
            return
        store.ledger.settle(snapshot.id, EntryState.REMOVED)
    if (made := made_machine(store.ledger.entries(failback.id))) is not None and made.ref is not None:
        _move_in(job, made, made.ref)
    if (home := _there(job, failback, ThingKind.SERVER)) is not None and home.ref is not None:
        _take_up(job, failback, home.ref)
    server = store.migrations.get(replica.failover_id or "")
    job.say_each(undo(store, job.clouds, server.id), "warning")
    if any(entry.state is EntryState.HANDED_OVER for entry in store.ledger.entries(server.id)):
        job.say(f"Server {server.server_id} is yours, and stays: it is off.")
    _follow(job, failback)
    fields = {"failover_id": None, "failback_id": None, "due_at": None, "error": None, "error_code": None}
    store.migrations.update(job.id, shutdown_requested_at=None, source_off_at=None, source_on_at=None)
    job.say("The failback is committed, and syncs go on.")
    store.replicas.update(job.id, stage=Stage.PROTECTED.value, **fields)


def _move_in(job: MoveContext, made: LedgerRecord, ref: str) -> None:
    """Make the new machine the replica's from now on; what was the old one's has gone with it.

    A second run does all of it again, until the ledger says that the machine is handed over.
    """
    store, record = job.store, job.record
    for entry in store.ledger.entries(job.id):
        gone = entry.kind in (ThingKind.SOURCE_SNAPSHOT, ThingKind.CHANGE_TRACKING) and entry.parent != ref
        if gone and entry.state is not EntryState.REMOVED:
            store.ledger.settle(entry.id, EntryState.REMOVED, note="Its machine is gone.")
    with job.clouds.source(record.source_id) as source:
        new = source.by_reference(ref)
    state = form(SyncState).validate_python(store.migrations.get(job.id).state)
    # By these it is known from the old one, and from whatever gets its reference later
    known = replace(state.prepared.machine, ref=ref, uuid=new.uuid, instance_uuid=new.instance_uuid)
    state = replace(state, prepared=replace(state.prepared, machine=known))
    store.migrations.update(job.id, machine_ref=ref, state=state.kept())
    owner = Owner(job.id, f"change-tracking-{ref}")
    tracking = store.ledger.intend(owner, record.source_id, ThingKind.CHANGE_TRACKING, ref)
    try:
        with job.clouds.source(record.source_id) as source:
            source.set_change_tracking(ref, True)
    except LongshoreError as error:
        store.ledger.settle(tracking.id, EntryState.REMOVED)
        job.say(f"Syncs of {record.machine_name} will compare whole disks: {error}", "warning")
    else:
        store.ledger.settle(tracking.id, EntryState.MADE, ref=ref)
    store.ledger.settle(made.id, EntryState.HANDED_OVER)  # last: until then all of this is done again


def _take_up(job: MoveContext, failback: MigrationRecord, ref: str) -> None:
    """Make the new server the replica's machine from now on. What was known of the one before means nothing for it."""
    store, record = job.store, job.store.migrations.get(job.id)
    if record.machine_ref != ref:
        job.say_each(undo(store, job.clouds, job.id, lambda e: e.kind is ThingKind.SOURCE_SNAPSHOT), "warning")
        with job.clouds.source(record.source_id) as source:
            machine = source.by_reference(ref)
        state = form(SyncState).validate_python(record.state)
        replica = store.replicas.get(job.id)
        on_server = volumes_of(store.ledger.entries(replica.failover_id or ""))
        at_home = volumes_of(store.ledger.entries(failback.id))
        moved = _moved(state, machine, {key: at_home[volume] for key, volume in on_server.items()})
        for before, disk in zip(state.prepared.machine.disks, moved.prepared.machine.disks, strict=True):
            store.disks.rename(job.id, before.key, disk)
        store.migrations.update(job.id, machine_ref=ref, state=moved.kept())
        was = record.machine_ref
        job.say(f"The server that it was before ({was}) is yours, if it is still there: off, and without its ports.")
    for kind in (ThingKind.HOME_PORT, *LASTING):  # the server last: until then all of this is done again
        store.ledger.settle_kind(failback.id, kind, EntryState.HANDED_OVER)


def _moved(state: SyncState, machine: Machine, volumes: dict[str, str]) -> SyncState:
    """Return the state with the disks of the new server.

    `volumes`: the new server's, by what the replica's points call their disks.
    """
    before = state.prepared.machine
    has = {disk.key: disk for disk in machine.disks}
    names = [state.called.get(disk.key, disk.key) for disk in before.disks]
    keys = {disk.key: volumes[name] for disk, name in zip(before.disks, names, strict=True)}
    settings = replace(machine.server_settings, user_data=before.server_settings.user_data)
    landing = state.prepared.landing
    types = tuple(replace(disk, disk_key=keys.get(disk.disk_key, disk.disk_key)) for disk in landing.disks)
    disks = tuple(has[keys[disk.key]] for disk in before.disks)
    return replace(
        state,
        prepared=Prepared(
            replace(machine, disks=disks, tags=before.tags, server_settings=settings), replace(landing, disks=types)
        ),
        bases={keys[key]: base for key, base in (state.bases or {}).items()},
        base=None,
        called={disk.key: name for disk, name in zip(disks, names, strict=True)},
    )


def _follow(job: MoveContext, failback: MigrationRecord) -> None:
    """Have the next sync go by the new change ids, and copy what the failback has written, whatever they say.

    Where that isn't known, it reads and compares all.
    """
    store = job.store
    state = form(SyncState).validate_python(store.migrations.get(job.id).state)
    ids = (failback.result or {}).get("change_ids") or {}
    bases: dict[str, DiskBase] = {}
    for key, base in (state.bases or {}).items():
        written = _written(job, failback, key)
        if written is not None and ids.get(key):
            path = store.state.migration(job.id) / base.manifest
            Dirty(path, base.root_digest, f"failback/{failback.id}", same=True).declare(written)
            bases[key] = replace(base, change_id=ids[key])
        else:
            bases[key] = replace(base, change_id=None)
    store.migrations.update(job.id, state=replace(state, bases=bases, written_to=True).kept())


def _written(job: MoveContext, failback: MigrationRecord, key: str) -> list[Extent] | None:
    """Return where the failback may have written on a disk of the machine; None: all over it, or nobody knows."""
    files = ((failback.result or {}).get("lists") or {}).get(key)
    if not files or None in files:
        return None
    found: list[Extent] = []
    for name in files:
        extents = read_extents(job.store.state.migration(failback.id) / name)
        if extents is None:
            return None
        found.extend(extents)
    return found


def _there(job: MoveContext, failback: MigrationRecord, *kinds: ThingKind) -> LedgerRecord | None:
    """Return the failback's entry of one of these kinds, while the thing is there: what the machine can go back to, or
    the server that runs in its place."""
    entries = job.store.ledger.entries(failback.id)
    return next((e for e in entries if e.kind in kinds and not e.state.settled), None)


def _say_why_not(job: MoveContext, what: str, why: str) -> None:
    job.store.replicas.update(job.id, error=why, error_code="undo-failed")
    job.say(f"{what}: {why}", "error")
