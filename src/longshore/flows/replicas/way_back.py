"""The way back from a failover's server: what has changed on both sides since the point that it was made of.

Each of the server's volumes gets a snapshot before the guest is touched and booted: what differs from that later the
server has written. What the machine has written since the point its source tells, by the point's change ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longshore.errors import Cancelled, Conflict, LongshoreError, NotFound
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.syncing import SyncState
from longshore.flows.moves.target_side import snapshot_volumes
from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, PowerState, ToolsState
from longshore.model.request import LandingMode
from longshore.model.target import Volume
from longshore.providers.contract import Source
from longshore.store import EntryState, LedgerRecord, MigrationRecord, PointRecord, ReplicaRecord, Store, ThingKind
from longshore.store.adoption import was_adopted

CONVERTED = "guest-converted"  # code of what stands against the way back, and can be accepted
_BEGINNING = "way-back-"
_GONE = (EntryState.REMOVED, EntryState.INTENDED)


@dataclass(frozen=True, slots=True)
class Pair:
    """A disk of the server, and the machine's disk that it was copied from."""

    disk: Disk  # as its cloud has it; called as the machine's
    home: Disk
    base: str | None  # the volume's snapshot from before the guest was touched; None: there is none
    since: str | None  # the machine's change id at the point; None: it can't tell what it has written since


@dataclass(frozen=True, slots=True)
class WayHome:
    server: Machine
    home: Machine
    pairs: tuple[Pair, ...]
    proves: bool  # tools in the guest answered at home before, so they have to again


@dataclass(frozen=True, slots=True)
class Return:
    """The way back to a cloud, where a new server is made."""

    server: Machine
    home: Machine | None  # the server that it was made of, which is off; None: that is gone
    like: Machine  # what the new server is to be, with the disks that are copied, in the order of the point's


def keep_way_back(job: MoveContext, volumes: list[Volume]) -> None:
    """Take snapshots of a failover's volumes, so that a way back needn't compare whole disks.

    A failure is only told: a failover has to come up whatever happens.
    """
    try:
        snapshot_volumes(job, volumes, _BEGINNING)
    except LongshoreError as error:
        if error.code == Cancelled.code:
            raise
        job.say(f"A way back would have to compare whole disks: {error}", "warning")


def is_of_way_back(entry: LedgerRecord) -> bool:
    return entry.kind is ThingKind.VOLUME_SNAPSHOT and entry.step.startswith(_BEGINNING)


def way_back_snapshots(entries: Sequence[LedgerRecord]) -> dict[str, str]:
    """Return the ids of the snapshots that are there, by those of their volumes."""
    there = (entry for entry in entries if entry.state not in _GONE and entry.ref and is_of_way_back(entry))
    return {entry.step.removeprefix(_BEGINNING): entry.ref or "" for entry in there}


def find_way(
    store: Store, clouds: Clouds, replica: ReplicaRecord, accept: tuple[str, ...] = (), *, made: str | None = None
) -> WayHome:
    """Return the way back to the machine. Nothing is changed by looking.

    `made`: a machine that was made for it, because the one that it came from is gone.

    Raise Conflict for what stands against it, with a sentence that says what to do; NotFound when one of both is gone.
    """
    record, failover, point, then = _failed_over(store, replica, accept)
    with clouds.source(record.source_id) as source:
        ref = made or record.machine_ref
        home = machine_if_there(source, ref)
        if home is None or (made is None and home.is_another_than(_known(record, then))):
            why = f"{ref} is the reference of another machine now, {home.name}" if home else f"the source has no {ref}"
            raise NotFound(
                f"{then.name} is gone: {why}.",
                advice=f"If it is gone for good: longshore replica failback {replica.id} --new-machine.",
            )
        require_off(home)
        source.check_way_back(home.ref)
    with clouds.source(record.target_id) as cloud:
        server = cloud.by_reference(failover.server_id or "")
    pairs = _pairs(store.ledger.entries(failover.id), server, home, then, point)
    if made is not None:  # nothing of what its disks hold was ever told
        pairs = tuple(replace(pair, since=None) for pair in pairs)
    return WayHome(server, home, pairs, then.tools is ToolsState.RUNNING)


def find_return(
    store: Store, clouds: Clouds, replica: ReplicaRecord, accept: tuple[str, ...] = (), *, gone: bool = False
) -> Return:
    """Return the way back to a cloud. Nothing is changed by looking. `gone`: the user says that the server that it came
    from is.

    Raise Conflict for what stands against it, NotFound when there is no server to go back from.
    """
    record, failover, point, then = _failed_over(store, replica, accept)
    with clouds.source(record.source_id) as source:
        home = machine_if_there(source, record.machine_ref)
    if home is not None and gone:
        raise _is_there(home)
    if home is not None:
        require_off(home)
    with clouds.source(record.target_id) as cloud:
        server = cloud.by_reference(failover.server_id or "")
    on_server = {disk.key: disk for disk in server.disks}
    volumes = volumes_of(store.ledger.entries(failover.id))
    disks = []
    for was in then.disks:
        now = on_server.get(volumes.get(was.key) or "")
        if now is None:
            raise _drifted(f"The server of {then.name} hasn't got its volume of {was.label} any more.")
        disks.append(replace(was, key=now.key, size=now.size, tracked=now.tracked))
    if len(on_server) > len(disks):
        raise _drifted(f"The server of {then.name} has got more disks since point {point.number}.")
    like = home or then
    if home is not None:  # those that lead to a port go with it
        like = replace(home, nics=tuple(replace(nic, floating_addresses={}) for nic in home.nics))
    return Return(server, home, replace(like, power=server.power, disks=tuple(disks)))


def machine_if_there(source: Source, ref: str) -> Machine | None:
    try:
        return source.by_reference(ref)
    except NotFound:
        return None


def require_off(home: Machine) -> None:
    """Raise Conflict unless the machine is off."""
    if home.power is not PowerState.OFF:
        raise Conflict(
            f"{home.name} isn't off where it came from ({home.power.value}), and its server runs: what both write "
            "can't be brought together.",
            advice="Power the machine off, if what it has written since the failover may be lost.",
            code="source-running",
        )


def _is_there(home: Machine) -> Conflict:
    return Conflict(
        f"{home.name} is still there ({home.ref}).",
        advice="Fail back to it: leave --new-machine out. Or remove it first.",
        code="machine-there",
    )


def machine_to_make(
    store: Store, clouds: Clouds, replica: ReplicaRecord, accept: tuple[str, ...] = (), *, begins: bool = True
) -> Machine:
    """Return the machine as it was at the point that it failed over from. `begins`: nothing is made yet.

    Raise Conflict when the machine that it came from is still there, and for what else stands against it.
    """
    record, _, _, then = _failed_over(store, replica, accept)
    with clouds.source(record.source_id) as source:
        home = machine_if_there(source, record.machine_ref)
        if home is not None and not home.is_another_than(_known(record, then)):
            raise _is_there(home)
        if begins:
            source.check_new_machine(then)
    return then


def _known(record: MigrationRecord, then: Machine) -> Machine:
    """Return the machine as the replica's syncs know it: after a failback, that may be another one than it was `then`,
    at the point."""
    return form(SyncState).validate_python(record.state).prepared.machine if record.state else then


def _failed_over(
    store: Store, replica: ReplicaRecord, accept: tuple[str, ...]
) -> tuple[MigrationRecord, MigrationRecord, PointRecord, Machine]:
    """Return the replica's record, its failover, the point of that, and the machine as it was then.

    Raise Conflict when the replica was adopted, or its guest was converted and that isn't accepted.
    """
    record = store.migrations.get(replica.id)
    if was_adopted(replica.stage, record):
        raise Conflict(
            f"The replica of {record.machine_name} was adopted: where its machine is isn't known.",
            advice="Commit the failover, and protect its server by a replica of its own.",
        )
    failover = store.migrations.get(replica.failover_id or "")
    _refuse_converted(failover, accept)
    point = store.points.get(replica.id, failover.request["point"])
    return record, failover, point, form(Machine).validate_python(point.machine["machine"])


def _refuse_converted(failover: MigrationRecord, accept: tuple[str, ...]) -> None:
    result = failover.result or {}
    landed = (result.get("conversion") or {}).get("landed")
    if (landed != LandingMode.CONVERT.value and not result.get("converted_by")) or CONVERTED in accept:
        return
    raise Conflict(
        f"The guest of {failover.machine_name} was converted for its server, and may not boot on the hardware that it "
        "came from.",
        advice=f"Guests that land as they are (--landing as-is) can go back. To try it all the same: "
        f"--accept {CONVERTED}.",
        code=CONVERTED,
    )


def _pairs(
    entries: list[LedgerRecord], server: Machine, home: Machine, then: Machine, point: PointRecord
) -> tuple[Pair, ...]:
    """Return the pairs of disks. Raise Conflict when the disks aren't those with which it failed over."""
    volumes = volumes_of(entries)
    bases = way_back_snapshots(entries)
    changes = {disk.key: disk.change_id for disk in point.disks}
    on_server = {disk.key: disk for disk in server.disks}
    at_home = {disk.key: disk for disk in home.disks}
    pairs = []
    for was in then.disks:
        now, volume_id = at_home.get(was.key), volumes.get(was.key) or ""
        if now is None or now.size != was.size:
            raise _drifted(f"{was.label} of {home.name} isn't what it was at point {point.number}.")
        if volume_id not in on_server:
            raise _drifted(f"The server of {home.name} hasn't got its volume of {was.label} any more.")
        disk = on_server[volume_id]
        called = Disk(disk.key, now.label, now.position, disk.size, disk.location, disk.storage)
        pairs.append(Pair(called, now, bases.get(volume_id), changes.get(was.key)))
    if len(at_home) > len(pairs) or len(on_server) > len(pairs):
        raise _drifted(f"{home.name} or its server has got more disks since point {point.number}.")
    return tuple(pairs)


def volumes_of(entries: list[LedgerRecord]) -> dict[str, str]:
    """Return the ids of the volumes of a failover's server, by the disks of its point."""
    return {
        entry.step.removeprefix("volume-"): entry.ref
        for entry in entries
        if entry.kind is ThingKind.VOLUME and entry.state not in _GONE and entry.ref
    }


def _drifted(said: str) -> Conflict:
    return Conflict(said, advice="Put the disks back as they were, and try again.", code="drifted")
