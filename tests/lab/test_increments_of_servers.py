"""What an increment costs on a real volume of a server, and what is left when points of many are deleted."""

import functools
import json
import random
import subprocess
import time
from statistics import median

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


@pytest.fixture
def idle(sides, flavors):
    """A server whose guest writes nothing: a Debian's disk, 3 GiB with 1.0 GB used, that it can't boot from here."""
    here = sides[0]
    storage = here.cloud.block_storage
    volume = storage.create_volume(name="debian", size=3)
    storage.wait_for_status(volume, "available", wait=120)
    image = f"volumes/volume-{volume.id}"
    rbd("rm", "--no-progress", image)
    rbd("import", "--no-progress", str(TINY.with_name("debian") / "root.raw"), image)
    storage.set_volume_bootable_status(volume, True)
    server, _ = here.server("idle", flavors[0], "10.71.0.31", [volume_disk(volume, 0)])
    time.sleep(20)  # of looking for its disk
    yield server, image
    here.clear()


@functools.cache
def held():
    """Blocks of the disk that aren't holes."""
    words = ["qemu-img", "map", "--output", "json", "-f", "raw", TINY.with_name("debian") / "root.raw"]
    mapped = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    found = [(one["start"], one["start"] + one["length"]) for one in mapped if one["data"] and not one["zero"]]
    return [place for start, end in found for place in range(-(-start // WRITTEN), end // WRITTEN)]


def write_here_and_there(image, chance, writes=WRITES):
    """As a guest changes its files: through librbd, which has the server's process give it the image for that long.

    Where the disk holds something: what is written into a hole, librbd tells as all of the object up to there.
    """
    places = sorted(chance.sample(held(), writes))
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


class Backups:
    """Of the idle server, one after another; and what the last one came to."""

    def __init__(self, cli, place):
        self.cli, self.place = cli, place
        self.last = None

    def another(self):
        """Seconds of the whole command; bytes read and stored."""
        before, began = self.place.stored, time.monotonic()
        done = self.cli("backup", "create", "idle", "--source", "here", "--vault", "offsite", *WAIT, "-f", "json")
        whole = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        self.last = json.loads(done.stdout)
        assert self.last["result"]["consistency"] == "crash"
        return whole, self.last["result"]["bytes_read"], self.place.stored - before

    def parts(self):
        """When what was said of the last one."""
        events = self.cli.json("migration", "events", self.last["id"])
        return " | ".join(f"{event['At']} {event['What'][:40]}" for event in events)


def test_increments_read_and_store_what_was_written(cli, idle, vault, tell):
    _, image = idle
    chance = random.Random(5)
    backups = Backups(cli, vault)
    told = {"first": [backups.another()], "nothing": [], "some": []}
    for _ in range(3):
        told["nothing"].append(backups.another())
        write_here_and_there(image, chance)
        told["some"].append(backups.another())
    tell(backups.parts())
    for what, runs in told.items():
        seconds = [seconds for seconds, _, _ in runs]
        said = [f"{read / MIB:.1f} MiB read, {stored / 1024:.0f} KiB stored" for _, read, stored in runs]
        tell(f"{what}: {median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f}); {'; '.join(said)}")
    assert max(stored for _, _, stored in told["nothing"]) <= 16 << 10
    assert max(read for _, read, _ in told["some"]) <= 60 * MIB
    assert max(stored for _, _, stored in told["some"]) <= 25 * MIB
    assert cli("migration", "cleanup", backups.last["id"]).returncode == 0


@pytest.mark.parametrize("vault", ["bucket"], indirect=True)
def test_of_many_points_the_first_and_one_in_the_middle_go_and_nothing_is_rewritten(cli, sides, idle, vault, tell):
    _, image = idle
    chance = random.Random(6)
    backups = Backups(cli, vault)
    names = []
    for _ in range(POINTS):
        backups.another()
        names.append(backups.last["result"]["point"])
        write_here_and_there(image, chance, 20)
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
