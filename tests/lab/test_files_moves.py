"""Machines in files move into the lab's OpenStack: exported as others would export them, then booted and looked at."""

import sys
import uuid
from pathlib import Path

import pytest
from moves import READY, only_migration, seen_on, state_of

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import VMDK, exported_guest, https, pack
from virtual_disks import cowd, ovf_of_ovirt, vhd_footer

pytestmark = pytest.mark.lab

MAC = "00:50:56:3f:77:01"
TO_CLOUD = ["--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY, "--power=on", "--plain", "--wait"]
MIB_OF = {"tiny": 256, "debian": 768, "debian-ubuntu": 768}  # as in vCenter
QCOW2 = ("qcow2", "-c")


def exported(lab, guest, directory, kind=VMDK):
    """The files of a guest, by its disks as they were built, with the MAC that it has in vCenter; and its name."""
    name = f"{guest}-{uuid.uuid4().hex[:6]}"
    place = lab.root / "cache" / "guests" / guest
    return exported_guest(place, directory, name, MAC, MIB_OF[guest], kind), name


def moved(cli, cloud, name, *words):
    """Moves it and looks at it: both ledgers are whole, its adapter has the MAC that the OVF says."""
    done = cli("migrate", name, "--from", "exports", *TO_CLOUD, *words, timeout=1500)
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    assert cloud.compute.get_server(shown["server_id"]).status == "ACTIVE"
    seen = seen_on(cloud, shown["server_id"])
    assert seen.verified is not None, "the guest hasn't verified its records"
    assert seen.verified.bad == 0
    assert len(seen.disks) == 2
    assert {nic.mac for nic in seen.nics.values()} == {MAC}
    assert shown["result"]["bytes_verified"] > 0
    return shown


def add_files(cli, url, *words):
    done = cli("provider", "add", "files", "exports", "--url", url, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.soak  # every day one boots from other files; OVAs are read in tests/providers
def test_a_tiny_machine_boots_from_its_ova(cli, lab, cloud, tmp_path, tidy):
    files, name = exported(lab, "tiny", tmp_path)
    pack(tmp_path / "tiny.ova", files)
    add_files(cli, f"file://{tmp_path}")
    (listed,) = cli.json("machine", "list", "exports")
    assert listed["Name"] == name
    moved(cli, cloud, name, "--landing=unchanged")


@pytest.mark.turns("ways to disks")
def test_a_tiny_machine_boots_from_what_azure_and_esxi_wrote(cli, lab, cloud, tmp_path, tidy):
    """One boot for three forms: a VHD of Azure's, a datastore's folder with a snapshot, an OVF as oVirt writes it.

    The root disk's VHD has a size that cylinders can't say; what the guest verifies on its data disk is there with the
    snapshot's delta alone.
    """
    name = f"tiny-{uuid.uuid4().hex[:6]}"
    root, data = ((lab.root / "cache" / "guests" / "tiny" / f"{disk}.raw").read_bytes() for disk in ("root", "data"))
    (tmp_path / "root.vhd").write_bytes(root + vhd_footer(len(root), b"wa"))
    middle = len(data) // 2 // 4096 * 4096
    (tmp_path / "vm-flat.vmdk").write_bytes(bytes(middle) + data[middle:])  # as it was before the snapshot
    (tmp_path / "vm-000001-delta.vmdk").write_bytes(cowd(data[:middle] + bytes(len(data) - middle)))
    (tmp_path / "vm.vmdk").write_text(esxi_disk("vmfs", 'VMFS "vm-flat.vmdk"', len(data), "0000aaaa"))
    delta = esxi_disk("vmfsSparse", 'VMFSSPARSE "vm-000001-delta.vmdk"', len(data), "0000bbbb", "0000aaaa")
    (tmp_path / "vm-000001.vmdk").write_text(delta + 'parentFileNameHint="vm.vmdk"\n')
    (tmp_path / "tiny.ovf").write_text(
        ovf_of_ovirt(name, MAC, MIB_OF["tiny"], ("vm-000001.vmdk", len(data)), ("root.vhd", len(root)))
    )
    add_files(cli, f"file://{tmp_path}")
    (listed,) = cli.json("machine", "list", "exports")
    assert listed["Name"] == name
    moved(cli, cloud, name, "--landing=unchanged")


def esxi_disk(kind, extent, size, cid, parent="ffffffff"):
    """A descriptor of a VMDK, as ESXi writes it."""
    head = f'# Disk DescriptorFile\nversion=1\nencoding="UTF-8"\nCID={cid}\nparentCID={parent}\ncreateType="{kind}"\n\n'
    return f"{head}RW {size // 512} {extent}\n"


@pytest.mark.soak  # small clouds show it every day
def test_a_tiny_machine_boots_from_qcow2s_on_the_web(cli, lab, cloud, tmp_path, tidy):
    served = tmp_path / "served"
    served.mkdir()
    files, name = exported(lab, "tiny", tmp_path, QCOW2)
    for file, data in files.items():
        (served / file).write_bytes(data)
    with https(served, tmp_path) as (url, certificate):
        add_files(cli, f"{url}/tiny.ovf", "--ca-file", certificate)
        moved(cli, cloud, name, "--landing=unchanged")


@pytest.mark.soak
def test_debian_is_converted_from_its_ova_and_boots(cli, lab, cloud, tmp_path, tidy):
    files, name = exported(lab, "debian", tmp_path)
    pack(tmp_path / "debian.ova", files)
    add_files(cli, f"file://{tmp_path}")
    shown = moved(cli, cloud, name)
    assert shown["result"]["conversion"]["system"]["distribution"] == "debian"


@pytest.mark.soak
def test_ubuntu_is_converted_from_its_ova_and_boots(cli, lab, cloud, tmp_path, tidy):
    """A real Ubuntu, of Ubuntu's own packages: its netplan and its fstab are as its installer writes them."""
    if not (lab.root / "cache" / "guests" / "debian-ubuntu").exists():
        pytest.skip("there is no such guest: make ubuntu-guest, where the mirror of Debian has Ubuntu beside it")
    files, name = exported(lab, "debian-ubuntu", tmp_path)
    pack(tmp_path / "ubuntu.ova", files)
    add_files(cli, f"file://{tmp_path}")
    shown = moved(cli, cloud, name)
    assert shown["result"]["conversion"]["system"]["product"].startswith("Ubuntu 24.04")
    seen = seen_on(cloud, shown["server_id"])
    assert {"/", "/data"} <= set(seen.mounts)
    assert {name: nic.addresses for name, nic in seen.nics.items()} == {"ens192": ("10.20.30.44/24",)}
    assert {nic.driver for nic in seen.nics.values()} == {"virtio_net"}
    assert {disk.driver for disk in seen.disks} == {"virtio_blk"}
