"""The machines that a source has, and what they are like. Nothing here changes anything."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from longshore.errors import NotFound
from longshore.model.inventory import Inventory
from longshore.model.machine import FileDoubt, Machine
from longshore.model.selection import EVERY, MachineFilter
from longshore.model.target import SourceRoom


class Machines(Protocol):
    def machines(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        """Yield those of the machines that the credentials may see that fit, as pages of them come in.

        They have their tags only if the filter names one: reading tags may take calls of its own. One of which the
        source knows little is among them, as that (`Machine.unreadable`). Raises NotFound for a tag that isn't there.
        """

    def references(self, wanted: MachineFilter = EVERY) -> list[str]:
        """Return the references of the same machines, in the same order, which may take much less than describing
        them."""

    def describe(self, refs: Sequence[str]) -> Iterator[Machine]:
        """Yield the machines of these references, without tags. Those that are gone are left out; nothing is raised for
        them."""

    def machine(self, word: str) -> Machine:
        """Return the one machine that a person means by its reference, name or path, as it is now.

        Raises NotFound, or Conflict when the word fits several, be it the name of one and the reference of another; the
        message says what to name instead.
        """

    def by_reference(self, ref: str) -> Machine:
        """Return the machine of this reference and no other one, as it is now; or the loose volume. Raises NotFound."""

    def inventory(self) -> Inventory:
        """Return what the machines are in, on and attached to."""


class Registered(Protocol):
    """Optional: where a machine may come back under another reference, as vCenter has it that is registered anew."""

    def registered_as(self, known: Machine) -> str | None:
        """Find the reference that this machine has now, by its instance UUID, else by its BIOS UUID, if only one has
        that and its disks are where this one's were; None: it isn't found."""
        return None


class Tags(Protocol):
    """Optional: where tags are read apart from machines (`Traits.tags_apart`)."""

    def tags(self, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the tags of the machines that have any, by reference; CATEGORY/NAME where there are categories."""
        return {}


class LooseVolumes(Protocol):
    """Optional: where disks live without machines, too. Each is described as a machine of this one disk."""

    def volumes(self) -> list[Machine]:
        """Return the volumes that no machine has, by name."""
        return []

    def volume(self, name_or_id: str) -> Machine:
        """Return the one of them that a person means by its id or name.

        Raises NotFound, or Conflict when a machine has it (code volume-attached) or the word fits several.
        """
        raise NotFound(
            f"There is no volume {name_or_id}: at this source disks belong to machines.", advice="Move the machine."
        )


class WholeDisks(Protocol):
    """Optional: where a machine's disks may be damaged, or not what they are said to be."""

    def check_machine(
        self, machine_ref: str, on_progress: Callable[[int, int], None], accept: Collection[str] = ()
    ) -> tuple[FileDoubt, ...]:
        """Read what tells whether the machine's disks are whole, before anything is made of them; it may take long.
        What speaks against it, beside what the machine has among its own doubts.

        `on_progress` gets how many bytes of how many have been read, and may raise. Raises InvalidInput for a machine
        that mustn't be moved, or that has doubts which stop, of other codes than the user accepts. A second call reads
        all of it again.
        """
        return ()


class SourceQuota(Protocol):
    """Optional: where what is made to read disks counts against a quota (`Traits.in_quota`)."""

    def room(self) -> SourceRoom | None:
        """Return what the quota still allows; None: nothing of that is counted."""
        return None
