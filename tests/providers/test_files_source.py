"""Machines in files: every format reads as what is in it, and what is wrong with a file is said in a sentence."""

import pytest
from files_made import SIZE, VMDKS, make_image, make_ova, packed, read_all

from longshore.model.machine import Firmware, PowerState
from longshore.model.target import Owner
from longshore.providers.files import FilesSettings, FilesSource

OWNER = Owner("m-1", "snapshot")


def source_of(directory, **settings):
    return FilesSource(FilesSettings(f"file://{directory}", **settings))


def disks_of(source, name):
    """What is read of each disk of a machine."""
    snapshot = source.snapshot(source.machine(name).ref, "s", OWNER, quiesce=False)
    found = []
    for disk in snapshot.disks:
        with source.open_disk(snapshot, disk.key) as export:
            found.append(read_all(export.uri))
    return found


FORMATS = [
    ("raw", "raw", ()),
    ("img", "raw", ()),
    ("img", "qcow2", ()),
    ("qcow2", "qcow2", ()),
    ("qcow2", "qcow2", ("compat=0.10",)),
    ("vhd", "vpc", ("force_size=on",)),
    ("vhd", "vpc", ("subformat=fixed", "force_size=on")),
    ("vhdx", "vhdx", ()),
    ("vhdx", "vhdx", ("subformat=fixed",)),
    *(("vmdk", "vmdk", (f"subformat={subformat}",)) for subformat in VMDKS),
]


@pytest.mark.parametrize(("suffix", "kind", "options"), FORMATS)
def test_a_loose_image_is_read_as_what_is_in_it(tmp_path, suffix, kind, options):
    data = make_image(tmp_path / f"db.{suffix}", kind, *options)
    source = source_of(tmp_path, cpus=2, memory_mib=512, network="lan")
    (machine,) = source.machines()
    assert (machine.name, machine.ref, machine.power) == ("db", f"db.{suffix}", PowerState.OFF)
    assert (machine.cpus, machine.memory_mib, machine.firmware) == (2, 512, Firmware.BIOS)
    assert [disk.size for disk in machine.disks] == [SIZE]
    assert [nic.network for nic in machine.nics] == ["lan"]
    source.make_ready(OWNER, machine.ref)
    assert disks_of(source, "db") == [data]


@pytest.mark.parametrize("how", ["gz", "xz"])
@pytest.mark.parametrize(("suffix", "kind"), [("raw", "raw"), ("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vhd", "vpc")])
def test_a_packed_image_is_read_as_what_is_in_it(tmp_path, suffix, kind, how):
    data = make_image(tmp_path / f"db.{suffix}", kind, *(("force_size=on",) if kind == "vpc" else ()))
    (tmp_path / f"db.{suffix}.{how}").write_bytes(packed((tmp_path / f"db.{suffix}").read_bytes(), how))
    (tmp_path / f"db.{suffix}").unlink()
    assert disks_of(source_of(tmp_path), "db") == [data]


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512", ""])
def test_an_ova_says_what_its_machine_is(tmp_path, algorithm):
    contents = make_ova(tmp_path / "export.ova", algorithm=algorithm, firmware="efi")
    source = source_of(tmp_path)
    machine = source.machine("web01")
    assert (machine.ref, machine.cpus, machine.memory_mib) == ("export.ova", 2, 2048)
    assert (machine.firmware, machine.guest_id, machine.annotation) == (Firmware.UEFI, "debian12_64Guest", "The shop")
    assert [(d.size, d.controller, d.unit) for d in machine.disks] == [(SIZE, "pvscsi", 0), (SIZE, "pvscsi", 1)]
    (nic,) = machine.nics
    assert (nic.mac, nic.network, nic.model) == ("00:50:56:ab:cd:ef", "VM Network", "vmxnet3")
    seen = []
    source.make_ready(OWNER, machine.ref, lambda done, total: seen.append((done, total)))
    assert bool(seen) == bool(algorithm)
    assert all(done == total for done, total in seen[-1:])
    assert disks_of(source, "web01") == contents
