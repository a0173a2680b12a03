"""Machines land unchanged: their disks are looked into, hardware is chosen for them, and they boot on it."""

import asyncio
import json
import os
import subprocess
import uuid
from contextlib import ExitStack
from dataclasses import replace

import console
import pytest

from conftest import wait_for
from longshore.guests.process import finish_as_is, look_into
from longshore.guests.report import NicName
from longshore.model.hardware import BootDrivers
from longshore.model.machine import Disk, Firmware, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.target import Owner, PortRequest, ServerRequest, VolumeRequest
from longshore.planning import choose_hardware
from longshore.providers.openstack.connection import settings_from_cloud
from longshore.providers.openstack.target import OpenstackTarget

pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore:::openstack")]

GIB = 1 << 30
ESP_SIZE = 64 << 20
LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
RUN = f"asis-{uuid.uuid4().hex[:8]}"
MAC = f"00:50:56:3e:{RUN[-4:-2]}:{RUN[-2:]}"
ADDRESS = "10.20.30.41"  # the guest's own, written in its configuration
MACHINE = Machine(
    "vm-1",
    "web01",
    PowerState.ON,
    1,
    768,
    (
        Disk("2000", "Hard disk 1", 0, 3 * GIB, "[datastore1] root", "datastore1", controller="pvscsi"),
        Disk("2001", "Hard disk 2", 1, GIB, "[datastore2] data", "datastore2", controller="pvscsi", unit=1),
    ),
    (Nic("4000", "Network adapter 1", MAC, "VM Network", model="vmxnet3", pci_slot=192),),
    platform=Platform("vsphere"),
)
NICS = [NicName(MAC, "ens192")]


@pytest.fixture(scope="module")
def target():
    target = OpenstackTarget(*settings_from_cloud("lab"))
    yield target
    target.close()


@pytest.fixture
def copied(target):
    """Copies disks as a migration would have done it; all of this run is removed in the end."""
    volumes = []

    def copy(*images):
        for image in images:
            step = f"volume-{len(volumes)}"
            volume = target.create_volume(
                VolumeRequest(f"{RUN}-{step}", image.stat().st_size, "ceph"), Owner(RUN, step)
            )
            volumes.append(volume)
            with target.open_volume(volume.id, Owner(RUN, "copy")) as export:
                command = ["qemu-img", "convert", "-n", "-W", "-f", "raw", "-O", "raw", image, export.uri]
                subprocess.run(command, check=True)
        return volumes

    yield copy
    if server := target.find_server(Owner(RUN, "server")):
        target.delete_server(server.id)
    if port := target.find_port(Owner(RUN, "port")):
        target.delete_port(port.id)
    for volume in volumes:
        target.delete_volume(volume.id)


def on_disks(target, volumes, work):
    with ExitStack() as stack:
        owner = Owner(RUN, "guest")
        return asyncio.run(work([stack.enter_context(target.open_volume(v.id, owner)).uri for v in volumes]))


def boot(target, volumes, hardware, flavor_name, ports=()):
    """The server is left; what the guest said on its console once it writes."""
    properties = hardware.image_properties
    target.finish_volume(volumes[0].id, VolumeRequest(RUN, GIB, None, bootable=True, image_properties=properties))
    flavor = next(flavor for flavor in target.flavors() if flavor.name == flavor_name)
    ids = tuple(volume.id for volume in volumes)
    server = target.create_server(
        ServerRequest(RUN, flavor.id, ids, ports, disk_buses=hardware.disk_buses), Owner(RUN, "server")
    )
    wait_for(lambda: console.read(target.console(server.id)).last_acknowledged, 300, "the guest to write")
    (life,) = console.read(target.console(server.id)).boots
    return server, life


def properties(cloud, volume):
    return cloud.block_storage.get_volume(volume.id).volume_image_metadata or {}


@pytest.mark.soak  # a migration lands like that every day, in test_debian_moves
def test_the_debian_machine_boots_on_hardware_chosen_for_its_drivers(target, cloud, copied, lab, tmp_path):
    volumes = copied(*(lab.root / f"cache/guests/debian/{name}.raw" for name in ("root", "data")))
    drivers = on_disks(target, volumes, lambda disks: look_into(disks, tmp_path, print, nics=NICS)).drivers
    assert drivers.boot[0] == "vmw_pvscsi"
    assert "virtio_blk" not in drivers.boot  # it is among its modules, but not where the root disk needs it
    assert drivers.interface_names == ("ens192",)

    hardware, _ = choose_hardware(MACHINE, drivers)
    assert hardware.image_properties == {
        "hw_disk_bus": "scsi",
        "hw_scsi_model": "vmpvscsi",
        "hw_vif_model": "vmxnet3",
    }
    assert hardware.disk_buses == (None, "virtio")  # one pvscsi disk is all that Nova takes
    assert hardware.finish
    changes = on_disks(target, volumes, lambda disks: finish_as_is(disks, tmp_path, print, nics=NICS, drivers=drivers))
    assert len(changes) == 1
    assert "ens192" in changes[0]

    network = next(network for network in target.networks() if network.name == "private")
    port = target.create_port(PortRequest(RUN, network.id, MAC, (ADDRESS,)), Owner(RUN, "port"))
    server, life = boot(target, volumes, hardware, "t.small", (port.id,))
    assert [(disk.name, disk.driver) for disk in life.disks] == [("sda", "vmw_pvscsi"), ("vda", "virtio_blk")]
    assert life.mounts == {"/": "/dev/sda1", "/data": "/dev/vda"}
    assert life.verified.bad == 0
    nic = life.nics["ens192"]
    assert (nic.mac, nic.driver, nic.addresses) == (MAC, "vmxnet3", (f"{ADDRESS}/24",))

    # When it is converted later, it mustn't stay on this hardware
    target.delete_server(server.id)
    assert properties(cloud, volumes[0]).items() >= hardware.image_properties.items()
    target.finish_volume(volumes[0].id, VolumeRequest(RUN, GIB, None, bootable=True))
    assert not hardware.image_properties.keys() & properties(cloud, volumes[0]).keys()


@pytest.fixture
def uefi_root(lab, tmp_path):
    """The tiny guest's root disk as UEFI boots it, with its loader only where an installer puts it."""
    tiny = lab.root / "cache/guests/tiny/root.raw"
    disk, esp = tmp_path / "uefi.raw", tmp_path / "esp.raw"
    mtools = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    entry = tmp_path / "tiny.conf"
    entry.write_text("title tiny\nlinux /vmlinuz\ninitrd /initrd.gz\noptions console=ttyS0,115200 quiet tsc=unstable\n")
    with esp.open("wb") as file:
        file.truncate(ESP_SIZE)
    run("mkfs.vfat", "-F", "32", esp)
    run("mmd", "-i", esp, "::EFI", "::EFI/systemd", "::loader", "::loader/entries", env=mtools)
    for name in ("vmlinuz", "initrd.gz"):
        run("mcopy", "-i", f"{tiny}@@1M", f"::{name}", tmp_path / name, env=mtools)
        run("mcopy", "-i", esp, tmp_path / name, "::", env=mtools)
    run("mcopy", "-i", esp, entry, "::loader/entries/", env=mtools)
    run("mcopy", "-i", esp, LOADER, "::EFI/systemd/", env=mtools)

    system = json.loads(run("sfdisk", "--json", tiny))["partitiontable"]["partitions"][1]
    with disk.open("wb") as file:
        file.truncate(GIB)
    table = f"label: gpt\nstart=2048,size={ESP_SIZE // 512},type=uefi\nsize={system['size']},type=linux\n"
    run("sfdisk", "-q", disk, input=table.encode())
    run("dd", f"if={esp}", f"of={disk}", "bs=1M", "seek=1", "conv=notrunc,sparse")
    with tiny.open("rb") as source, disk.open("r+b") as target:
        source.seek(system["start"] * 512)
        target.seek((1 << 20) + ESP_SIZE)
        target.write(source.read(system["size"] * 512))
    return disk


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


@pytest.mark.soak
def test_a_uefi_machine_boots_without_the_variables_that_name_its_loader(target, copied, uefi_root, lab, tmp_path):
    volumes = copied(uefi_root, lab.root / "cache/guests/tiny/data.raw")
    # The tiny guest is no system that an inspection would know
    root = (1 << 20) + ESP_SIZE
    uuid_of_root = run("blkid", "-p", "-O", str(root), "-o", "value", "-s", "UUID", uefi_root, text=True).strip()
    drivers = BootDrivers(
        inspected=True,
        family="linux",
        boot=("vmw_pvscsi", "virtio_blk"),
        later=("vmw_pvscsi", "virtio_blk"),
        network=("vmxnet3", "virtio_net"),
        fallback_loader=False,
        mounts={"/": "/dev/sda2"},
        uuids={"/": uuid_of_root},
    )
    hardware, _ = choose_hardware(replace(MACHINE, firmware=Firmware.UEFI, nics=()), drivers)
    assert hardware.image_properties == {"hw_firmware_type": "uefi", "hw_disk_bus": "virtio"}
    assert hardware.finish
    changes = on_disks(target, volumes, lambda disks: finish_as_is(disks, tmp_path, print, drivers=drivers))
    assert "systemd-bootx64.efi was copied to" in changes[0]
    _, life = boot(target, volumes, hardware, "t.nano")
    assert {disk.driver for disk in life.disks} == {"virtio_blk"}
    assert life.verified.bad == 0
