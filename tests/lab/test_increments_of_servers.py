"""What an increment costs on a real volume of a server, and what is left when points of many are deleted."""

import json
import random
import subprocess
import time
from statistics import median

import pytest
from buckets import BUCKET, gateway
from moves import state_of
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


def write_here_and_there(image, chance, writes=WRITES):
    """As a guest would: through librbd, which has its server's process give it the image for that long."""
    places = sorted(chance.sample(range(3072 * MIB // WRITTEN), writes))
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
    """Encrypted. Where a test says so, in a bucket alone."""
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


class Figures:
    def __init__(self, cli, place, tell):
        self.cli, self.place, self.tell = cli, place, tell
        self.last = None

    def back_up(self, what):
        """Seconds of the command, and of the backup itself; bytes read and stored."""
        before, began = self.place.stored, time.monotonic()
        done = self.cli("backup", "create", "idle", "--source", "here", "--vault", "offsite", *WAIT, "-f", "json")
        whole = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        self.last = json.loads(done.stdout)
        shown = state_of(self.cli, self.last["id"])
        read, stored = self.last["result"]["bytes_read"], self.place.stored - before
        self.tell(f"{what}: {whole:.1f} s, {read / MIB:.1f} MiB read, {stored / 1024:.0f} KiB stored")
        events = self.cli.json("migration", "events", self.last["id"])
        self.tell(" | ".join(f"{e['Time']} {e['What'][:40]}" for e in events))
        assert shown["result"]["consistency"] == "crash"
        return whole, read, stored


def test_increments_read_and_store_what_was_written(cli, idle, vault, tell):
    _, image = idle
    chance = random.Random(5)
    figures = Figures(cli, vault, tell)
    figures.back_up("first")
    nothing, some = [], []
    for _ in range(3):
        nothing.append(figures.back_up("after no write"))
        write_here_and_there(image, chance)
        some.append(figures.back_up(f"after {WRITES} writes of {WRITTEN} bytes"))
    assert max(stored for _, _, stored in nothing) <= 16 << 10
    assert max(read for _, read, _ in some) <= 60 * MIB
    assert max(stored for _, _, stored in some) <= 25 * MIB
    tell(f"medians: none {median(s for s, _, _ in nothing):.1f} s, some {median(s for s, _, _ in some):.1f} s")
    assert cli("migration", "cleanup", figures.last["id"]).returncode == 0


@pytest.mark.parametrize("vault", ["bucket"], indirect=True)
def test_of_many_points_the_first_and_one_in_the_middle_go_and_nothing_is_rewritten(cli, sides, idle, vault, tell):
    _, image = idle
    chance = random.Random(6)
    figures = Figures(cli, vault, lambda _: None)
    names = []
    for _ in range(POINTS):
        figures.back_up("one of many")
        names.append(figures.last["result"]["point"])
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
    assert cli("migration", "cleanup", figures.last["id"]).returncode == 0
    wait_for(lambda: not list(sides[0].cloud.block_storage.snapshots()), 60, "no snapshot to be left")
