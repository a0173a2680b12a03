"""What a Linux guest boots from: the drivers in the initramfs of its default kernel, and disks it calls by name."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from longshore.guests.appliance import Guest
from longshore.guests.initramfs import LARGEST_PACKED, Unreadable, file_names
from longshore.model.hardware import BootDrivers

# Drivers of adapters that VMware has or Nova emulates; the others are of no interest
STORAGE = (
    *("vmw_pvscsi", "ahci", "ata_piix", "mptspi", "mptsas", "BusLogic", "nvme"),
    *("sym53c8xx", "megaraid_sas", "virtio_blk", "virtio_scsi"),
)
NETWORK = ("vmxnet3", "e1000e", "e1000", "virtio_net", "pcnet32")
# What a driver is useless without, and what can be left out of an initramfs separately
_NEEDS = {"virtio_blk": "virtio_pci", "virtio_scsi": "virtio_pci", "virtio_net": "virtio_pci"}
_WITHOUT_DISKS = ("virtio_blk", "nvme")  # their disks need no sd_mod

_MODULE = re.compile(r"(?:^|/)lib/modules/(?P<kernel>[^/]+)/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.\w+)?$")
# /dev/disk/by-uuid and the like mean the same disk on any hardware, and so do names of LVM, md and mapper
_BY_HARDWARE = re.compile(r"^/dev/(?:[shv]d[a-z]|xvd[a-z]|nvme\d|disk/by-(?:path|id)/)")
_MENUS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_ENVIRONMENTS = ("/boot/grub/grubenv", "/boot/grub2/grubenv")
_ENTRIES = "/boot/loader/entries"  # Boot Loader Specification: Fedora, RHEL 8 and later
_INITRAMFS = re.compile(r"^(?:initrd|initramfs)-?(?:\.img-)?(?P<kernel>\d.*?)(?:\.img)?$")
_NOT_FOR_BOOT = ("rescue", "kdump", "fallback", "pre-v2v")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One choice of the boot menu."""

    initramfs: str  # path in the guest; "" when it has none
    options: str = ""  # kernel command line
    sure: bool = True  # that it is the one that is booted


def linux_drivers(guest: Guest) -> BootDrivers:
    """Storage and network drivers, and devices called by names that depend on the hardware."""
    entry = default_entry(guest)
    doubts = []
    held: set[str] = set()
    kernels: set[str] = set()
    if entry is None or not entry.initramfs:
        doubts.append("Which kernel the guest boots couldn't be found out, so what it can boot from isn't known.")
    else:
        try:
            held, kernels = _in_initramfs(guest, entry.initramfs)
        except Unreadable as why:
            doubts.append(f"The guest's {entry.initramfs} couldn't be read: {why}.")
        if match := _INITRAMFS.match(PurePosixPath(entry.initramfs).name):
            kernels.add(match["kernel"])
    if entry is not None and not entry.sure:
        doubts.append("Which entry of its boot menu the guest starts isn't clear; the first one was looked at.")
    built_in, modules = set[str](), set[str]()
    for kernel in kernels:
        built_in |= _listed(guest, f"/lib/modules/{kernel}/modules.builtin")
        modules |= _listed(guest, f"/lib/modules/{kernel}/modules.dep")
    there = held | built_in
    return BootDrivers(
        inspected=True,
        boot=_usable(STORAGE, there),
        later=_usable(STORAGE, there | modules),
        network=_usable(NETWORK, there | modules),
        device_names=tuple(dict.fromkeys(_names_by_hardware(guest, entry.options if entry else ""))),
        doubts=tuple(doubts),
    )


def _usable(wanted: Iterable[str], there: set[str]) -> tuple[str, ...]:
    def complete(name: str) -> bool:
        disk = name in STORAGE and name not in _WITHOUT_DISKS
        return name in there and _NEEDS.get(name, name) in there and (not disk or "sd_mod" in there)

    return tuple(name for name in wanted if complete(name))


def _in_initramfs(guest: Guest, path: str) -> tuple[set[str], set[str]]:
    """(modules, kernel versions they are for). Raises Unreadable."""
    if guest.files.filesize(path) > LARGEST_PACKED:
        raise Unreadable(f"it is larger than {LARGEST_PACKED >> 20} MiB")
    with tempfile.TemporaryDirectory(prefix="longshore-") as directory:
        copy = Path(directory) / "initramfs"
        guest.files.download(path, str(copy))
        matches = [match for name in file_names(copy) if (match := _MODULE.search(name))]
    return {_module(match["name"]) for match in matches}, {match["kernel"] for match in matches}


def _listed(guest: Guest, path: str) -> set[str]:
    """The modules in modules.builtin or modules.dep."""
    if not guest.files.is_file(path, followsymlinks=True):
        return set()
    lines = guest.text(path).splitlines()
    names = (PurePosixPath(line.partition(":")[0]).name.partition(".ko")[0] for line in lines)
    return {_module(name) for name in names if name}


def _module(name: str) -> str:
    """Files have hyphens where the kernel has underscores."""
    return name.replace("-", "_")


# Which kernel it boots


def default_entry(guest: Guest) -> _Entry | None:
    """What the boot loader starts unless somebody chooses otherwise; when that isn't clear, the newest kernel."""
    saved = _saved_entry(guest)
    entries = _bls_entries(guest)
    if entries:
        return entries.get(saved) or entries[max(entries, key=_natural)]
    for menu in _MENUS:
        if guest.files.is_file(menu) and (entry := _grub_entry(guest.text(menu), saved)):
            path = _in_boot(guest, entry.initramfs)
            if path:
                return replace(entry, initramfs=path)
    return _newest(guest)


def _saved_entry(guest: Guest) -> str:
    for path in _ENVIRONMENTS:
        if guest.files.is_file(path, followsymlinks=True):
            found = re.search(r"^saved_entry=(.+)$", guest.text(path), re.MULTILINE)
            return found[1] if found else ""
    return ""


def _bls_entries(guest: Guest) -> dict[str, _Entry]:
    """By id, which is the file's name without .conf."""
    entries = {}
    if guest.files.is_dir(_ENTRIES):
        for name in guest.files.ls(_ENTRIES):
            if not name.endswith(".conf") or any(word in name for word in _NOT_FOR_BOOT):
                continue
            said = dict(line.split(None, 1) for line in guest.text(f"{_ENTRIES}/{name}").splitlines() if " " in line)
            path = _in_boot(guest, said.get("initrd", "").split(" ")[0])
            if path:
                entries[name.removesuffix(".conf")] = _Entry(path, said.get("options", ""))
    return entries


def _grub_entry(menu: str, saved: str) -> _Entry | None:
    """The entry that the menu starts by itself, or the first when that can't be told."""
    defaults = re.findall(r"""^\s*set default=["']?([^"'\n]+)""", menu, re.MULTILINE)
    default = next((said for said in reversed(defaults) if "next_entry" not in said), "0")
    wanted = (saved if "saved_entry" in default else default).rpartition(">")[2] or "0"
    blocks = re.split(r"^\s*menuentry\s+", menu, flags=re.MULTILINE)[1:]
    chosen = [block for block in blocks if not wanted.isdigit() and _is_called(block, wanted)]
    for block in chosen or blocks:
        linux = re.search(r"^\s*linux(?:efi|16)?\s+\S+[ \t]*(.*)$", block, re.MULTILINE)
        initrd = re.search(r"^\s*initrd(?:efi|16)?\s+(.+)$", block, re.MULTILINE)
        if linux and initrd:
            # Of several initramfs the last one: those with microcode come before it
            return _Entry(initrd[1].split()[-1], linux[1], sure=bool(chosen) or wanted == "0")
    return None


def _is_called(block: str, wanted: str) -> bool:
    """By its title or its id, which are both in quotes, or an id without them."""
    heading = block.partition("{")[0]
    return f"'{wanted}'" in heading or f'"{wanted}"' in heading or wanted in heading.split()


def _in_boot(guest: Guest, path: str) -> str:
    """A boot loader counts from the root of the file system that it reads, which may be mounted on /boot."""
    path = re.sub(r"^\([^)]*\)|^\$\w+", "", path)  # (hd0,msdos1)/boot/…, or a variable for it
    candidates = (path, f"/boot/{path.lstrip('/')}", f"/boot/{PurePosixPath(path).name}") if path else ()
    return next((c for c in candidates if guest.files.is_file(c, followsymlinks=True)), "")


def _newest(guest: Guest) -> _Entry | None:
    names = guest.files.ls("/boot") if guest.files.is_dir("/boot") else []
    fit = [name for name in names if _INITRAMFS.match(name) and not any(word in name for word in _NOT_FOR_BOOT)]
    return _Entry(f"/boot/{max(fit, key=_natural)}") if fit else None


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts 6.10 after 6.9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


# What it calls by name


def names_by_hardware(guest: Guest) -> tuple[str, ...]:
    """Devices that fstab, crypttab or the default kernel's command line call by names that depend on the hardware."""
    entry = default_entry(guest)
    return tuple(dict.fromkeys(_names_by_hardware(guest, entry.options if entry else "")))


def _names_by_hardware(guest: Guest, options: str) -> Iterator[str]:
    """Devices in fstab, crypttab and the kernel's command line whose names depend on the hardware."""
    for word in options.split():
        key, _, value = word.partition("=")
        if key in ("root", "resume") and _BY_HARDWARE.match(value):
            yield value
    for fields in _table(guest, "/etc/fstab"):
        if len(fields) >= 4 and "noauto" in fields[3].split(","):
            continue
        if _BY_HARDWARE.match(fields[0]):
            yield fields[0]
    for fields in _table(guest, "/etc/crypttab"):
        if len(fields) >= 2 and _BY_HARDWARE.match(fields[1]):
            yield fields[1]


def _table(guest: Guest, path: str) -> Iterator[list[str]]:
    if guest.files.is_file(path, followsymlinks=True):
        for line in guest.text(path).splitlines():
            fields = line.partition("#")[0].split()
            if fields:
                yield fields
