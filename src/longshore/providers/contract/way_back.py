"""The way back: what has become of a machine elsewhere is written to the disks that it was copied from."""

from contextlib import AbstractContextManager
from typing import Protocol

from longshore.blocks.exports import Export
from longshore.errors import Conflict, InvalidInput
from longshore.model.machine import Machine, Snapshot
from longshore.model.target import Owner


class WayBack(Protocol):
    """Optional: where machines' disks can be written. They are written only while the machine is off, and above a
    snapshot of ours, which keeps what they held before."""

    def check_way_back(self, machine_ref: str) -> None:
        """Look whether the machine's disks can be written, while nothing is done yet.

        Raises NotFound, InvalidInput for what the settings lack or a disk that no snapshot holds, Conflict for what
        stands against it for the moment. A second call looks again.
        """
        raise InvalidInput(_NONE, advice=_INSTEAD)

    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> AbstractContextManager[Export]:
        """Serve the disk as it is now over NBD, for writing, while the context is open. `snapshot` is the machine's
        newest. It is served as one of `size` bytes: what lies beyond its own end is zero, and nothing else can be
        written there.

        Nothing is asked before the context is entered; what an earlier, killed opening left is taken away then. From
        the first write on, change ids from before mean nothing. Raises NotFound, InvalidInput, ExportError,
        FingerprintMismatch; Conflict when the machine isn't off, the snapshot isn't its newest, or something else has
        the disk open (code file-locked).
        """
        raise InvalidInput(_NONE, advice=_INSTEAD)

    def tracks_writes(self) -> bool:
        """Tell whether change ids that were told before name what is written so, as they do what a guest writes."""
        return True

    def revert(self, machine_ref: str, snapshot_ref: str) -> None:
        """Revert the machine to this snapshot of ours, which stays; what was written since is lost. Returns when the
        machine is off, as it was then. A second call reverts again. Raises NotFound; Conflict when it isn't
        Longshore's, or something has a disk open (code file-locked)."""
        raise Conflict("Machines at this source can't be reverted.")

    # Where the machine itself is gone

    def check_new_machine(self, like: Machine) -> None:
        """Look whether one like this can be made where it was, while nothing is done yet.

        Raises InvalidInput for a place or hardware that there isn't, or that the settings can't write to; Conflict when
        its name is taken there. A second call looks again.
        """
        raise InvalidInput("Machines can't be made at this kind of source.", advice=_INSTEAD)

    def create_machine(self, like: Machine, owner: Owner) -> str:
        """Make a machine with the same name, hardware, MACs and keys of disks, in the same place, that is off, and
        whose disks hold nothing. Returns its reference. A second call with the same owner answers with the machine of
        the first one.

        Raises Conflict when its name is taken, InvalidInput for a place or hardware that there isn't.
        """
        raise InvalidInput("Machines can't be made at this kind of source.", advice=_INSTEAD)

    def set_boot_order(self, machine_ref: str, like: Machine) -> tuple[str, ...]:
        """Have a machine that `create_machine` made like this one boot in its order. Returns what of that it doesn't
        have, in words. A second call sets it again.

        Raises NotFound; AccessDenied where that may not be set.
        """
        return ()

    def find_machine(self, name: str, owner: Owner) -> str | None:
        """Return the reference of a machine of this name that `create_machine` made for this owner. One that is being
        made is waited for, so that None is the last word."""
        return None

    def delete_machine(self, machine_ref: str, owner: Owner) -> None:
        """Delete a machine with its disks. What is gone already is left alone. Raises Conflict when it runs, or isn't
        this owner's."""
        raise Conflict("Machines at this source aren't deleted.")


_NONE = "Disks of machines at this kind of source can't be written."
_INSTEAD = "Commit the failover, and protect its server by a replica of its own."
