"""Volumes that machines' disks are copied to: made, opened for writing, snapshotted, taken back."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from longshore.blocks.exports import Export
from longshore.model.target import Marked, Owner, Volume, VolumeRequest, VolumeSnapshot


class Disks(Protocol):
    def make_ready(self, owner: Owner) -> None:
        """Begin what opening volumes needs and takes its time, so that its failure shows before a source is stopped.
        What was begun already goes on."""

    def create_volume(self, request: VolumeRequest, owner: Owner) -> Volume:
        """Returns once the volume is available. One that carries this owner already is answered instead; one that came
        to nothing is made anew. Raises QuotaExceeded, InvalidInput for a size that none can have."""

    def find_volume(self, owner: Owner) -> Volume | None:
        """Return the volume that carries this owner, in whatever state it is."""

    def has_volume(self, volume_id: str) -> bool:
        """Tell whether the volume is there, whoever's it is by now and whatever state it is in."""

    def open_volume(self, volume_id: str, owner: Owner) -> AbstractContextManager[Export]:
        """Serve the volume over NBD for writing. It is reserved in the cloud meanwhile, and freed at the end.

        Nothing is asked before the context is entered; a reservation that a killed process of ours left behind is taken
        over then. Nobody opens it a second time while it is open. Raises NotFound, ExportError, and Conflict when the
        volume isn't of this owner's workflow, or a server holds it.
        """

    def finish_volume(self, volume_id: str, request: VolumeRequest) -> None:
        """Set what a server made from it needs (bootable flag, image properties) and what else is to be said of it. A
        second call sets the same again. Raises NotFound."""

    def snapshot_volume(self, volume_id: str, owner: Owner, notes: Mapping[str, str] | None = None) -> VolumeSnapshot:
        """Returns once it is available. One that carries this owner already is answered instead. `notes` go with it:
        keys and values of at most 255 characters.

        Raises NotFound, QuotaExceeded.
        """

    def find_volume_snapshot(self, owner: Owner) -> VolumeSnapshot | None:
        """Return the snapshot that carries this owner, in whatever state it is."""

    def marked(self, key: str) -> Marked:
        """Return the project's volumes and snapshots whose metadata has this key, whoever has put it there."""

    def snapshots_of(self, volume_ids: Sequence[str]) -> frozenset[str]:
        """Return the ids of these volumes' snapshots that a volume can be made of, as the cloud has them now. A volume
        that is gone has none."""

    def revert_volume(self, volume_id: str, snapshot_id: str) -> None:
        """Revert the volume to its latest snapshot; to no other. Detaches what we attached ourselves first. A second
        call reverts again. Raises Conflict when a server holds the volume."""

    def delete_volume_snapshot(self, snapshot_id: str) -> None:
        """Returns when it is gone. Nothing to do when it isn't there. Raises Conflict when something made from it keeps
        it alive."""

    def delete_volume(self, volume_id: str) -> None:
        """Returns when it is gone; detaches what we attached ourselves first. Nothing to do when it isn't there.

        Raises Conflict while it has snapshots, or a server holds it.
        """
