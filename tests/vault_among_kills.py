"""Workers that die, or sleep for longer than their vault waits, while they back up or prune; and what is right then.

Three real workers on one PostgreSQL, a vault in a real directory or bucket; the machines are disk images, so that a
backup takes seconds. A vault waits for a day; here for seconds, so that what a day brings happens in each round.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path

from longshore.api.backups import NewBackup
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration
from longshore.errors import Conflict
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.vault.bucket import Bucket
from longshore.vault.directory import Directory
from longshore.vault.disks import PointDisk
from longshore.vault.names import DESCRIPTION
from longshore.vault.points import points
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from longshore.vault.verify import verify

LONGSHORE = Path(sys.executable).with_name("longshore")
MACHINES = ("m0", "m1", "m2")
SIZE = 24 << 20  # bytes of an image
PHRASE = "words of a vault among kills"
SLOWLY = 12 << 20  # bytes per second of a backup, so that it is met at work
MOMENTS = 5.0  # seconds that such a backup takes, more or less
LONGEST = 300.0  # seconds that a round may take
WORKERS = 3
ROUNDS = int(os.environ.get("LONGSHORE_ROUNDS") or 50)
SLEEPS, KILLS_OF_A_BUCKET = ROUNDS * 13 // 50, ROUNDS // 5
KILLS = ROUNDS - SLEEPS - KILLS_OF_A_BUCKET


class Place:
    """The place of the vault: its store, what a provider of it is told, and how its own description is changed."""

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
        """Set the seconds after which a writer counts as dead, from now on."""
        told = json.dumps(json.loads(self.store.read(DESCRIPTION)) | {"grace": grace}).encode()
        if self.bucket is None:
            (self.path / DESCRIPTION).write_bytes(told)
        else:
            key = f"{self.bucket.prefix}/{DESCRIPTION}"
            self.bucket.client.put_object(Bucket=self.bucket.name, Key=key, Body=told)


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
        self.pruning = None
        self.held = {}  # digests, by the point's name
        self.figures = Counter()
        self.client = Client(Embedded(read_configuration(state=str(root / "state"), database_url=self.database)))
        self.client.add_provider("files", "files", {"url": f"file://{self.images}"}, {})
        self.client.add_provider("vault", "vault", place.settings, place.secrets)

    def staff(self, lease):
        """Have as many workers as there are to be; `lease`: seconds after which others have what one of them had."""
        self.lease = lease
        self.config.write_text(
            f'database_url = "{self.database}"\nstate = "{self.root / "state"}"\n'
            f"lease_ttl = {lease}\nlease_beat = {lease / 4}\ndrain_for = 0\n"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "LONGSHORE_"))}
        self.workers = {name: worker for name, worker in self.workers.items() if worker.poll() is None}
        while len(self.workers) < WORKERS:
            self.started += 1
            name = f"worker{self.started}"
            with self.log(name).open("wb") as log:
                words = [LONGSHORE, "--config", self.config, "worker"]
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
            self.workers[name] = process
        for name in self.workers:
            wait_for(lambda n=name: "takes 8 migrations" in self.log(n).read_text(), 90, f"{name} to be there")

    def wait_for_end(self, ids):
        """Whoever ends meanwhile is started again, as systemd would: with a short lease and much else on the machine a
        worker may be late for its own, and ends itself."""
        end = time.monotonic() + LONGEST
        while not self.ended(ids):
            if time.monotonic() > end:
                at = [(one, self.client.migration(one).status, self.told(one)) for one in ids]
                logs = [self.log(name).read_text()[-2000:] for name in self.workers]
                raise AssertionError("\n".join(map(str, [*at, *logs])))
            time.sleep(0.5)
            self.staff(self.lease)

    def close(self):
        self.dismiss()
        self.client.close()

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
        """A backup of each machine, by its id, with what its point is to hold; and the prune beside them.

        One prune at a time: at a bucket, where lists may come late, it takes a minute.
        """
        request = MigrationRequest(type=MigrationType.BACKUP, rate_limit=SLOWLY)
        digests = {name: self.write(name) for name in MACHINES}
        asked = {name: NewBackup(machine=name, source="files", vault="vault", request=request) for name in MACHINES}
        begun = {self.client.back_up(asked[name]).id: digest for name, digest in digests.items()}
        if self.pruning is None or self.ended([self.pruning]):
            self.pruning = self.client.keep_vault("vault", "prune").id
            self.figures["prunes"] += 1
        return begun, self.pruning

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
        """Kill somebody with kill -9, of which all that it has started dies, too. Answers the prune's id."""
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
        self.wait_for_end([*begun])
        self.judge(begun)
        return pruning

    def put_to_sleep(self, grace):
        """Stop one of those that back up, for longer than the vault waits, while others prune, twice: then it wakes
        up."""
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
        self.wait_for_end([*begun, pruning])
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


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.3)


@contextmanager
def site_of(root, cluster, place, grace):
    """Yield a site on a vault that is made, which waits for `grace` seconds. The seed by which it can be had again is
    printed."""
    Vault.create(place.store, PHRASE, grace=grace)
    seed = int(os.environ.get("LONGSHORE_SEED") or time.time())
    print(f"LONGSHORE_SEED={seed}")
    site = Site(root, cluster, place, random.Random(seed))
    try:
        yield site
    finally:
        site.close()
