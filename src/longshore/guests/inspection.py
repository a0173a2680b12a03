"""The operating system on a machine's disks."""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import partial

import guestfs

from longshore.errors import ConversionError
from longshore.guests.misread import reason
from longshore.guests.report import OperatingSystem

NOT_LOOKED_INTO = "guest-not-inspected"  # code of the error when the disks are there but don't show one system
_SUBVOLUME = "btrfsvol:"
# Boot Loader Specification's entries, what they take their options from, GRUB's menus, and what the next kernels get
_COMMAND_LINES = (
    "/boot/loader/entries/*.conf",
    "/boot/grub*/grubenv",
    "/boot/grub*/grub.cfg",
    "/boot/efi/EFI/*/grub.cfg",
    "/etc/kernel/cmdline",
)
_LARGEST_TEXT = 1 << 20  # bytes; a longer one isn't what its name says
_BOOTED = re.compile(rb"\brootflags=(?:[^\s,\"']+,)*subvol=/*([^\s,\"']+)")


def inspect(handle: guestfs.GuestFS) -> OperatingSystem:
    """Return the one operating system on the disks of a launched appliance. Raises ConversionError for none or
    several."""
    return the_one(find_systems(handle))


def find_systems(handle: guestfs.GuestFS) -> list[OperatingSystem]:
    """Return all operating systems on the disks of a launched appliance; snapshots of one are none. Raises
    ConversionError."""
    try:
        return _without_snapshots(_describe_all(handle))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 a guest's text may make any of it raise
        said = f"The guest's disks couldn't be inspected: {reason(error)}."
        raise ConversionError(said, code=NOT_LOOKED_INTO) from None


def the_one(systems: Sequence[OperatingSystem]) -> OperatingSystem:
    """Return the one system that was found on a machine's disks. Raises ConversionError for none or several."""
    if not systems:
        raise ConversionError(
            "No operating system was found on the machine's disks.",
            advice="Encrypted disks and unknown file systems can't be looked into; such a machine can land as it is.",
            code=NOT_LOOKED_INTO,
        )
    if len(systems) > 1:
        found = ", ".join(f"{system.product} on {system.root}" for system in systems)
        raise ConversionError(
            f"The machine's disks hold several operating systems: {found}.",
            advice="Such a machine can't be converted, but it can land as it is (--landing as-is).",
            code=NOT_LOOKED_INTO,
        )
    return systems[0]


def is_as_found(handle: guestfs.GuestFS, system: OperatingSystem) -> bool:
    """Tell whether the devices on which an earlier appliance found the system's files are the same ones in this.

    Names of arrays and disks are given anew at each start.
    """
    with suppress(RuntimeError):
        return "/" in system.uuids and all(
            handle.vfs_uuid(system.mounts[place]) == uuid for place, uuid in system.uuids.items()
        )
    return False


def _describe_all(handle: guestfs.GuestFS) -> list[OperatingSystem]:
    roots = handle.inspect_os()
    btrfs = any(root.startswith(_SUBVOLUME) or handle.vfs_type(root) == "btrfs" for root in roots)
    subvolumes = _subvolumes(handle) if btrfs else {}
    systems = [_describe(handle, _root(handle, root, subvolumes), subvolumes) for root in roots]
    found = {system.root for system in systems}
    return [_with_its_root(handle, system, found) for system in systems]


def _describe(handle: guestfs.GuestFS, root: str, subvolumes: Mapping[str, Sequence[str]]) -> OperatingSystem:
    distribution = handle.inspect_get_distro(root)
    told = partial(_in_text, root=root)
    variant = handle.inspect_get_product_variant(root)
    mounts = handle.inspect_get_mountpoints(root)
    named = {place: _canonical(device, subvolumes, beside=root)[0] for place, device in mounts.items()}
    return OperatingSystem(
        root=root,
        family=handle.inspect_get_type(root),
        distribution=distribution,
        version=f"{handle.inspect_get_major_version(root)}.{handle.inspect_get_minor_version(root)}",
        product=full_name(told(handle.inspect_get_product_name), distribution),
        architecture=handle.inspect_get_arch(root),
        package_format=handle.inspect_get_package_format(root),
        host_name=told(handle.inspect_get_hostname),
        mounts=named,
        uuids=_uuids(handle, named),
        variant="" if variant == "unknown" else variant,
    )


def _in_text(ask: Callable[[str], str], root: str) -> str:
    """Return "unknown", as libguestfs says it, for what the guest's own files don't say in UTF-8."""
    try:
        return ask(root)
    except UnicodeDecodeError:
        return "unknown"


def _with_its_root(handle: guestfs.GuestFS, system: OperatingSystem, roots: Set[str]) -> OperatingSystem:
    """Name the root as the boot menu does, where fstab doesn't say what / is, or not which subvolume.

    Where it calls it by a name that nothing has here, it is what libguestfs has found it on.
    """
    said = system.mounts.get("/")
    if said is not None and not _is_there(handle, said):  # by a name that only the guest's own hardware gives it
        mounts = {**system.mounts, "/": system.root}
        return replace(system, mounts=mounts, uuids=_uuids(handle, mounts))
    if said is not None and (said in roots or not system.root.startswith(f"{_SUBVOLUME}{said}/")):
        return system
    root = system.root
    if said is not None:
        with suppress(RuntimeError):
            root = f"{_SUBVOLUME}{said}/{_booted_subvolume(handle, system.root, system.mounts.get('/boot'))}"
    mounts = {**system.mounts, "/": root if root in roots else system.root}
    return replace(system, mounts=mounts, uuids=_uuids(handle, mounts), root_in_fstab=False)


def _is_there(handle: guestfs.GuestFS, mountable: str) -> bool:
    with suppress(RuntimeError):
        handle.vfs_type(mountable)
        return True
    return False


def _uuids(handle: guestfs.GuestFS, mounts: Mapping[str, str]) -> dict[str, str]:
    uuids = {}
    for place, device in mounts.items():
        with suppress(RuntimeError):  # a line in fstab for a disk that isn't there
            uuids[place] = handle.vfs_uuid(device)
    return uuids


def _subvolumes(handle: guestfs.GuestFS) -> dict[str, list[str]]:
    """Return the devices on which there is a subvolume, by its path."""
    found: dict[str, list[str]] = {}
    for device, kind in handle.list_filesystems().items():
        if kind != "btrfs" or device.startswith(_SUBVOLUME):
            continue
        with suppress(RuntimeError):
            handle.mount_ro(device, "/")
            for subvolume in handle.btrfs_subvolume_list("/"):
                found.setdefault(subvolume["btrfssubvolume_path"], []).append(device)
        handle.umount_all()
    return found


def _root(handle: guestfs.GuestFS, told: str, subvolumes: Mapping[str, Sequence[str]]) -> str:
    """Return the name by which libguestfs can be asked about the root."""
    for name in _canonical(told, subvolumes, beside=told):
        with suppress(RuntimeError):
            handle.inspect_get_type(name)
            return name
    return told


def _canonical(device: str, subvolumes: Mapping[str, Sequence[str]], beside: str) -> list[str]:
    """Return the spellings of a subvolume, its disk as libguestfs calls disks everywhere else; the likeliest first.

    Of subvolumes libguestfs copies the path as fstab has it (subvol=/@/home), and tells the disk's name in this run of
    the appliance, whose kernel may have found the disks in another order. But what it is told it takes for the proper
    names. Where several disks have such a subvolume, it is taken to be on the one that has `beside`.
    """
    if not device.startswith(_SUBVOLUME):
        return [device]
    words = device.removeprefix(_SUBVOLUME).replace("//", "/").split("/")
    for end in range(3, len(words)):  # /dev/sda1, or the longer /dev/vg/root
        path = "/".join(words[end:])
        if devices := subvolumes.get(path):
            near = [there for there in devices if f"{beside}/".startswith((f"{there}/", f"{_SUBVOLUME}{there}/"))]
            return [f"{_SUBVOLUME}{there}/{path}" for there in dict.fromkeys((*near, *devices))]
    return [f"{_SUBVOLUME}{'/'.join(words)}"]


def _without_snapshots(systems: Sequence[OperatingSystem]) -> list[OperatingSystem]:
    """A snapshot of a root has that root's fstab, which says of another subvolume that it is /.

    A file system's default subvolume goes by the file system's own name, and not by that which fstab may give it.
    """
    roots = {system.root for system in systems}

    def is_its_own(system: OperatingSystem) -> bool:
        named = system.mounts.get("/", system.root)
        return named == system.root or (named.startswith(f"{_SUBVOLUME}{system.root}/") and named not in roots)

    own = [system for system in systems if is_its_own(system)]
    booted = {system.mounts.get("/", system.root) for system in own}
    return own + [system for system in systems if system not in own and system.mounts["/"] not in booted]


def full_name(product: str, distribution: str) -> str:
    """Return a product's name as libguestfs tells it: of Debian it is the bare content of /etc/debian_version."""
    if any(letter.isalpha() for letter in product):
        return product
    return f"{distribution.capitalize()} {product}".strip()


def _booted_subvolume(handle: guestfs.GuestFS, root: str, boot: str | None) -> str:
    """Return the path of the subvolume that is booted, as the first place that has one says; "" for none.
    Raises RuntimeError.

    `root` and `boot`, if that is a file system of its own, are mounted for it, and nothing is mounted afterwards.
    """
    try:
        handle.mount_ro(root, "/")
        if boot is not None:
            handle.mount_ro(boot, "/boot")
        for path in (path for place in _COMMAND_LINES for path in handle.glob_expand(place)):
            if handle.filesize(path) <= _LARGEST_TEXT and (found := _BOOTED.search(handle.read_file(path))):
                return found[1].decode(errors="replace")
        return ""
    finally:
        handle.umount_all()
