"""Files as a source of machines: what `longshore.providers.contract.Source` asks for.

A machine in a file is always off. Nothing can be asked of it but its disks, and nothing is ever written.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

from longshore.blocks.exports import Export
from longshore.errors import Conflict, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.model.machine import Doubt, FileDoubt, Machine, PowerState, Snapshot, SnapshotDisk
from longshore.model.selection import EVERY, MachineFilter
from longshore.model.target import Owner
from longshore.providers.files.description import Description
from longshore.providers.files.families import Families
from longshore.providers.files.images import is_image
from longshore.providers.files.local import LocalPlace
from longshore.providers.files.machines import (
    BACKUPS,
    DESCRIBED,
    all_in,
    described,
    file_of,
    is_archive,
    refuse_unread,
    without_suffix,
)
from longshore.providers.files.platform import PLATFORM
from longshore.providers.files.settings import FilesSettings, path_of
from longshore.providers.files.stored import FilesPlace, printable
from longshore.providers.files.web import WebPlace
from longshore.providers.never_runs import NeverRuns


class FilesSource(NeverRuns):
    """Holds nothing open between calls. May be used from several threads."""

    def __init__(self, settings: FilesSettings) -> None:
        """Open the files. Raises AccessDenied for a directory that a server doesn't read for its callers."""
        self._settings = settings
        self._place: FilesPlace
        if settings.is_local:
            beneath = PurePosixPath(settings.beneath) if settings.beneath is not None else None
            self._place = LocalPlace(path_of(settings.url), beneath, settings.reach)
        else:
            self._place = WebPlace(settings.url, settings.ca_file, settings.reach)

    def __repr__(self) -> str:
        return f"FilesSource({self._settings.url})"

    def check(self) -> dict[str, str]:
        """Return what is there, by its names. Raises NotFound, AccessDenied, InvalidInput, Unreachable."""
        paths = self._families().heads()
        if self._place.is_one():
            refuse_unread(PurePosixPath(self._place.files()[0]).name)
        if not paths and self._place.is_one():
            raise InvalidInput(
                f"{self._settings.url} is neither an OVA nor an OVF nor a disk image by its name.",
                advice="Its name must end with .ova, .ovf, .vmdk, .vhd, .vhdx, .qcow2, .raw or .img (and .gz or .xz), "
                "or with .tar.gz.",
            )
        if not self._settings.is_local:
            with self._place.bundle(paths[0]) as bundle:
                bundle.open(paths[0])
        return {"name": self._settings.url, "machines": str(len(paths))}

    def machines(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        """Yield the machines. One that can't be read is among them, as that."""
        if wanted.tag is not None or wanted.cluster is not None or wanted.power not in (None, PowerState.OFF):
            return
        families = self._families()
        for path in families.heads():
            if not wanted.has_folder("/".join(PurePosixPath(path).parts[:-1])):
                continue
            yield from (_aged(machine, families) for machine in self._in(path) if wanted.has_name(machine.name))

    def describe(self, refs: Sequence[str]) -> Iterator[Machine]:
        families = self._families()
        for ref in refs:
            try:
                with all_in(self._place, file_of(self._place, ref)) as found:
                    wanted = (self._shown(description) for description in found if description.ref == ref)
                    yield from (_aged(machine, families) for machine in wanted)
            except NotFound:
                continue
            except InvalidInput as error:
                yield _unreadable(ref, error)

    def by_reference(self, ref: str) -> Machine:
        with described(self._place, ref) as description:
            return _aged(description.machine(self._settings), self._families())

    def machine(self, word: str) -> Machine:
        """Return the machine by its path below the provider's directory, else by its name; of one in backups the
        newest. Raises NotFound, Conflict, InvalidInput."""
        try:
            return self.by_reference(word)
        except NotFound:
            if file_of(self._place, word) in self._place.files():
                raise  # it is there, and something that it consists of isn't
        found = [machine for machine in self.machines() if machine.name == word]
        if not found:
            raise NotFound(
                f"There is no machine {printable(word)} in {self._settings.url}.",
                advice="longshore machine list shows them.",
            )
        dated = [(machine.as_of.moment, machine) for machine in found if machine.as_of]
        if len(dated) == len(found) and len({machine.instance_uuid for machine in found}) == 1:
            found = [max(dated, key=lambda one: one[0])[1]]
        if len(found) > 1:
            paths = ", ".join(machine.ref for machine in found)
            raise Conflict(f"Several machines are called {word}: {paths}.", advice="Name one by its path.")
        return self.by_reference(found[0].ref)  # which says what is wrong with it

    def snapshot(self, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
        """Describe the files: nothing is made, they are what they are, and the snapshot says which."""
        with described(self._place, machine_ref) as description:
            machine = description.machine(self._settings)
            disks = tuple(SnapshotDisk(disk.key, disk.location, disk.size, None) for disk in machine.disks)
            return Snapshot(description.state, machine_ref, name, disks)

    def check_machine(
        self, machine_ref: str, on_progress: Callable[[int, int], None], accept: Collection[str] = ()
    ) -> tuple[FileDoubt, ...]:
        """Check its files against their manifest, if they have one, and that no image is cut off. Raises
        InvalidInput."""
        known = self.by_reference(machine_ref).file_doubts
        with described(self._place, machine_ref) as description:
            found = tuple(description.check(on_progress))
        against = [doubt for doubt in (*known, *found) if doubt.kind.stops and doubt.kind.value not in accept]
        if against:
            codes = dict.fromkeys(doubt.kind.value for doubt in against)
            again = "Copy or export it again. " if {Doubt.MISSING, Doubt.MANIFEST} & {d.kind for d in against} else ""
            raise InvalidInput(
                " ".join(dict.fromkeys(doubt.text for doubt in against)),
                advice=f"{again}To go on all the same: {' '.join(f'--accept {c}' for c in codes)}.",
                code=next(iter(codes)),
            )
        return found

    @contextmanager
    def open_disk(self, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
        with described(self._place, snapshot.machine_ref) as description:
            _refuse_changed(description, snapshot)
            try:
                size = snapshot.disk(disk_key).size
            except KeyError:
                raise NotFound(f"{snapshot.machine_ref} has no disk {disk_key}.") from None
            with description.serve(disk_key, size) as export:
                yield export
        with described(self._place, snapshot.machine_ref) as description:  # nor has it been while it was read
            _refuse_changed(description, snapshot)

    def _in(self, path: str) -> Iterator[Machine]:
        """Yield the machines of one file; one that can't be read as a machine of which nothing is known but why."""
        try:
            with all_in(self._place, path) as found:
                yield from map(self._shown, found)
        except Unreachable:
            raise
        except LongshoreError as error:
            yield _unreadable(path, error)

    def _shown(self, description: Description) -> Machine:
        try:
            return description.machine(self._settings)
        except Unreachable:
            raise
        except LongshoreError as error:
            if description.recorded is None:
                return _unreadable(description.ref, error)
            machine, why = description.recorded.machine, error.message
            return replace(machine, ref=description.ref, disks=(), unreadable=True, unreadable_because=why)

    def _families(self) -> Families:
        """Look which files there are. Raises NotFound, AccessDenied, InvalidInput."""
        files = self._place.files()
        plain = set() if self._place.is_one() else set(without_suffix(self._place, files))
        machines = [path for path in files if _is_machine(path) or path in plain or is_archive(self._place, path)]
        return Families(self._place if self._settings.is_local else None, files, machines)


def _aged(machine: Machine, families: Families) -> Machine:
    """Add doubts to a machine whose disk has a newer state beside it, or is one of several of a machine."""
    if further := families.further_disks(machine.ref):
        text = (
            f"{printable(machine.ref)} is one of several disks of a machine, as its .vmx or .vbox says. The others are "
            f"machines of their own here: {printable(', '.join(further))}."
        )
        machine = replace(machine, file_doubts=(FileDoubt(Doubt.UNUSED, machine.name, text), *machine.file_doubts))
    if absent := families.absent_disks(machine.ref):
        text = (
            f"{printable(machine.ref)} is one of several disks of a machine, as its .vmx or .vbox says, and not all of "
            f"them are here: {printable(', '.join(absent))}."
        )
        machine = replace(machine, file_doubts=(FileDoubt(Doubt.UNUSED, machine.name, text), *machine.file_doubts))
    if families.is_suspended(machine.ref):
        text = (
            f"The machine of {printable(machine.ref)} was suspended when its files were copied: what it had in memory, "
            "and hadn't written yet, isn't on its disks."
        )
        machine = replace(machine, file_doubts=(FileDoubt(Doubt.SUSPENDED, machine.name, text), *machine.file_doubts))
    if not (newer := printable(families.counts_instead(machine.ref))):
        return machine
    text = f"{printable(machine.ref)} isn't the present state of its disk: that is in {newer}."
    if not _is_machine(newer):
        text += " Give that a name that ends with .qcow2, and it is read."
    return replace(machine, file_doubts=(FileDoubt(Doubt.OLDER, machine.name, text), *machine.file_doubts))


def _is_machine(path: str) -> bool:
    """Tell whether a file is one by its name, or would be if it could be read; or a directory that can't be read."""
    name = PurePosixPath(path).name
    try:
        refuse_unread(name)
    except InvalidInput:
        return True
    return path.endswith("/") or name.lower().endswith(DESCRIBED) or name in BACKUPS or is_image(name)


def _refuse_changed(description: Description, snapshot: Snapshot) -> None:
    """Raise Conflict when the machine's files have changed since the snapshot."""
    if description.state != snapshot.ref:
        raise Conflict(
            f"The files of {snapshot.machine_ref} have been changed since the migration began.",
            advice="Start a new migration.",
        )


def _unreadable(ref: str, error: LongshoreError) -> Machine:
    name = PurePosixPath(ref).stem
    why = error.message
    return Machine(ref, name, PowerState.OFF, 0, 0, (), (), platform=PLATFORM, unreadable=True, unreadable_because=why)
