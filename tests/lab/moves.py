"""Moves in the lab: what is done to migrations, and how a moved machine is looked at."""

import os
import signal
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from openstack.exceptions import NotFoundException, SDKException

from conftest import booted_afresh, last_acknowledged, wait_for
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration
from longshore.providers.openstack.ownership import KEY

READY = "LONGSHORE-WRITER ready"
# Of a machine that tells on its console that it is up and writing
TO = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY, "--wait", "--plain"]


@contextmanager
def writing(guest, sidedoor, lab, cloud):
    """Yield the guest running and writing. Its server on the target goes at the end, whoever has made it."""
    with booted_afresh(guest, sidedoor, lab, cloud) as running:
        wait_for(lambda: last_acknowledged(sidedoor.console(guest.name)) > 20, 600, f"{guest.name} to boot and write")
        yield running
        remove_servers(cloud, guest)


def state_of(cli, migration):
    return cli.json("migration", "show", migration)


def wait_until(cli, migration, condition, seconds, what):
    """Wait until `condition(migration, events)` holds, as the commands would show them.

    Asked in this process: each command that starts takes a second of processor, which the guests need.
    """
    with Client(Embedded(read_configuration(state=str(cli.state)))) as client:

        def holds():
            told = "\n".join(event.text for event in client.events(migration))
            return condition(client.migration(migration), told)

        wait_for(holds, seconds, what)


def has_copied(key, size):
    """Return a condition for `wait_until`: more than so many bytes of this disk have been copied."""

    def holds(shown, _):
        return any((disk.progress or {}).get("copied", 0) > size for disk in shown.disks if disk.key == key)

    return holds


def only_migration(cli):
    (migration,) = cli.json("migration", "list")
    return migration["ID"]


def latest(cli, guest):
    """The migration of that guest that was asked for last."""
    return cli.json("migration", "list", "--machine", guest.name)[-1]["ID"]


def kill_engine(cli):
    """Kill the engine as the kernel's OOM killer would: no chance to tidy up. Its children die with it."""
    os.kill(cli.engine_pid(), signal.SIGKILL)
    wait_for(lambda: not children_of_a_dead_engine(cli), 10, "exports and copies to die with their engine")


def children_of_a_dead_engine(cli):
    """Return the processes that still speak of this state directory."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            command = (directory / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(cli.state) in command and "-m\0longshore.flows\0" not in command and "--state" not in command:
            found.append(command)
    return found


def seen_on(cloud, server_id):
    """Return what the guest on the target told of itself in its one boot there."""
    import console as writer

    said = cloud.compute.get_server_console_output(server_id)["output"]
    (seen,) = writer.read(said).boots
    assert seen.verified is not None, f"the guest on the target hasn't verified its records; its console: {said}"
    return seen


def assert_moved(sidedoor, cloud, guest, shown, *, nics=frozenset({"virtio_net"}), disks=frozenset({"virtio_blk"})):
    """Check what the machine's owner would look at: every acknowledged record there, MAC kept, the source off and
    intact.

    `nics` and `disks` are the drivers that the guest should have for them.
    """
    acknowledged = last_acknowledged(sidedoor.console(guest.name))
    server = cloud.compute.get_server(shown["server_id"])
    assert server.status == "ACTIVE"
    seen = seen_on(cloud, server.id)
    assert seen.verified.bad == 0
    assert seen.verified.last >= acknowledged > 0
    assert {nic.mac for nic in seen.nics.values()} == {guest.mac}
    assert {nic.driver for nic in seen.nics.values()} == nics
    assert len(seen.disks) == 2
    assert {disk.driver for disk in seen.disks} == disks
    assert [p.mac_address for p in cloud.network.ports(device_id=server.id)] == [guest.mac]
    source = sidedoor.machine(guest.name)
    assert source["power"] == "poweredOff"
    assert source["snapshots"] == []
    return seen


def remove_servers(cloud, guest):
    for server in cloud.compute.servers(name=f"^{guest.name}$"):
        remove_server(cloud, server.id)


def remove_server(cloud, server_id):
    volumes = [v.id for v in cloud.compute.volume_attachments(server_id)]
    ports = [p.id for p in cloud.network.ports(device_id=server_id)]
    server = cloud.compute.get_server(server_id)
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server, wait=120)
    for port in ports:
        cloud.network.delete_port(port, ignore_missing=True)
    for volume in volumes:
        wait_for(lambda v=volume: _is_free(cloud.block_storage, v), 60, "a volume to be free")
        cloud.block_storage.delete_volume(volume)


def _is_free(storage, volume):
    """Tell whether a volume may be deleted, or was with its server."""
    try:
        return storage.get_volume(volume).status == "available"
    except NotFoundException:
        return True


def remove_made(cloud, database):
    """Remove the volumes and snapshots that bear the mark of one of an installation's jobs, and nobody else's."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as kept:
        ids = {
            id_ for table in ("migrations", "jobs", "replicas") for (id_,) in kept.execute(f"SELECT id FROM {table}")
        }

    def made(found):
        return [one for one in found if (one.metadata or {}).get(KEY, "").partition("/")[0] in ids]

    def left():
        storage = cloud.block_storage
        snapshots, volumes = made(storage.snapshots()), made(storage.volumes())
        for remove, some in ((storage.delete_snapshot, snapshots), (storage.delete_volume, volumes)):
            for one in some:
                with suppress(SDKException):  # what is made of it goes first, and is asked for once more
                    remove(one.id)
        return snapshots + volumes

    wait_for(lambda: not left(), 60, "what the test has made to be gone")


def events(cli, migration):
    return "\n".join(e["What"] for e in cli.json("migration", "events", migration))
