"""The Debian machine of the lab lands unchanged: its disks are looked into, hardware is chosen, and it boots on it."""

import asyncio
import subprocess
import uuid
from contextlib import ExitStack

import console
import pytest
from conftest import wait_for

from longshore.guests import NicName, finish_as_is, inspect_drivers
from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.target import Owner, PortRequest, ServerRequest, VolumeRequest
from longshore.planning import choose_hardware
from longshore.providers.openstack import OpenstackTarget, settings_from_cloud

pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore:::openstack")]

GIB = 1 << 30
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
)
NICS = [NicName(MAC, "ens192")]


@pytest.fixture(scope="module")
def target():
    target = OpenstackTarget(*settings_from_cloud("lab"))
    yield target
    target.close()


@pytest.fixture
def volumes(target, lab):
    """The machine's disks as a migration would have copied them; all of this run is removed in the end."""
    volumes = []
    try:
        for disk, name in zip(MACHINE.disks, ("root", "data"), strict=True):
            request = VolumeRequest(f"{RUN}-{disk.position}", disk.size, "ceph")
            volume = target.create_volume(request, Owner(RUN, f"volume-{disk.key}"))
            volumes.append(volume)
            image = lab.root / f"cache/guests/debian/{name}.raw"
            with target.open_volume(volume.id, Owner(RUN, "copy")) as export:
                command = ["qemu-img", "convert", "-n", "-W", "-f", "raw", "-O", "raw", image, export.uri]
                subprocess.run(command, check=True)
        yield volumes
    finally:
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


def properties(cloud, volume):
    return cloud.block_storage.get_volume(volume.id).volume_image_metadata or {}


def test_it_boots_unchanged_on_hardware_chosen_for_its_drivers(target, cloud, volumes, tmp_path):
    drivers = on_disks(target, volumes, lambda disks: inspect_drivers(disks, tmp_path, print, nics=NICS))
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
    request = VolumeRequest(RUN, 3 * GIB, None, bootable=True, image_properties=hardware.image_properties)
    target.finish_volume(volumes[0].id, request)
    flavor = next(flavor for flavor in target.flavors() if flavor.name == "t.small")
    ids = tuple(volume.id for volume in volumes)
    asked = ServerRequest(RUN, flavor.id, ids, (port.id,), disk_buses=hardware.disk_buses)
    server = target.create_server(asked, Owner(RUN, "server"))

    wait_for(lambda: console.read(target.console(server.id)).last_acknowledged, 300, "the guest to write")
    (boot,) = console.read(target.console(server.id)).boots
    assert [(disk.name, disk.driver) for disk in boot.disks] == [("sda", "vmw_pvscsi"), ("vda", "virtio_blk")]
    assert boot.mounts == {"/": "/dev/sda1", "/data": "/dev/vda"}
    assert boot.verified.bad == 0
    nic = boot.nics["ens192"]
    assert (nic.mac, nic.driver, nic.addresses) == (MAC, "vmxnet3", (f"{ADDRESS}/24",))

    # When it is converted later, it mustn't stay on this hardware
    target.delete_server(server.id)
    assert properties(cloud, volumes[0]).items() >= hardware.image_properties.items()
    target.finish_volume(volumes[0].id, VolumeRequest(RUN, 3 * GIB, None, bootable=True))
    assert not hardware.image_properties.keys() & properties(cloud, volumes[0]).keys()
