"""A Debian server with two disks is lost, and its tenant makes it again of what is in a bucket: through a server."""

import json
import time
from contextlib import contextmanager

import pytest
from buckets import gateway
from moves import TO, assert_moved, latest, remove_server, remove_servers, seen_on, state_of, writing
from test_openstack_source import rbd, volume_disk
from test_server import ann, served

from conftest import Guest, last_acknowledged, wait_for
from longshore.model.target import DISK_BUS

__all__ = ["ann", "served"]  # fixtures

# Minutes each, without hardware virtualisation
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(2400)]

WEB01 = Guest("web01", "00:50:56:ab:cd:01")
WAIT = ("--wait", "--plain")
GIB = 1 << 30
# What `--landing as-is` gives web01: VMware's devices for the first disk and the network, virtio for the other disk
VMWARE = {"hw_disk_bus": "scsi", "hw_scsi_model": "vmpvscsi", "hw_vif_model": "vmxnet3"}


@pytest.fixture(params=["converted", "as it is"])
def server(request, cli, sidedoor, lab, the_lab, cloud):
    """Its id: volume-backed, writing to both disks, on virtio or on the hardware that it was made for."""
    if request.param == "as it is":
        with on_vmware_devices(cloud, the_lab / "cache/guests/debian") as server_id:
            yield server_id
        return
    with writing(WEB01, sidedoor, lab, cloud):
        done = cli("migrate", "web01", *TO, timeout=1500)
        assert done.returncode == 0, done.stderr
        shown = state_of(cli, latest(cli, WEB01))
        assert_moved(sidedoor, cloud, WEB01, shown)
        yield shown["server_id"]


@contextmanager
def on_vmware_devices(cloud, images):
    """As such a machine has landed, without the half hour that emulation takes to look into its disks and to boot it
    in the vCenter first."""
    storage = cloud.block_storage
    remove_servers(cloud, WEB01)
    volumes = []
    for name in ("root", "data"):
        file = images / f"{name}.raw"
        made = storage.create_volume(name=f"web01-{name}", size=-(-file.stat().st_size // GIB))
        volumes.append(storage.wait_for_status(made, "available", wait=120))
        rbd("rm", "--no-progress", f"volumes/volume-{made.id}")
        rbd("import", "--no-progress", file, f"volumes/volume-{made.id}")
    root, data = volumes
    storage.set_volume_bootable_status(root, True)
    storage.set_volume_image_metadata(root, **VMWARE)
    storage.set_volume_metadata(data, **{DISK_BUS: "virtio"})
    network = cloud.network.find_network("private")
    at = [{"ip_address": "10.20.30.41"}]
    port = cloud.network.create_port(network_id=network.id, fixed_ips=at, mac_address=WEB01.mac, name="web01")
    made = cloud.compute.create_server(
        name="web01",
        metadata={"team": "web"},
        flavor_id=cloud.compute.find_flavor("t.small").id,
        networks=[{"port": port.id}],
        block_device_mapping=[volume_disk(root, 0), {**volume_disk(data, 1), "disk_bus": "virtio"}],
    )
    server = cloud.compute.wait_for_server(made, wait=300)
    console = lambda: cloud.compute.get_server_console_output(server)["output"]  # noqa: E731
    wait_for(lambda: last_acknowledged(console()) > 20, 900, "web01 to boot and write")
    yield server.id
    remove_servers(cloud, WEB01)


def own(server):
    """What its owner has said of it: Longshore's marks say where it comes from."""
    metadata = {key: text for key, text in server.metadata.items() if not key.startswith("longshore:")}
    return server.name, server.flavor.original_name, metadata


def test_a_tenant_makes_it_again_with_all_that_it_had_acknowledged(server, served, ann, the_lab, cloud, tmp_path, tell):
    written = lambda id_: last_acknowledged(cloud.compute.get_server_console_output(id_)["output"])  # noqa: E731
    phrase = tmp_path / "phrase"
    phrase.write_text("words of the Debian's tenant\n")
    (port,) = cloud.network.ports(device_id=server)
    hardware = seen_on(cloud, server)
    before = cloud.compute.get_server(server)
    with gateway(the_lab) as there:
        ann.did("migration", "provider", "add", "openstack", "cloud")
        ann.did("migration", "vault", "create", "mine", there.url, *there.words, "--pass-phrase-file", phrase)
        backups = []
        for which in ("first", "second"):
            acknowledged, began = written(server), time.monotonic()
            words = ("--source", "cloud", "--vault", "mine", *WAIT)
            backups.append(ann.json("migration", "backup", "create", "web01", *words))
            result = backups[-1]["result"]
            tell(f"{which} backup, as a command: {time.monotonic() - began:.1f} s, {result}")
        later = written(server) + 100
        files = ("migration", "backup", "files")
        found = ann.json(*files, "find", "web01", "fstab", "--vault", "mine")
        assert "/etc/fstab" in str(found)
        ann.did(*files, "get", "web01", "/etc/fstab", "--vault", "mine", "--to", tmp_path / "fstab")
        assert "/data" in (tmp_path / "fstab").read_text()
        ann.did("migration", "cleanup", backups[-1]["id"])  # or its volumes couldn't be deleted
        remove_server(cloud, server)
        assert not list(cloud.network.ports(mac_address=port.mac_address))

        began = time.monotonic()
        to = ("--target", "cloud", "--boot-mark", TO[TO.index("--boot-mark") + 1])
        made = ann.json("migration", "restore", "create", "web01", "--vault", "mine", *to, *WAIT, timeout=1500)
        tell(f"restored and seen up after {time.monotonic() - began:.1f} s: {json.dumps(made['result'])}")
        seen = seen_on(cloud, made["server_id"])
        assert (seen.verified.bad, 0 < acknowledged <= seen.verified.last <= later) == (0, True)
        assert [(disk.driver, disk.size) for disk in seen.disks] == [
            (disk.driver, disk.size) for disk in hardware.disks
        ]
        assert {name: (nic.mac, nic.addresses, nic.driver) for name, nic in seen.nics.items()} == {
            name: (nic.mac, nic.addresses, nic.driver) for name, nic in hardware.nics.items()
        }
        (again,) = cloud.network.ports(device_id=made["server_id"])
        assert (again.mac_address, again.fixed_ips) == (port.mac_address, port.fixed_ips)
        assert own(cloud.compute.get_server(made["server_id"])) == own(before)
        wait_for(lambda: written(made["server_id"]) > seen.verified.last, 120, "it to write on")
        for id_ in [one["ID"] for one in ann.json("migration", "job", "list")]:
            ann.did("migration", "delete", id_)
        for name in ("cloud", "mine"):
            ann.did("migration", "provider", "delete", name)
