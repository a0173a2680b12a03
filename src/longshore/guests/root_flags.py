"""The subvolume that the kernel's command line names as root, for guests whose fstab doesn't."""

import re

import guestfs

# Boot Loader Specification's entries, what they take their options from, GRUB's menus, and what the next kernels get
_PLACES = (
    "/boot/loader/entries/*.conf",
    "/boot/grub*/grubenv",
    "/boot/grub*/grub.cfg",
    "/boot/efi/EFI/*/grub.cfg",
    "/etc/kernel/cmdline",
)
_LARGEST = 1 << 20  # bytes; a longer one isn't what its name says
_SUBVOLUME = re.compile(rb"\brootflags=(?:[^\s,\"']+,)*subvol=/*([^\s,\"']+)")


def booted_subvolume(handle: guestfs.GuestFS, root: str, boot: str | None) -> str:
    """Return the path of the subvolume that is booted, as the first place that has one says; "" for none. Raises
    RuntimeError. Raises RuntimeError.

    `root` and `boot`, if that is a file system of its own, are mounted for it, and nothing is mounted afterwards.
    """
    try:
        handle.mount_ro(root, "/")
        if boot is not None:
            handle.mount_ro(boot, "/boot")
        for path in (path for place in _PLACES for path in handle.glob_expand(place)):
            if handle.filesize(path) <= _LARGEST and (found := _SUBVOLUME.search(handle.read_file(path))):
                return found[1].decode(errors="replace")
        return ""
    finally:
        handle.umount_all()
