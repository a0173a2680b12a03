"""Fifty times a worker dies, or sleeps for longer than its vault waits, while it backs up or prunes: no point is lost.

Three real workers on one PostgreSQL, a real directory or the lab's S3 server; the machines are disk images, so that a
backup takes seconds. A vault waits for a day; here for seconds, so that what a day brings happens in each round.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from buckets import BUCKET, gateway
from people import without_cloud

from conftest import LONGSHORE, wait_for
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration
from longshore.errors import Conflict
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.vault.bucket import Bucket
from longshore.vault.directory import Directory
from longshore.vault.disks import PointDisk
from longshore.vault.points import points
from longshore.vault.prune import prune
from longshore.vault.vault import DESCRIPTION, Vault
from longshore.vault.verify import verify

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(3600)]

MACHINES = ("m0", "m1", "m2")
SIZE = 24 << 20  # bytes of an image
PHRASE = "words of a vault among kills"
SLOWLY = 12 << 20  # bytes per second of a backup, so that it is met at work
MOMENTS = 5.0  # seconds that such a backup takes, more or less
WORKERS = 3
ROUNDS = int(os.environ.get("LONGSHORE_ROUNDS") or 50)
SLEEPS, KILLS_AT_A_BUCKET = ROUNDS * 13 // 50, ROUNDS // 5
KILLS = ROUNDS - SLEEPS - KILLS_AT_A_BUCKET


class Place:
    """Where the vault is: its store, what a provider of it is told, and how its own description is changed."""

    def __init__(self, root=None, bucket=None):
        self.bucket = bucket
        self.secrets = {"pass_phrase": PHRASE}
        if bucket is None:
            self.settings, self.store = {"directory": str(root)}, Directory(root)
            self.path = root
        else:
            self.settings = {"url": bucket.url, "endpoint": bucket.endpoint, "access_key": bucket.access_key}
            self.secrets["secret_key"] = bucket.secret_file.read_text().strip()
            where = (bucket.url, bucket.endpoint, "us-east-1", bucket.access_key, self.secrets["secret_key"])
            self.store = Bucket(*where)

    def open(self):
        return Vault.open(self.store, "prune", PHRASE)

    def wait_for(self, grace):
        """From now on, the seconds after which a writer counts as dead."""
        told = json.dumps(json.loads(self.store.read(DESCRIPTION)) | {"grace": grace}).encode()
        if self.bucket is None:
            (self.path / DESCRIPTION).write_bytes(told)
        else:
            key = f"{self.bucket.prefix}/{DESCRIPTION}"
            self.bucket.client.put_object(Bucket=BUCKET, Key=key, Body=told)


class Site:
    """Workers that share a database, the machines, and what each point has to hold."""

    def __init__(self, root, cluster, place, chance):
        self.root, self.cluster, self.place, self.chance = root, cluster, place, chance
        self.database = cluster.database()
        self.config = root / "longshore.toml"
        self.images = root / "images"
        self.images.mkdir()
        for name in MACHINES:
            (self.images / f"{name}.img").write_bytes(chance.randbytes(SIZE // 2) + bytes(SIZE // 2))
        self.workers = {}
        self.started = 0
        self.held = {}  # digests, by the point's name
        self.figures = Counter()
        self.client = Client(Embedded(read_configuration(state=str(root / "state"), database_url=self.database)))
        self.client.add_provider("files", "files", {"url": f"file://{self.images}"}, {})
        self.client.add_provider("vault", "vault", place.settings, place.secrets)

    def staff(self, lease):
        """As many workers as there are to be; `lease`: seconds after which others have what one of them had."""
        self.config.write_text(
            f'database_url = "{self.database}"\nstate = "{self.root / "state"}"\n'
            f"lease_ttl = {lease}\nlease_beat = {lease / 4}\ndrain_for = 0\n"
        )
        self.workers = {name: worker for name, worker in self.workers.items() if worker.poll() is None}
        while len(self.workers) < WORKERS:
            self.started += 1
            name = f"worker{self.started}"
            with self.log(name).open("wb") as log:
                words = [LONGSHORE, "--config", self.config, "worker"]
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=without_cloud())
            self.workers[name] = process
        for name in self.workers:
            wait_for(lambda n=name: "takes 8 migrations" in self.log(n).read_text(), 90, f"{name} to be there")

    def log(self, name):
        return self.root / f"{name}.log"

    def dismiss(self):
        for worker in self.workers.values():
            send(signal.SIGCONT, family(worker.pid))
            worker.kill()
            worker.wait(30)

    # What goes on in a round

    def write(self, name):
        """A guest has written. The digest of what the machine's disk holds now."""
        with (self.images / f"{name}.img").open("r+b") as image:
            for _ in range(self.chance.randrange(1, 40)):
                image.seek(self.chance.randrange(SIZE - 5000))
                image.write(self.chance.choice((bytes(4096), self.chance.randbytes(4096))))
            image.seek(0)
            return hashlib.blake2b(image.read()).hexdigest()

    def begin(self):
        """A backup of each machine, by its id, with what its point is to hold; and a prune beside them."""
        request = MigrationRequest(type=MigrationType.BACKUP, rate_limit=SLOWLY)
        digests = {name: self.write(name) for name in MACHINES}
        begun = {self.client.back_up(name, "files", "vault", request).id: digests[name] for name in MACHINES}
        return begun, self.client.keep_vault("vault", "prune").id

    def delete(self, number):
        """Any that are there: no other one needs them."""
        for name in self.chance.sample(sorted(self.held), min(number, len(self.held))):
            self.client.delete_vault_point("vault", name)
            del self.held[name]
            self.figures["points deleted"] += 1

    def at_work(self, ids):
        """Names of the workers that have any of these."""
        found = self.cluster.query(
            self.database,
            "SELECT workers.pid, jobs.record_id FROM jobs JOIN workers ON workers.id = jobs.worker_id "
            "WHERE jobs.ended_at IS NULL",
        )
        pids = {pid for pid, record in found if record in ids}
        return sorted(name for name, worker in self.workers.items() if worker.pid in pids)

    def ended(self, ids):
        return all(self.client.migration(id_).status.ended for id_ in ids)

    def judge(self, begun, *, lost=False):
        """Each backup has made its point; with `lost` it may have been taken for dead, and then there is none."""
        there = {point.name for point in self.client.vault_points("vault")}
        for id_, digest in begun.items():
            backup = self.client.migration(id_)
            if backup.status is Status.DONE:
                self.figures["backed up"] += 1
                self.held[backup.result["point"]] = digest
            else:
                assert lost, (backup.error, self.told(id_))
                assert "no sign of life" in backup.error, (backup.error, self.told(id_))
                self.figures["taken for dead"] += 1
        assert there == set(self.held), "points that were lost, or that nobody has made"

    def told(self, id_):
        return [event.text for event in self.client.events(id_)]

    def meet(self, wanted, others):
        """A worker that has some of what is `wanted`, at any moment of it; and which of that it has."""
        wait_for(lambda: self.at_work({*wanted, *others}) or self.ended(wanted), 60, "somebody to be at work")
        time.sleep(self.chance.uniform(0, MOMENTS))
        name = self.chance.choice(self.at_work(wanted) or self.at_work(others) or sorted(self.workers))
        return self.workers[name], [id_ for id_ in (*wanted, *others) if name in self.at_work({id_})]

    def kill_somebody(self, lease):
        """With kill -9, of which all that it has started dies, too. Answers the prune's id."""
        begun, pruning = self.begin()
        self.delete(self.chance.randrange(3))
        pruner = self.chance.random() < 0.3
        victim, had = self.meet([pruning], [*begun]) if pruner else self.meet([*begun], [pruning])
        victim.kill()
        victim.wait(30)
        self.figures["killed"] += 1
        self.figures["backups of the killed"] += len({*had} & {*begun})
        self.figures["prunes of the killed"] += pruning in had
        self.staff(lease)
        wait_for(lambda: self.ended(begun), 180, "its backups to go on elsewhere")
        self.judge(begun)
        return pruning

    def put_to_sleep(self, grace):
        """One of those that back up, for longer than the vault waits, while others prune, twice: then it wakes up."""
        begun, pruning = self.begin()
        victim, had = self.meet([*begun], [pruning])
        sleeping = family(victim.pid)
        send(signal.SIGSTOP, sleeping)
        self.delete(1)
        for _ in range(self.chance.choice((1, 2, 2))):
            time.sleep(grace + 0.5)
            self.prune_here()
        send(signal.SIGCONT, sleeping)
        self.figures["slept"] += 1
        self.figures["backups of the sleepers"] += len({*had} & {*begun})
        wait_for(lambda: self.ended([*begun, pruning]), 180, "all to end")
        self.judge(begun, lost=True)

    def prune_here(self):
        with suppress(Conflict):  # a worker is at it
            done = prune(self.place.open())
            self.figures["packs pruned"] += done.deleted

    # At the end

    def check(self):
        """Each point is there, and holds what it has to, by its digests and by what was backed up."""
        vault = self.place.open()
        found = {point.name: point for point in points(vault)}
        assert set(found) == set(self.held)
        assert verify(vault).faults == ()
        for name, digest in self.held.items():
            (top,) = found[name].disks.values()
            assert hashlib.blake2b(PointDisk(vault, top).read(0, top.size)).hexdigest() == digest, name
        self.figures["points whole at the end"] = len(found)

    def leave_nothing(self):
        """Once nobody writes and no point is left, prunes leave no pack."""
        self.delete(len(self.held))
        for _ in range(3):
            time.sleep(1.1)
            prune(self.place.open())
        assert list(self.place.store.names("packs")) == []
        assert list(self.place.store.names("condemned")) == []
        assert list(self.place.store.names("writers")) == []


def family(pid):
    """A process, and all that it has started, as far as they live."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            children[int(stat.read_text().rpartition(")")[2].split()[1])].append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


def send(number, pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.fixture
def site(tmp_path, postgresql):
    """Opens one on a vault."""
    with ExitStack() as stack:

        def open_site(place, grace):
            Vault.create(place.store, PHRASE, grace=grace)
            seed = int(os.environ.get("LONGSHORE_SEED") or time.time())
            print(f"LONGSHORE_SEED={seed}")
            site = Site(tmp_path, postgresql, place, random.Random(seed))
            stack.callback(site.client.close)
            stack.callback(site.dismiss)
            return site

        yield open_site


def test_no_point_in_a_directory_is_lost_whoever_is_killed_or_sleeps(site, tmp_path, tell):
    lease, grace = 3, 20
    site = site(Place(root=tmp_path / "vault"), grace)
    began = time.monotonic()
    for _ in range(KILLS):
        site.staff(lease)
        pruning = site.kill_somebody(lease)
    wait_for(lambda: site.ended([pruning]), 120, "the last prune")
    site.check()
    # Who sleeps shall wake up as the one who has it still, for the others: its vault alone has taken it for dead
    site.dismiss()
    grace = 3
    site.place.wait_for(grace)
    for _ in range(SLEEPS):
        site.staff(30)
        site.put_to_sleep(grace)
    site.check()
    site.dismiss()
    site.place.wait_for(1)
    site.leave_nothing()
    tell(f"in a directory, {time.monotonic() - began:.0f} s: {dict(site.figures)}")


def test_no_point_in_a_bucket_is_lost_whoever_is_killed(site, the_lab, tell, monkeypatch):
    lease = 3
    with gateway(the_lab) as bucket:
        site = site(Place(bucket=bucket), 3600)
        began = time.monotonic()
        for _ in range(KILLS_AT_A_BUCKET):
            site.staff(lease)
            site.kill_somebody(lease)
        site.check()
        site.dismiss()
        # A day has passed, and more
        monkeypatch.setattr(Bucket, "lists_late", 0.0)
        site.place.wait_for(1)
        site.place.store.delete("prune.json")
        site.leave_nothing()
        tell(f"in a bucket, {time.monotonic() - began:.0f} s: {dict(site.figures)}")
