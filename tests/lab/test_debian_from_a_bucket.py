"""A Debian server with two disks is lost, and its tenant makes it again of what is in a bucket: through a server."""

import json
import time

import pytest
from buckets import gateway
from moves import TO, assert_moved, latest, remove_server, seen_on, state_of, writing
from test_server import ann, served

from conftest import Guest, last_acknowledged, wait_for

__all__ = ["ann", "served"]  # fixtures

# Minutes each, without hardware virtualisation
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(2400)]

WEB01 = Guest("web01", "00:50:56:ab:cd:01")
WAIT = ("--wait", "--plain")


@pytest.fixture(params=["converted", "as it is"])
def server(request, cli, sidedoor, lab, cloud):
    """Its id: volume-backed, writing to both disks, on VMware's hardware or on virtio."""
    with writing(WEB01, sidedoor, lab, cloud):
        landing = ["--landing", "as-is"] if request.param == "as it is" else []
        done = cli("migrate", "web01", *TO, *landing, timeout=1500)
        assert done.returncode == 0, done.stderr
        shown = state_of(cli, latest(cli, WEB01))
        how = {"nics": {"vmxnet3"}, "disks": {"vmw_pvscsi", "virtio_blk"}} if landing else {}
        assert_moved(sidedoor, cloud, WEB01, shown, **how)
        yield shown["server_id"]


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
        after = cloud.compute.get_server(made["server_id"])
        assert (after.name, after.flavor.name, after.metadata) == (before.name, before.flavor.name, before.metadata)
        wait_for(lambda: written(made["server_id"]) > seen.verified.last, 120, "it to write on")
        for id_ in [one["ID"] for one in ann.json("migration", "list")]:
            ann.did("migration", "delete", id_)
        for name in ("cloud", "mine"):
            ann.did("migration", "provider", "remove", name)
