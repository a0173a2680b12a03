"""Disks' names in a guest whose boot menu in the EFI partition is a wrapper: EL from 9 and Fedora from 34 on by UEFI.

virt-v2v renames sda to vda in fstab, GRUB's device map and its default command line, and then has the menu in the EFI
partition made anew. Where that is a wrapper, which only leads to the menu in /boot, grub2-mkconfig refuses to
overwrite it, and so the conversion fails (up to virt-v2v 2.6; RHEL-32099). Without such names there is nothing to
rename. A UUID is the better name anyway.
"""

import re
from contextlib import suppress

from longshore.guests.appliance import Guest
from longshore.guests.report import OperatingSystem

_EFI = "/boot/efi"
_WRAPPER = re.compile(r"^\s*configfile\s+\S*/grub\.cfg", re.MULTILINE)
_DEVICE_MAP = "/boot/grub2/device.map"
_FSTAB, _DEFAULTS = "/etc/fstab", "/etc/default/grub"
_DISK = r"/dev/(?:sd|hd|vd|xvd)[a-z]+\d*"  # the names that it renames
_IN_FSTAB = re.compile(rf"^(\s*)({_DISK})(?=\s)", re.MULTILINE)
_IN_DEFAULTS = re.compile(rf"(\b(?:root|resume)=)({_DISK})(?=[\s\"'])")


def may_have_wrapper(system: OperatingSystem | None) -> bool:
    """Tell whether it is worth a start of the appliance to look for a wrapper: also where nobody could say what is
    mounted."""
    return system is not None and system.package_format == "rpm" and (not system.mounts or _EFI in system.mounts)


def name_disks_by_uuid(guest: Guest) -> list[str]:
    """Name by UUID what virt-v2v would rename, and nothing in a guest whose menu is no wrapper. A sentence for what was
    changed."""
    files = guest.files
    if not files.is_dir(_EFI):  # fstab may name it, and nothing be there
        return []
    menus = [f"{_EFI}/{path}" for path in files.find(_EFI) if re.fullmatch(r"/?EFI/[^/]+/grub\.cfg", path)]
    if not any(_WRAPPER.search(guest.text(path)) for path in menus):
        return []
    changes = []
    if files.is_file(_DEVICE_MAP):
        files.rm(_DEVICE_MAP)
        changes.append(f"{_DEVICE_MAP} is removed: it names disks of the old hypervisor, and GRUB does without it.")
    for path, names in ((_FSTAB, _IN_FSTAB), (_DEFAULTS, _IN_DEFAULTS)):
        if not files.is_file(path):
            continue
        before = guest.text(path)
        after = names.sub(lambda found: found[1] + _by_uuid(guest, found[2]), before)
        if after != before:
            files.write(path, after.encode())
            left = _named(names, after)
            called = ", ".join(name for name in _named(names, before) if name not in left)
            changes.append(f"{path} calls {called} by UUID now: the target gives disks other names.")
    return changes


def _named(names: re.Pattern[str], text: str) -> list[str]:
    """Return each name once, in their order."""
    return list(dict.fromkeys(found[2] for found in names.finditer(text)))


def _by_uuid(guest: Guest, device: str) -> str:
    """Return the device's UUID=…; the name itself where what is on the device has none."""
    with suppress(RuntimeError):  # fstab may name a disk that isn't there
        if uuid := guest.files.vfs_uuid(device):
            return f"UUID={uuid}"
    return device
