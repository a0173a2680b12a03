"""An OpenStack project as a source of machines: see `longshore.providers.contract`.

Changes are told by comparing snapshots, so there is no tracking to be switched.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from longshore.blocks.exports import Export
from longshore.model.changes import Changes
from longshore.model.inventory import Inventory
from longshore.model.machine import VOLUME, Machine, PowerState, Snapshot
from longshore.model.selection import EVERY, MachineFilter
from longshore.model.source_marks import MarkKind
from longshore.model.target import Owner, SourceRoom
from longshore.providers.contract import Source
from longshore.providers.openstack import changes
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.inventory import NovaMachines
from longshore.providers.openstack.lent import lend
from longshore.providers.openstack.loose_volumes import CinderLooseVolumes
from longshore.providers.openstack.machines import ROOT
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.power import NovaPower
from longshore.providers.openstack.project import look
from longshore.providers.openstack.relay_pool import RelayPool
from longshore.providers.openstack.snapshots import CinderSnapshots, owner_of
from longshore.providers.openstack.source_marks import NovaSourceMarks
from longshore.providers.openstack.transport import transport_of
from longshore.providers.openstack.volumes import CinderVolumes


class OpenstackSource(Source):
    """May be used from several threads: keystoneauth's session, which holds all state, allows it."""

    def __init__(
        self, settings: OpenstackSettings, secrets: Mapping[str, str], servers: RelayPool | None = None
    ) -> None:
        """`servers` are needed to read volumes through one."""
        with explained("read the cloud's settings"):
            self._lent = lend(settings, secrets)
        self._connection = self._lent.connection
        self._machines = NovaMachines(self._connection)
        self._power = NovaPower(self._connection)
        self._marks = NovaSourceMarks(self._connection)
        volumes = CinderVolumes(self._connection)
        self._attachments = transport_of(self._connection, settings, volumes, servers)
        self._loose = CinderLooseVolumes(self._connection)
        self._snapshots = CinderSnapshots(self._connection, self.by_reference, volumes, self._attachments)

    def check(self) -> dict[str, str]:
        return look(self._connection)

    def close(self) -> None:
        self._lent.close()

    def machines(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        return self._machines.all(wanted)

    def references(self, wanted: MachineFilter = EVERY) -> list[str]:
        return [machine.ref for machine in self._machines.all(wanted)]

    def describe(self, refs: Sequence[str]) -> Iterator[Machine]:
        return iter(self._machines.describe(refs))

    def tags(self, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {machine.ref: machine.tags for machine in self._machines.describe(refs) if machine.tags}

    def inventory(self) -> Inventory:
        return self._machines.inventory()

    def machine(self, word: str) -> Machine:
        return self._machines.find(word)

    def by_reference(self, ref: str) -> Machine:
        return self._loose.get(ref) if ref.startswith(VOLUME) else self._machines.get(ref)

    def volumes(self) -> list[Machine]:
        return self._loose.all()

    def volume(self, name_or_id: str) -> Machine:
        return self._loose.find(name_or_id)

    def room(self) -> SourceRoom:
        return SourceRoom(Placement(self._connection).quota_room(), self._attachments.reads_volumes)

    def power_state(self, machine_ref: str) -> PowerState:
        return self._power.state(machine_ref)

    def last_start(self, machine_ref: str) -> str | None:
        return self._power.last_start(machine_ref)

    def shut_down(self, machine_ref: str) -> None:
        """Nova asks the guest, and cuts the power when it hasn't shut down in a time of Nova's own (60 s, usually)."""
        self._power.stop(machine_ref)

    def power_off(self, machine_ref: str) -> None:
        self._power.off(machine_ref)

    def power_on(self, machine_ref: str) -> None:
        self._power.on(machine_ref)

    def wait_powered_off(self, machine_ref: str, timeout: float) -> bool:
        return self._power.wait_off(machine_ref, timeout)

    def before_mark(self, machine_ref: str, kind: MarkKind, text: str) -> str | None:
        return self._marks.before(machine_ref, kind, text)

    def mark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> None:
        self._marks.put(machine_ref, kind, text, before)

    def unmark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> bool:
        return self._marks.take_away(machine_ref, kind, text, before)

    def snapshot(self, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
        """Its parts are named after their owner: the name is for clouds that show one snapshot as one thing."""
        return self._snapshots.take(machine_ref, owner, quiesce=quiesce)

    def find_snapshot(self, machine_ref: str, owner: Owner) -> Snapshot | None:
        return self._snapshots.find(machine_ref, owner)

    def remove_snapshot(self, machine_ref: str, snapshot_ref: str) -> None:
        if machine_ref.startswith(VOLUME):
            self._attachments.end_looks(machine_ref.removeprefix(VOLUME))
        self._snapshots.remove(snapshot_ref)

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        return changes.between(self._attachments, since, snapshot, disk_key)

    def make_ready(self, owner: Owner, _machine_ref: str) -> None:
        self._attachments.make_ready(owner)

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        disk = snapshot.disk(disk_key)
        owner = owner_of(snapshot.ref)
        if disk_key == ROOT:
            return self._attachments.open(disk.location, owner, read_only=True)
        volume_id, _, snapshot_id = disk.location.partition("@")
        return self._attachments.open_snapshot(volume_id, snapshot_id, owner)
