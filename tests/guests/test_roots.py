"""Which of the roots that libguestfs finds is the operating system, and how virt-v2v is told."""

from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from longshore.errors import ConversionError
from longshore.guests import findings
from longshore.guests.appliance import Guest
from longshore.guests.drivers import _root_disks
from longshore.guests.findings import find
from longshore.guests.inspection import inspect, is_as_found
from longshore.guests.report import OperatingSystem
from longshore.guests.virt_v2v import root_option

SNAPSHOT = "btrfsvol:/dev/sda1/@/.snapshots/{}/snapshot"
TIMESHIFT = "btrfsvol:/dev/sda1/timeshift-btrfs/snapshots/2024-05-01/@"


class Disks:
    """libguestfs' answers about roots with these mount points."""

    def __init__(self, roots, subvolumes=None, known=()) -> None:
        """`known`: the names by which it can be asked about its roots, where they aren't those that it tells."""
        self._roots = roots
        self._known = known or list(roots)
        self._subvolumes = subvolumes or {}
        self._mounted = ""

    def inspect_os(self):
        return list(self._roots)

    inspect_get_roots = inspect_os

    def inspect_get_mountpoints(self, root):
        self._ask(root)
        path = root.partition("1/")[2]
        return {"/": next(place for told, place in self._roots.items() if told == root or told.endswith(f"1/{path}"))}

    def inspect_get_type(self, root):
        self._ask(root)
        return "linux"

    def _ask(self, root):
        if root not in self._known:
            raise RuntimeError(f"inspect_get_type_stub: {root}: expecting a btrfs volume")

    def __getattr__(self, name):
        if name.startswith("inspect_get_"):
            return partial(self._tell, 1 if name.startswith("inspect_get_m") else "Linux")
        raise AttributeError(name)

    def _tell(self, what, root):
        self._ask(root)
        return what

    def vfs_uuid(self, device):
        return f"uuid-{device.rpartition('/dev/')[2][:4]}"

    def list_devices(self):
        return []

    list_partitions = list_md_devices = lvs = list_dm_devices = list_devices

    menu = b""  # of the boot loader, the same in all roots

    def glob_expand(self, pattern):
        return ["/boot/grub/grub.cfg"] if self.menu and pattern == "/boot/grub*/grub.cfg" else []

    def filesize(self, _):
        return len(self.menu)

    def read_file(self, _):
        return self.menu

    def vfs_type(self, _):
        return "btrfs" if self._subvolumes else "ext4"

    def list_filesystems(self):
        return dict.fromkeys(self._subvolumes, "btrfs")

    def mount_ro(self, device, _):
        self._mounted = device

    def umount_all(self):
        self._mounted = ""

    def btrfs_subvolume_list(self, _):
        return [{"btrfssubvolume_path": path} for path in self._subvolumes[self._mounted]]


@pytest.mark.parametrize(
    ("roots", "booted"),
    [
        # SLES: the default subvolume goes by the file system's name
        ({"/dev/sda1": "/dev/sda1", SNAPSHOT.format(2): "/dev/sda1", SNAPSHOT.format(3): "/dev/sda1"}, "/dev/sda1"),
        # The same, named in fstab
        ({"/dev/sda1": SNAPSHOT.format(1), SNAPSHOT.format(2): SNAPSHOT.format(1)}, "/dev/sda1"),
        (
            {SNAPSHOT.format(9): "btrfsvol:/dev/sda1//@", "btrfsvol:/dev/sda1/@": "btrfsvol:/dev/sda1//@"},
            "btrfsvol:/dev/sda1/@",
        ),
        # Timeshift calls snapshots as the root is called
        ({TIMESHIFT: "btrfsvol:/dev/sda1/@", "btrfsvol:/dev/sda1/@": "btrfsvol:/dev/sda1/@"}, "btrfsvol:/dev/sda1/@"),
    ],
)
def test_snapshots_are_no_systems_of_their_own(roots, booted):
    names = ["@", TIMESHIFT.partition("sda1/")[2], *(f"@/.snapshots/{number}/snapshot" for number in (1, 2, 3, 9))]
    assert inspect(Disks(roots, {"/dev/sda1": names})).root == booted


def test_two_systems_are_refused_with_what_to_do():
    with pytest.raises(
        ConversionError, match="several operating systems: Linux on /dev/sda1, Linux on /dev/sdb1"
    ) as said:
        inspect(Disks({"/dev/sda1": "/dev/sda1", "/dev/sdb1": "/dev/sdb1"}))
    assert "--landing as-is" in said.value.advice


def test_a_subvolume_is_on_the_disk_that_has_it():
    # libguestfs tells the names of this start's kernel, which took the second disk for the first; its answers are by
    # the proper ones
    told = {"btrfsvol:/dev/sdb1/@": "btrfsvol:/dev/sdb1/@"}
    system = inspect(Disks(told, {"/dev/sda1": ["@", "@home"], "/dev/sdb1": ["data"]}, known=["btrfsvol:/dev/sda1/@"]))
    assert (system.root, system.mounts["/"]) == ("btrfsvol:/dev/sda1/@", "btrfsvol:/dev/sda1/@")
    both = {"/dev/sda1": ["@"], "/dev/sdb1": ["@"]}
    assert inspect(Disks(told, both, known=["btrfsvol:/dev/sda1/@"])).mounts["/"] == "btrfsvol:/dev/sda1/@"


def test_a_look_names_both_systems_though_this_start_has_swapped_their_disks():
    told = {root: root for root in ("btrfsvol:/dev/sdb1/@", "btrfsvol:/dev/sda1/r")}
    known = ["btrfsvol:/dev/sda1/@", "btrfsvol:/dev/sdb1/r"]
    found = find(Disks(told, {"/dev/sda1": ["@"], "/dev/sdb1": ["r"]}, known), [])
    assert [system.root for system in found.systems] == known
    assert "several operating systems: Linux on btrfsvol:/dev/sda1/@, " in found.why_not


def test_what_cannot_be_mounted_is_an_answer():
    disks = Disks({"/dev/sda1": "/dev/sda1"})
    disks.mount_ro = Mock(side_effect=RuntimeError("wrong fs type"))
    found = find(disks, [])
    assert (found.inspected, found.drivers.inspected) == (False, False)
    assert found.why_not == "The guest's file systems couldn't be mounted: wrong fs type."


def test_what_cannot_be_read_is_a_doubt(monkeypatch):
    disks = Disks({"/dev/sda1": "/dev/sda1"})
    unreadable = Mock(side_effect=RuntimeError("input/output error"))
    disks.mountpoints = disks.is_file = unreadable
    monkeypatch.setattr(findings, "find_drivers", unreadable)
    found = find(disks, [])
    assert (found.inspected, found.drivers.inspected) == (True, False)
    assert found.doubts[0] == "What is on the guest's disks couldn't all be read: input/output error."
    assert len(found.doubts) == len(set(found.doubts))


def test_a_subvolume_may_be_on_a_logical_volume():
    root = "btrfsvol:/dev/vg/root/@"
    disks = Disks(
        {root: root, f"{root}/.snapshots/1/snapshot": root}, {"/dev/vg/root": ["@", "@/.snapshots/1/snapshot"]}
    )
    assert inspect(disks).mounts == {"/": root}


@pytest.mark.parametrize("flags", [b"rootflags=subvol=@ ro", b"quiet rootflags=noatime,subvol=/@,compress=zstd"])
def test_a_root_that_only_the_boot_menu_names(flags):
    root, snapshot = "btrfsvol:/dev/sda1/@", "btrfsvol:/dev/sda1/@before"
    disks = Disks({snapshot: "/dev/sda1", root: "/dev/sda1"}, {"/dev/sda1": ["@", "@before", "@home"]})
    disks.menu = b"linux /@/boot/vmlinuz root=UUID=1 " + flags + b"\n"
    system = inspect(disks)
    assert (system.root, system.mounts, system.root_in_fstab) == (root, {"/": root}, False)


def test_a_root_that_nothing_names_is_where_it_was_found():
    root = "btrfsvol:/dev/sda1/@"
    system = inspect(Disks({root: "/dev/sda1"}, {"/dev/sda1": ["@"]}))
    assert (system.mounts, system.root_in_fstab) == ({"/": root}, False)
    disks = Disks({"/dev/sda1": None})
    disks.inspect_get_mountpoints = lambda _: {"/boot": "/dev/sda2"}
    assert inspect(disks).mounts == {"/": "/dev/sda1", "/boot": "/dev/sda2"}


def test_devices_found_earlier_are_checked():
    disks = Disks({"/dev/sda1": "/dev/sda1"})
    system = inspect(disks)
    assert is_as_found(disks, system)
    assert not is_as_found(SimpleNamespace(vfs_uuid=lambda _: "another"), system)
    assert not is_as_found(disks, OperatingSystem(*[""] * 8, {"/": "/dev/sda1"}))


def guest_on(root, roots):
    return Guest(Disks(dict.fromkeys(roots, root)), OperatingSystem(root, *[""] * 7))


def test_virt_v2v_is_told_the_root():
    other = SNAPSHOT.format(2)
    assert root_option(guest_on("/dev/sda1", [other, "/dev/sda1"])) == "/dev/sda1"
    assert root_option(guest_on("btrfsvol:/dev/sda1/@", ["btrfsvol:/dev/sdb1/@", other])) == "first"
    with pytest.raises(ConversionError, match="because of the snapshots") as said:
        root_option(guest_on("btrfsvol:/dev/sda1/@", [other, "btrfsvol:/dev/sda1/@"]))
    assert "Remove the guest's snapshots" in said.value.advice


@pytest.mark.parametrize(
    ("mounts", "disks"),
    [
        ({"/": "btrfsvol:/dev/sdaa1/@rootfs"}, (0, 26)),
        ({"/": "btrfsvol:/dev/vg/root/@"}, (0, 1)),
        ({"/": "/dev/sda1", "/usr": "/dev/sdb"}, (0, 1)),
    ],
)
def test_the_disks_below_a_subvolume_are_known(mounts, disks):
    names = [f"/dev/sd{chr(97 + number)}" for number in range(26)] + ["/dev/sdaa"]
    files = SimpleNamespace(
        vfs_type=lambda _device: "ext4",
        list_devices=lambda: names,
        list_partitions=lambda: ["/dev/sda1", "/dev/sdb1", "/dev/sdaa1"],
        lvs=lambda: ["/dev/vg/root"],
        list_md_devices=list,
        list_dm_devices=list,
        is_lv=lambda device: device == "/dev/vg/root",
        lvm_canonical_lv_name=str,
        vgpvuuids=lambda _: ["one"],
        pvs=lambda: ["/dev/sdb1", "/dev/sdaa1"],
        pvuuid=lambda device: "one" if device == "/dev/sdb1" else "two",
        device_index=names.index,
    )
    system = OperatingSystem(mounts["/"], *[""] * 7, mounts)
    assert _root_disks(Guest(files, system)) == disks
