"""The EFI system partition, and the loader on it that UEFI firmware falls back to.

A cloud gives a server fresh firmware variables, so nothing says there which loader is the guest's: the firmware starts
\\EFI\\BOOT\\BOOTX64.EFI. An installer may have put its loader elsewhere only.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from longshore.guests.appliance import Guest

_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # in a GPT
_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_MBR_TYPE = "0xef"
_FALLBACK = "/EFI/BOOT/BOOTX64.EFI"
# Loaders as installers name them, best first, and the files they look for beside themselves
_LOADERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("shimx64.efi", ("grubx64.efi", "mmx64.efi")),
    ("shim.efi", ("grub.efi", "MokManager.efi")),
    ("grubx64.efi", ()),
    ("grub.efi", ()),
    ("bootmgfw.efi", ()),
    ("systemd-bootx64.efi", ()),
)


def has_fallback_loader(guest: Guest) -> bool | None:
    """Tell whether there is a fallback loader; None when there is no EFI system partition. The guest's file systems
    aren't mounted any more after it."""
    with _mounted(guest, read_only=True) as there:
        return _path(guest, _FALLBACK) is not None if there else None


def boots_by_uefi(guest: Guest) -> bool:
    """Tell whether the guest boots by UEFI, as virt-v2v finds it out: a GPT has an EFI system partition, and none for a
    boot loader of the BIOS."""
    types = {kind for _, kind in _types(guest)}
    return _TYPE in types and _BIOS_BOOT not in types


def on_another_disk(guest: Guest) -> Iterator[str]:
    """Yield a sentence where the EFI system partition is on another disk than the first, from which servers boot."""
    device = next(_partitions(guest), None)
    if device is not None and (position := guest.files.device_index(guest.disk_of(device))):
        yield (
            f"Its EFI system partition is on disk {position + 1}, and a server boots from the first of its disks: it "
            "may find no loader there."
        )


def put_fallback_loader(guest: Guest) -> list[str]:
    """Copy the guest's own loader to where firmware without variables looks for it, unless one is there.

    One sentence for what was changed. The guest's file systems aren't mounted any more after it.
    """
    with _mounted(guest, read_only=False) as there:
        if not there or _path(guest, _FALLBACK) is not None:
            return []
        found = _loader(guest)
        if found is None:
            return []
        directory, name, companions = found
        target = _FALLBACK.rpartition("/")[0]
        guest.files.mkdir_p(target)
        guest.files.cp(f"{directory}/{name}", _FALLBACK)
        for companion in companions:
            if source := _path(guest, f"{directory}/{companion}"):
                guest.files.cp(source, f"{target}/{companion}")
    said = f"{directory}/{name} was copied to {_FALLBACK}".replace("/", "\\")
    return [f"{said}, where UEFI looks for a loader that its variables don't name."]


def _loader(guest: Guest) -> tuple[str, str, tuple[str, ...]] | None:
    """Return the (directory, file name, companions) of the loader that the installer put there."""
    paths = [f"/{path}" for path in guest.paths_below("/") if path.lower().endswith(".efi")]
    for name, companions in _LOADERS:
        for path in sorted(paths):
            directory, _, file_name = path.rpartition("/")
            if file_name.lower() == name.lower():
                return directory, file_name, companions
    return None


def _path(guest: Guest, path: str) -> str | None:
    """Return the path as it is written there: FAT doesn't mind upper and lower case, the appliance's kernel may."""
    with suppress(RuntimeError):
        found: str = guest.files.case_sensitive_path(path)
        return found if guest.files.exists(found) else None
    return None


@contextmanager
def _mounted(guest: Guest, *, read_only: bool) -> Iterator[bool]:
    """Mount the EFI system partition of the first disk that has one as the root; say whether there is one."""
    files = guest.files
    files.umount_all()
    device = next(_partitions(guest), None)
    there = False
    if device is not None:
        with suppress(RuntimeError):  # never formatted, or damaged: the guest doesn't boot from it then
            (files.mount_ro if read_only else files.mount)(device, "/")
            there = True
    yield there
    files.umount_all()


def _partitions(guest: Guest) -> Iterator[str]:
    """Yield the EFI system partitions."""
    return (device for device, kind in _types(guest) if kind in (_TYPE, _MBR_TYPE))


def _types(guest: Guest) -> Iterator[tuple[str, str]]:
    """Yield each partition, and of which type its table says it is: a GUID in capitals, or as 0xef in an MBR."""
    files = guest.files
    for device in files.list_partitions():
        disk, number = guest.disk_of(device), files.part_to_partnum(device)
        with suppress(RuntimeError):  # a disk without a partition table that parted knows
            if files.part_get_parttype(disk) == "gpt":
                yield device, files.part_get_gpt_type(disk, number).upper()
            else:
                yield device, f"{files.part_get_mbr_id(disk, number):#04x}"
