"""One moment of all disks of a machine, and how it is read."""

from contextlib import AbstractContextManager
from typing import Protocol

from longshore.blocks.exports import Export
from longshore.model.changes import Changes, Unknown
from longshore.model.machine import Snapshot
from longshore.model.target import Owner


class Snapshots(Protocol):
    """`machine_ref` may be that of a loose volume (`longshore.model.machine.VOLUME`), where there are such."""

    def snapshot(self, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
        """Take a snapshot: one moment for all disks that can be read, or the nearest to it (`Snapshot.one_moment`).

        A running guest is frozen if possible; `quiesce`: it must be. One that carries this owner already is answered
        instead of a second one. Raises NotFound, QuotaExceeded; Conflict when none can be taken (code quiesce-failed:
        the guest couldn't be frozen, and nothing was left).
        """

    def find_snapshot(self, machine_ref: str, owner: Owner) -> Snapshot | None:
        """Return the snapshot that carries this owner, also one that isn't whole. One that is still being made is
        waited for: None means that none will appear. Raises NotFound where a machine that is gone has taken its
        snapshots along."""

    def remove_snapshot(self, machine_ref: str, snapshot_ref: str) -> None:
        """Returns when it is gone and its changes are merged; other snapshots stay. Nothing to do when it isn't there.

        Raises NotFound as above; Conflict when it isn't Longshore's, or something still reads it (code file-locked):
        asking again later may do.
        """

    def make_ready(self, owner: Owner, machine_ref: str) -> None:
        """Begin what opening this machine's disks needs and takes its time, so that a machine that is stopped needn't
        wait for it; what stands against it is raised while the machine still runs. What was begun already goes on.

        Raises NotFound, InvalidInput for what the settings lack, FingerprintMismatch.
        """

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        """Serve the disk as the snapshot holds it, read-only over NBD, while the context is open.

        Nothing is asked before the context is entered; what an earlier, killed opening left is taken away then. Raises
        NotFound (snapshot or disk), Conflict, InvalidInput, FingerprintMismatch, ExportError; when it is left, NotFound
        if what was read isn't of one moment.
        """


class ChangeTracking(Protocol):
    """Optional: a source that can tell what was written since an earlier snapshot. Else whole disks are compared."""

    def set_change_tracking(self, machine_ref: str, on: bool) -> bool:
        """Switch the tracking of changed blocks; says whether anything had to be changed: a second call says False.

        To be able to switch it back, remember `Machine.change_tracking` before. Raises NotFound; Conflict when the
        machine can't track, or not now.
        """
        return False

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        """Return what was written between change id `since` and the snapshot, in bytes; Unknown whenever the source
        can't tell, which is never raised. A second call may answer otherwise: the first answer is the one to keep."""
        return Unknown("The source keeps no account of what changes.")
