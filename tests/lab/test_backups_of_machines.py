"""A machine backed up into a vault while it writes, and made again of it when it is gone: in the lab."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from buckets import BUCKET, gateway
from moves import READY, kill_engine, remove_server, seen_on, wait_until

from conftest import last_acknowledged, target_inventory, wait_for

pytestmark = pytest.mark.lab

SIZE = 512 << 20  # bytes of both of a tiny machine's disks
KEYS = ("2000", "2001")
GUESTS = Path(__file__).parents[2] / "lab" / "guests"
PHRASE = "words of the lab's vault"


@pytest.fixture
def vault(cli, tmp_path):
    """An encrypted one."""
    (tmp_path / "phrase").write_text(PHRASE + "\n")
    done = cli("vault", "create", "offsite", str(tmp_path / "vault"), "--pass-phrase-file", str(tmp_path / "phrase"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "vault"


def back_up(cli, machine):
    done = cli("backup", "create", machine, "--source", "vc", "--vault", "offsite", "--wait", "--plain", "-f", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.turns("protection")
def test_a_machine_is_backed_up_while_it_writes_and_made_again_when_it_is_gone(
    cli, tiny, sidedoor, cloud, tidy, vault, bucket, tmp_path, tell
):
    before, source = target_inventory(cloud), sidedoor.machine(tiny.name)["snapshots"]
    first = back_up(cli, tiny.name)["result"]
    acknowledged = last_acknowledged(sidedoor.console(tiny.name))
    second = back_up(cli, tiny.name)["result"]
    assert (first["consistency"], second["consistency"]) == ("crash", "crash"), "nobody asked to freeze it"
    tell(f"{first['bytes_read']} bytes read for the first backup, {second['bytes_read']} for the second")
    assert second["base"] == first["point"]
    assert 0 < second["bytes_read"] < SIZE / 4
    assert sidedoor.machine(tiny.name)["snapshots"] == source
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
    assert not [path for path in vault.rglob("*") if path.is_file() and tiny.name.encode() in path.read_bytes()]

    # Nothing but the vault is needed: the machine is gone, and the other point too
    sidedoor.cut_power(tiny.name)
    done = cli("backup", "delete", first["point"], "--vault", "offsite")
    assert done.returncode == 0, done.stderr
    done = cli("vault", "verify", "offsite", "--wait", "--plain", "-f", "json")
    assert done.returncode == 0, done.stderr
    words = ("--target", "cloud", "--network", "VM Network=private", "--boot-mark", READY, "--landing", "unchanged")
    done = cli("restore", "create", tiny.name, "--vault", "offsite", *words, "-f", "json")
    assert done.returncode == 0, done.stderr
    restore = json.loads(done.stdout)["id"]
    wait_until(cli, restore, lambda _, told: "Copying" in told, 120, "its copy to begin")
    kill_engine(cli)
    done = cli("migration", "resume", restore, "--wait", "--plain")
    assert done.returncode == 0, done.stderr
    shown = cli.json("migration", "show", restore)
    assert shown["status"] == "done"
    seen = seen_on(cloud, shown["server_id"])
    assert (seen.verified.bad, seen.verified.last >= acknowledged > 0) == (0, True)
    assert seen.verified.root - seen.verified.data in (0, 1), "one snapshot: the root disk is written first"
    assert {nic.mac for nic in seen.nics.values()} == {tiny.mac}
    take_its_place(cli, cloud, shown["server_id"], tell)
    in_order(cli, bucket)
    wait_for(lambda: target_inventory(cloud) == before, 120, "nothing to be left")

    # One disk alone, as a volume
    words = ("--vault", "offsite", "--target", "cloud", "--disk", "2", "--wait", "--plain", "-f", "json")
    done = cli("restore", "volumes", second["point"], *words)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["Result"] == "moved"
    restored = cloud.block_storage.get_volume(row["New volume"])
    assert (restored.name, restored.is_bootable, restored.attachments) == (f"{tiny.name}-1", False, [])

    # A stranger restores it with the script in the vault alone
    given = ("--pass-phrase-file", str(tmp_path / "phrase"))
    disks = [tmp_path / f"{key}.raw" for key in KEYS]
    for key, file in zip(KEYS, disks, strict=True):
        run(sys.executable, "-I", vault / "restore.py", second["point"], key, file, *given)
    found = json.loads(run(sys.executable, GUESTS / "check.py", *disks))
    assert found["bad"] == []
    assert min(found["root"], found["data"]) >= acknowledged
    image = f"rbd:volumes/volume-{restored.id}:id=cinder"
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", image, disks[1])

    # It has no server: as such it is backed up, and made again
    words = ("--source", "cloud", "--vault", "offsite", "--wait", "--plain", "-f", "json")
    done = cli("backup", "create", f"volume:{restored.id}", *words)
    assert done.returncode == 0, done.stderr
    backup = json.loads(done.stdout)
    point = backup["result"]["point"]
    done = cli(
        "restore", "volumes", point, "--vault", "offsite", "--target", "cloud", "--wait", "--plain", "-f", "json"
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    again = cloud.block_storage.get_volume(row["New volume"])
    assert (again.name, again.size, again.description) == (restored.name, restored.size, restored.description)
    image = f"rbd:volumes/volume-{again.id}:id=cinder"
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", image, disks[1])
    assert cli("migration", "cleanup", backup["id"]).returncode == 0
    for volume in (again, restored):
        cloud.block_storage.delete_volume(volume.id)
    wait_for(lambda: target_inventory(cloud) == before, 120, "nothing to be left")


@pytest.fixture
def bucket(the_lab, cli, tmp_path):
    """An encrypted vault in a bucket of the lab's S3 server."""
    phrase = ("--pass-phrase-file", str(tmp_path / "phrase"))
    with gateway(the_lab) as there:
        wrong = cli("vault", "create", "none", "s3://nowhere/v", *there.words)
        assert (wrong.returncode, "There is no bucket nowhere" in wrong.stderr) == (1, True), wrong.stderr
        (tmp_path / "other").write_text("not-the-key\n")
        wrong = cli("vault", "create", "none", "s3://vaults/v", *there.words[:-1], str(tmp_path / "other"))
        assert (wrong.returncode, "isn't that of the access key" in wrong.stderr) == (1, True), wrong.stderr
        made = cli("vault", "create", "away", there.url, *there.words, *phrase)
        assert made.returncode == 0, made.stderr
        yield there


def told_by(cli, *words):
    done = cli(*words, "--wait", "--plain", "-f", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_order(cli, there):
    """The vault in the bucket is read whole; of two who prune it one is told so."""
    assert cli.json("vault", "check", "away")["points"] == 1
    assert told_by(cli, "vault", "verify", "away")["result"]["faults"] == []
    assert len([name for name in there.keys if "/points/" in name]) == 1
    there.client.put_object(Bucket=BUCKET, Key=f"{there.prefix}/prune.json", Body=b"another one's")
    refused = cli("vault", "prune", "away", "--wait", "--plain")
    assert (refused.returncode, "is being pruned already" in refused.stderr) == (1, True), refused.stderr
    there.client.delete_object(Bucket=BUCKET, Key=f"{there.prefix}/prune.json")
    assert told_by(cli, "vault", "prune", "away")["result"]["deleted"] == 0


def take_its_place(cli, cloud, server, tell):
    """A server is backed up, and what it was then takes its place: undone, and for good. Removes both in the end."""
    told = partial(told_by, cli)

    def port(ref):
        (found,) = cloud.network.ports(device_id=ref)
        return found.mac_address, found.fixed_ips

    at = port(server)
    acknowledged = last_acknowledged(cloud.compute.get_server_console_output(server)["output"])
    backup = told("backup", "create", server, "--source", "cloud", "--vault", "away")
    point = backup["result"]["point"]
    assert backup["result"]["consistency"] == "crash", "it has no agent, and each volume its own snapshot"
    later = last_acknowledged(cloud.compute.get_server_console_output(server)["output"])
    words = ("restore", "create", point, "--vault", "away", "--target", "cloud", "--in-place", "--boot-mark", READY)
    for end in ("undo", "commit"):
        restored = told(*words)
        new = restored["server_id"]
        tell(f"in place of a server: down for {restored['result']['downtime_seconds']:.1f} s")
        assert (restored["phase"], port(new)) == ("up", at)
        assert [one for one in cloud.network.ports(device_id=server)] == []
        assert cloud.compute.get_server(server).status == "SHUTOFF"
        seen = seen_on(cloud, new)
        # Each volume has a snapshot of its own: all that may be said is that they are not of one moment
        of_one_moment = seen.verified.root - seen.verified.data in (0, 1)
        assert (seen.verified.bad, 0 < acknowledged <= seen.verified.last <= later + 1000) == (not of_one_moment, True)
        assert told("restore", end, restored["id"])["status"] == {"undo": "cancelled", "commit": "done"}[end]
        if end == "undo":
            assert (cloud.compute.get_server(server).status, port(server)) == ("ACTIVE", at)
            assert cloud.compute.find_server(new) is None
    assert (cloud.compute.get_server(new).status, cloud.compute.get_server(server).status) == ("ACTIVE", "SHUTOFF")
    cleaned = cli("migration", "cleanup", backup["id"])  # the snapshots that the next backup would ask
    assert cleaned.returncode == 0, cleaned.stderr
    remove_server(cloud, server)
    remove_server(cloud, new)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
