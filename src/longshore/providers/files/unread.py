"""Files that are images or machines by their names, of kinds that aren't read."""

from longshore.errors import InvalidInput
from longshore.providers.files.headers import BY_SUFFIX
from longshore.providers.files.images import PACKED
from longshore.providers.files.stored import printable

_NOT_UNPACKED = ("bz2", "zst", "lz4", "lzo", "lzma", "z", "zip", "7z", "rar")
_NOT_READ = ("qcow", "qed", "vma", "xva", "vhds", "hds")  # those of older QEMUs, Proxmox VE, Xen, Hyper-V, Parallels


def refuse_unread(name: str) -> None:
    """Raise InvalidInput for a file that, by its name, is an image or a machine of a kind that isn't read here."""
    stem, _, last = name.lower().rpartition(".")
    _, _, inner = stem.rpartition(".")
    packed = last in _NOT_UNPACKED or (last in PACKED and inner not in BY_SUFFIX)
    if packed and inner in (*BY_SUFFIX, *_NOT_READ, "ova", "ovf"):
        raise InvalidInput(f"{printable(name)} is packed in a way that isn't read here.", advice="Unpack it first.")
    if stem and last in _NOT_READ:
        raise InvalidInput(
            f"{printable(name)} is of a kind that isn't read here.",
            advice="Make an image of it that is: qemu-img convert -O qcow2 OLD NEW, or export the machine.",
        )
