"""Findings in a Linux guest that virt-v2v would fail at, seen while the machine still runs.

It mounts what fstab says by the names that libguestfs knows, wants a hundred free inodes on each file system, takes no
kernel without its modules, makes each initramfs anew by the guest's own tool, and replaces files.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from longshore.guests.appliance import Guest
from longshore.guests.efi import boots_by_uefi
from longshore.guests.fstab import fstab
from longshore.model.guest import GuestFindings

_INODES = 100  # as check_guest_free_space() of convert/convert.ml has it
_WITHOUT_WRITING = ("squashfs", "erofs", "iso9660", "cramfs")
# Parts of the system itself; what else a guest mounts is its own matter
_OF_THE_SYSTEM = ("/usr", "/boot", "/var")
_MODULES = "/lib/modules"
_IMAGES = ("vmlinuz", "vmlinux", "kernel", "image")
# What it writes to, or replaces for a time; to ask about each starts a program in the appliance
_CHANGED = (
    *("/etc", "/boot", "/etc/resolv.conf", "/etc/fstab", "/etc/default/grub", "/etc/modprobe.d", "/etc/modprobe.conf"),
    *("/boot/grub/grub.cfg", "/boot/grub/grub.conf", "/boot/grub/menu.lst", "/boot/grub/device.map"),
    *("/boot/grub2/grub.cfg", "/boot/grub2/grubenv", "/boot/grub2/device.map", "/boot/loader/entries"),
)
_MENUS = ("grub.cfg", "grub.conf", "menu.lst")  # for which detect_bootloader() of convert/linux_bootloaders.ml looks
# What it makes an initramfs with, as rebuild_initrd() of convert/convert_linux.ml has it
_INITRAMFS_TOOLS = ("/sbin/dracut", "/usr/bin/dracut", "/sbin/mkinitrd")


def what_converting_meets(guest: Guest, found: GuestFindings) -> GuestFindings:
    """Return `found`, and what is added to it."""
    mounts = guest.system.mounts
    parts = [place for place in ("/", *_OF_THE_SYSTEM) if place in mounts]
    return replace(
        found,
        read_only=tuple(place for place in parts if _is_read_only(guest, place, mounts[place])),
        immutable=tuple(path for path in (*_CHANGED, *_images(guest)) if _is_immutable(guest, path)),
        without_inodes=tuple(
            place for place in sorted(guest.files.mountpoints().values()) if _lacks_inodes(guest, place)
        ),
        not_mounted=tuple(
            f"{line.device} {line.place}"
            for line in fstab(guest)
            if line.place in _OF_THE_SYSTEM and line.needed and not _is_there(guest, mounts.get(line.place))
        ),
        without_kernel=not _has_kernel(guest),
        without_initramfs_tool=any(_images(guest)) and not _has_initramfs_tool(guest),
        without_boot_menu=not _has_boot_menu(guest),
    )


def _is_there(guest: Guest, device: str | None) -> bool:
    """Tell whether libguestfs has understood what fstab calls a device, and the device is there."""
    with suppress(RuntimeError):
        return device is not None and bool(guest.files.vfs_type(device))
    return False


def _is_read_only(guest: Guest, place: str, device: str) -> bool:
    """Tell whether a file system can't be written: by its kind, or as openSUSE MicroOS and SLE Micro have their root, a
    subvolume with the property ro."""
    with suppress(RuntimeError):
        kind = guest.files.vfs_type(device)
        if kind != "btrfs":
            return kind in _WITHOUT_WRITING
        return "readonly" in guest.files.btrfs_subvolume_show(place).get("Flags", "")
    return False


def _is_immutable(guest: Guest, path: str) -> bool:
    with suppress(RuntimeError):  # its file system knows no attributes
        there = guest.files.exists(path) and not guest.files.is_symlink(path)
        return there and bool({"i", "a"} & set(guest.files.get_e2attrs(path)))
    return False


def _images(guest: Guest) -> Iterator[str]:
    """Yield the paths of kernels' initramfs, which are made anew."""
    return (f"/boot/{name}" for name in guest.names_in("/boot") if name.startswith(("initrd", "initramfs")))


def _lacks_inodes(guest: Guest, place: str) -> bool:
    """Tell whether a file system has too few free inodes. Not every file system counts them."""
    figures = guest.files.statvfs(place)
    return bool(figures["files"] > 0 and figures["ffree"] < _INODES)


def _has_kernel(guest: Guest) -> bool:
    """virt-v2v goes by the files of the kernels' packages: an image in /boot or beside the modules."""
    boot = {name.removesuffix(".gz") for name in guest.names_in("/boot")}
    return any(
        guest.has_file(f"{_MODULES}/{kernel}/vmlinuz") or any(f"{image}-{kernel}" in boot for image in _IMAGES)
        for kernel in guest.names_in(_MODULES)
    )


def _has_initramfs_tool(guest: Guest) -> bool:
    """initramfs-tools' program isn't enough: virt-v2v also writes a file beside its configuration."""
    if any(guest.has_file(path) for path in _INITRAMFS_TOOLS):
        return True
    return guest.has_file("/usr/sbin/update-initramfs") and bool(guest.names_in("/etc/initramfs-tools"))


def _has_boot_menu(guest: Guest) -> bool:
    """virt-v2v looks for GRUB's menu, and with UEFI in the EFI partition alone."""
    place = "/boot/efi/EFI" if boots_by_uefi(guest) else "/boot"
    return any(path.rpartition("/")[2] in _MENUS for path in guest.paths_below(place))
