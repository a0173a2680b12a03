"""An OpenStack project as a source of machines: see `longshore.providers.contract`.

Changes are told by comparing snapshots, so there is no tracking to be switched.
"""

from contextlib import AbstractContextManager

from longshore.blocks.exports import Export
from longshore.model.changes import Changes
from longshore.model.machine import VOLUME, Machine, Snapshot
from longshore.model.target import Owner, SourceRoom
from longshore.providers.contract import Source
from longshore.providers.openstack import changes
from longshore.providers.openstack.inventory import NovaMachines
from longshore.providers.openstack.loose_volumes import CinderLooseVolumes
from longshore.providers.openstack.machines import ROOT
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.power import NovaPower
from longshore.providers.openstack.snapshots import CinderSnapshots, owner_of
from longshore.providers.openstack.source_marks import NovaSourceMarks


class OpenstackSource(CinderSnapshots, NovaMachines, CinderLooseVolumes, NovaPower, NovaSourceMarks, Source):
    def by_reference(self, ref: str) -> Machine:
        of = CinderLooseVolumes if ref.startswith(VOLUME) else NovaMachines
        return of.by_reference(self, ref)

    def room(self) -> SourceRoom:
        return SourceRoom(Placement(self._connection).quota_room(), self._attachments.reads_volumes)

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
