"""What an increment costs on a real volume of a server, and what is left when points of many are deleted."""

import functools
import json
import random
import subprocess
import time
from datetime import datetime
from statistics import median
from typing import NamedTuple

import pytest
from buckets import BUCKET, gateway
from test_openstack_source import TINY, cli, flavors, rbd, sides, volume_disk

from conftest import refused, wait_for

__all__ = ["cli", "flavors", "sides"]  # fixtures

pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:::openstack"),
]

WAIT = ("--wait", "--plain")
POINTS = 30
WRITES, WRITTEN = 500, 4096
MIB = 1 << 20
DEBIAN = TINY.with_name("debian") / "root.raw"


@pytest.fixture
def idle(sides, flavors):
    """A server whose guest writes nothing. Its disk's image."""
    here = sides[0]
    image = idle_server(here, flavors[0], "idle", "10.71.0.31")
    time.sleep(20)  # of looking for its disk
    yield image
    here.clear()


def idle_server(here, flavor, name, address):
    """On a Debian's disk, 3 GiB with 0.4 GB that aren't zero, which it can't boot from here."""
    storage = here.cloud.block_storage
    volume = storage.create_volume(name=name, size=3)
    storage.wait_for_status(volume, "available", wait=120)
    image = f"volumes/volume-{volume.id}"
    rbd("rm", "--no-progress", image)
    rbd("import", "--no-progress", str(DEBIAN), image)
    storage.set_volume_bootable_status(volume, True)
    here.server(name, flavor, address, [volume_disk(volume, 0)])
    return image


@functools.cache
def held():
    """Pages of the disk that hold something: what is nothing but zeroes, `rbd import` leaves out."""
    words = ["qemu-img", "map", "--output", "json", "-f", "raw", DEBIAN]
    mapped = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    extents = [(one["start"], one["length"]) for one in mapped if one["data"] and not one["zero"]]
    with DEBIAN.open("rb") as disk:
        pages = (page for start, length in extents for page in range(start // WRITTEN, (start + length) // WRITTEN))
        return [page for page in pages if disk.seek(page * WRITTEN) >= 0 and any(disk.read(WRITTEN))]


def holes():
    return sorted({*range(DEBIAN.stat().st_size // WRITTEN)}.difference(held()))


def write_here_and_there(image, chance, writes=WRITES, *, among=held):
    """As a guest changes its files: through librbd, which has the server's process give it the image for that long.

    Where the disk holds something. An object of the image ends behind the last that was written to it, and what is
    written behind its end, Ceph tells as all from that end on: so `among` holes more is read than was written.
    """
    places = sorted(chance.sample(among(), writes))
    said = [f"write -q -P {chance.randrange(1, 256)} {place * WRITTEN} {WRITTEN}" for place in places]
    words = ["qemu-io", "-f", "raw", f"rbd:{image}:id=cinder"]
    done = subprocess.run(words, input="\n".join([*said, "flush", "quit"]), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


class Place:
    """Of a vault: what is in it."""

    def __init__(self, bucket=None, directory=None):
        self.bucket, self.directory = bucket, directory

    @property
    def packs(self):
        """Size and time of each."""
        if self.bucket is None:
            found = [(path.name, path.stat()) for path in self.directory.glob("packs/*/*")]
            return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found}
        pages = self.bucket.client.get_paginator("list_objects_v2")
        listed = [
            one
            for page in pages.paginate(Bucket=BUCKET, Prefix=f"{self.bucket.prefix}/packs/")
            for one in page.get("Contents", ())
        ]
        return {one["Key"].rpartition("/")[2]: (one["Size"], one["LastModified"]) for one in listed}

    @property
    def stored(self):
        return sum(size for size, _ in self.packs.values())


@pytest.fixture(params=["directory", "bucket"])
def vault(request, cli, the_lab, tmp_path):
    """An encrypted one."""
    phrase = tmp_path / "phrase"
    phrase.write_text("words of increments\n")
    with gateway(the_lab) as bucket:
        if request.param == "directory":
            where, place = (str(tmp_path / "vault"),), Place(directory=tmp_path / "vault")
        else:
            where, place = (bucket.url, *bucket.words), Place(bucket=bucket)
        done = cli("vault", "create", "offsite", *where, "--pass-phrase-file", str(phrase))
        assert done.returncode == 0, done.stderr
        yield place


class Took(NamedTuple):
    """Seconds. What the command took beside the backup is mostly its own start."""

    command: float
    backup: float


class Backups:
    """Of idle servers, one after another; and what the last one came to."""

    def __init__(self, cli, place):
        self.cli, self.place = cli, place
        self.last = None

    def another(self, machine="idle"):
        """Seconds of the whole command, and of what it asked for until that was done; bytes read and stored."""
        before, began = self.place.stored, time.monotonic()
        done = self.cli("backup", "create", machine, "--source", "here", "--vault", "offsite", *WAIT, "-f", "json")
        whole = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        self.last = json.loads(done.stdout)
        assert self.last["result"]["consistency"] == "crash"
        asked, done = (datetime.fromisoformat(self.last[when]) for when in ("created_at", "finished_at"))
        took = Took(whole, (done - asked).total_seconds())
        return took, self.last["result"]["bytes_read"], self.place.stored - before

    def parts(self):
        """When what was said of the last one."""
        events = self.cli.json("migration", "events", self.last["id"])
        return " | ".join(f"{event['At']} {event['What'][:40]}" for event in events)


def test_increments_read_and_store_what_was_written(cli, idle, vault, tell):
    chance = random.Random(5)
    backups = Backups(cli, vault)
    told = {"first": [backups.another()], "nothing": [], "some": []}
    for _ in range(3):
        told["nothing"].append(backups.another())
        write_here_and_there(idle, chance)
        told["some"].append(backups.another())
    tell(backups.parts())
    write_here_and_there(idle, chance, WRITES // 10, among=holes)
    told["some in holes"] = [backups.another()]
    for what, runs in told.items():
        told_of = []
        for part in Took._fields:
            seconds = [getattr(took, part) for took, _, _ in runs]
            told_of.append(f"{part} {median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})")
        said = [f"{read / MIB:.1f} MiB read, {stored / 1024:.0f} KiB stored" for _, read, stored in runs]
        tell(f"{what}: {', '.join(told_of)}; {'; '.join(said)}")
    assert max(stored for _, _, stored in told["nothing"]) <= 16 << 10
    assert max(read for _, read, _ in told["some"]) <= 60 * MIB
    assert max(stored for _, _, stored in told["some"]) <= 25 * MIB
    assert told["some in holes"][0][2] <= MIB, "nothing but zeroes before what was written"
    assert cli("migration", "cleanup", backups.last["id"]).returncode == 0


@pytest.mark.parametrize("vault", ["directory"], indirect=True)
def test_a_second_server_of_the_same_image_stores_what_differs(cli, sides, flavors, idle, vault, tell):
    twin = idle_server(sides[0], flavors[0], "twin", "10.71.0.32")
    write_here_and_there(twin, random.Random(7), WRITES // 3)
    backups, stored = Backups(cli, vault), []
    for name in ("idle", "twin"):
        took, read, added = backups.another(name)
        stored.append(added)
        said = f"{read / MIB:.1f} MiB read, {added / MIB:.1f} MiB stored"
        tell(f"all of {name}: command {took.command:.1f} s, backup {took.backup:.1f} s; {said}")
        assert cli("migration", "cleanup", backups.last["id"]).returncode == 0
    tell(backups.parts())
    assert stored[0] <= 400_000_000
    assert stored[1] <= stored[0] / 10


@pytest.mark.parametrize("vault", ["directory", "bucket"], indirect=True)
def test_of_many_points_the_first_and_one_in_the_middle_go_and_nothing_is_rewritten(cli, sides, idle, vault, tell):
    chance = random.Random(6)
    backups = Backups(cli, vault)
    names = []
    for _ in range(POINTS):
        backups.another()
        names.append(backups.last["result"]["point"])
        write_here_and_there(idle, chance, 20)
    packs = vault.packs
    refused(cli("backup", "delete", "nobody/nothing", "--vault", "offsite"), "nobody/nothing")
    for name in (names[0], names[POINTS // 2]):
        done = cli("backup", "delete", name, "--vault", "offsite")
        assert done.returncode == 0, done.stderr
    began = time.monotonic()
    done = cli("vault", "prune", "offsite", *WAIT, "-f", "json")
    assert done.returncode == 0, done.stderr
    pruned = time.monotonic() - began
    assert vault.packs == packs, "packs that were written again, or deleted before a day has passed"
    began = time.monotonic()
    done = cli("vault", "verify", "offsite", *WAIT, "-f", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["result"]
    tell(f"prune {pruned:.1f} s: {len(packs)} packs, none rewritten; {found} in {time.monotonic() - began:.1f} s")
    assert (found["points"], found["faults"]) == (POINTS - 2, [])
    assert cli("migration", "cleanup", backups.last["id"]).returncode == 0
    wait_for(lambda: not list(sides[0].cloud.block_storage.snapshots()), 60, "no snapshot to be left")
