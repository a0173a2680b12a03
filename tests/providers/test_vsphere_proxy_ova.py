"""The relay's image packed as a machine of vSphere, as a reader of OVAs finds it, and as users are answered."""

import hashlib
import json
import tarfile
from xml.etree import ElementTree

import pytest
from files_made import MIB, make_image
from test_files_source import disks_of, source_of

from in_process import longshore
from longshore.providers.vsphere.proxy_ova import CONTROLLERS

VMW, RASD = "{http://www.vmware.com/schema/ovf}", "CIM_ResourceAllocationSettingData}"


@pytest.fixture
def built(tmp_path):
    """Return an image as one is built, and what is in it."""
    content = make_image(tmp_path / "relay.qcow2", "qcow2")
    sha256 = hashlib.sha256((tmp_path / "relay.qcow2").read_bytes()).hexdigest()
    record = {"recipe": "0123456789abcdef", "sha256": sha256, "packages": {"nbdkit": "1.32"}}
    (tmp_path / "relay.qcow2.json").write_text(json.dumps(record))
    return content


def pack(directory, *words, address="192.0.2.10/24"):
    (directory / "packed").mkdir(exist_ok=True)
    image, output = directory / "relay.qcow2", directory / "packed" / "longshore-proxy.ova"
    words = ("--image", image, "--output", output, "--address", address, *words)
    return longshore(directory / "state", "relay-image", "pack", *words)


def test_it_is_the_machine_that_a_proxy_needs(built, tmp_path):
    done = pack(tmp_path, "--gateway", "192.0.2.1")
    assert done.returncode == 0, done.stderr
    source = source_of(tmp_path / "packed")
    (machine,) = source.machines()
    assert (machine.name, machine.cpus, machine.memory_mib) == ("longshore-proxy", 2, 1024)
    assert [(disk.controller, disk.bus, disk.unit) for disk in machine.disks] == [("pvscsi", 0, 0)]
    assert [nic.model for nic in machine.nics] == ["vmxnet3"]
    assert "Never delete it while it has any" in machine.annotation
    assert machine.file_doubts == (), "its manifest is right, too"
    assert disks_of(source, machine.ref) == [built]


def test_what_can_not_be_changed_while_it_runs_is_there_and_nothing_else(built, tmp_path):
    assert pack(tmp_path).returncode == 0
    with tarfile.open(tmp_path / "packed" / "longshore-proxy.ova") as archive:
        assert archive.getnames()[0].endswith(".ovf"), "the description comes first"
        assert {(entry.uid, entry.uname) for entry in archive} == {(0, "")}
        described = ElementTree.fromstring(archive.extractfile(archive.getnames()[0]).read())
    kinds = [item.text for item in described.iter() if item.tag.endswith(f"{RASD}ResourceSubType")]
    assert kinds.count("VirtualSCSI") == CONTROLLERS == 4
    settings = {item.get(f"{VMW}key"): item.get(f"{VMW}value") for item in described.iter(f"{VMW}ExtraConfig")}
    assert settings == {"disk.EnableUUID": "TRUE", "guestinfo.longshore.address": "192.0.2.10/24"}
    (config,) = described.iter(f"{VMW}Config")
    assert (config.get(f"{VMW}key"), config.get(f"{VMW}value")) == ("firmware", "bios")


@pytest.mark.parametrize(
    ("address", "words", "said"),
    [
        ("192.0.2.10", (), "isn't an address with the prefix of its network"),
        ("192.0.2.10/32", (), "isn't an address with the prefix of its network"),
        ("proxy.example", (), "isn't an address with the prefix of its network"),
        ("192.0.2.10/24", ("--gateway", "198.51.100.1"), "isn't an address in the network 192.0.2.0/24"),
        ("192.0.2.10/24", ("--gateway", "router"), "isn't an address in the network 192.0.2.0/24"),
    ],
)
def test_addresses_that_can_not_be_meant_are_refused(built, tmp_path, address, words, said):
    done = pack(tmp_path, *words, address=address)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert list((tmp_path / "packed").iterdir()) == []


def test_an_image_that_is_not_what_was_built_is_refused(built, tmp_path):
    with (tmp_path / "relay.qcow2").open("ab") as image:
        image.write(bytes(MIB))
    done = pack(tmp_path)
    assert (done.returncode, "isn't what was built" in done.stderr) == (1, True), done.stderr
    assert list((tmp_path / "packed").iterdir()) == []
