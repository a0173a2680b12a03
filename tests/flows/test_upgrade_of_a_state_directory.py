"""A state directory that an earlier release made opens, shows what it holds, and goes on.

It is the data of tests/data/flow_version_3: a plan of four machines whose engine was killed. app01 has moved, app02 has
failed and was rolled back, db01 and db02 wait for their cutover after several syncs; db02's source tells what changed
only since a snapshot that is still there.
"""

import json
import sqlite3
import sys
import tarfile
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from lives import FleetLife
from small_clouds import SIZES, expected
from small_fleet import Fleet

from longshore.engine import embedded
from longshore.model.status import Status
from longshore.store import StateDirectory, Store

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from in_process import longshore

pytestmark = pytest.mark.faults

MADE = Path(__file__).parents[1] / "data" / "flow_version_3" / "state.tar.xz"
WAITING = ("db01", "db02")


class Upgraded:
    """The state directory as a user of today's release finds it, and the fleet that it is about."""

    def __init__(self, root, *parts):
        with tarfile.open(MADE) as packed:
            wanted = [member for member in packed if member.name.split("/")[0] in parts]
            packed.extractall(root, wanted)
        self.state = StateDirectory(root / "state")
        self.fleet = Fleet(root / "fleet")

    def __call__(self, *words):
        ran = longshore(self.state.root, *words)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def json(self, *words):
        return json.loads(self(*words, "-f", "json"))

    def migrations(self):
        """Their ids by the names of their machines."""
        return {m["Machine"]: m["ID"] for m in self.json("migration", "list")}


@pytest.fixture(scope="module")
def upgraded():
    """What is only looked at. Nobody starts an engine for that."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory, pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded, "ensure_running", lambda _state: pytest.fail("an engine was started to look"))
        yield Upgraded(Path(directory), "state")


def test_the_schema_is_that_of_today(upgraded):
    upgraded("plan", "list")
    new = StateDirectory(upgraded.state.root / "new")
    Store(new).close()
    schemas = []
    for state in (upgraded.state, new):
        with closing(sqlite3.connect(state.root / "longshore.db")) as database:
            version = database.execute("SELECT version_num FROM alembic_version").fetchall()
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            columns = {table: {row[1] for row in database.execute(f"PRAGMA table_info({table})")} for table in tables}
            schemas.append((version, columns))
    assert schemas[0] == schemas[1]


def test_the_plan_is_shown(upgraded):
    plan = upgraded.json("plan", "show", "shop")
    assert (plan["from"], plan["to"]) == ("vc", "cloud")
    assert {m["machine"]: m["type"] for m in plan["machines"]} == {
        "app01": "cold",
        "app02": "cold",
        "db01": "warm",
        "db02": "warm",
    }
    report = upgraded("plan", "report", "shop")
    assert "1 done, 1 failed, 2 " in report
    assert "| app01 | 1 | cold | done | " in report


def test_what_has_ended_is_shown_as_it_ended(upgraded):
    known = upgraded.migrations()
    moved, failed = (upgraded.json("migration", "show", known[name]) for name in ("app01", "app02"))
    assert (moved["status"], moved["phase"], moved["plan"]) == ("done", "done", "shop")
    assert (failed["status"], failed["phase"]) == ("failed", "rolled-back")
    assert "Kernel panic - not syncing" in failed["error"]
    assert {e["State"] for e in upgraded.json("migration", "ledger", known["app01"])} == {"handed-over", "removed"}
    assert {e["State"] for e in upgraded.json("migration", "ledger", known["app02"])} == {"removed"}
    assert upgraded.json("migration", "events", known["app01"])[-1]["What"] == "Done."
    report = upgraded("migration", "report", known["app01"])
    assert moved["server_id"] in report
    assert all(disk["root_digest"] in report for disk in moved["disks"])
    assert "app02 is powered on again." in upgraded("migration", "report", known["app02"])


@pytest.mark.parametrize(("name", "base"), [("db01", "removed"), ("db02", "made")])
def test_what_waits_is_shown_with_all_that_it_has(upgraded, name, base):
    migration = upgraded.migrations()[name]
    shown = upgraded.json("migration", "show", migration)
    assert shown["status"] not in {status.value for status in Status if status.ended}
    assert shown["phase"] == "waiting"
    assert [sync["number"] for sync in shown["syncs"]] == [0, 1, 2, 3]
    assert [sync["bytes_changed"] for sync in shown["syncs"]] == [None, 48, 48, 48]
    ledger = {e["Step"]: (e["Kind"], e["State"]) for e in upgraded.json("migration", "ledger", migration)}
    assert ledger["volume-2000"] == ledger["volume-2001"] == ("volume", "made")
    assert ledger["snapshot-3"] == ("source-snapshot", base)
    events = [event["What"] for event in upgraded.json("migration", "events", migration)]
    assert "Copying what has changed (sync 3)." in events
    report = upgraded("migration", "report", migration)
    assert all(disk["root_digest"] in report for disk in shown["disks"])
    manifests = {path.name for path in upgraded.state.migration(migration).glob("*.manifest")}
    assert manifests == {"sync-3-2000.manifest", "sync-3-2001.manifest"}


def test_its_secrets_are_opened(upgraded):
    with closing(Store(upgraded.state)) as store:
        opened = {p.name: store.providers.secrets(p.id) for p in store.providers.all()}
    assert opened == {"vc": {"password": "of the small vCenter"}, "cloud": {"password": "of the small cloud"}}


class Alive(Upgraded):
    """The same with its clouds, which are what they were when the engine was killed."""

    def __init__(self, root):
        super().__init__(root, "state", "fleet")
        with closing(sqlite3.connect(self.state.root / "longshore.db")) as database:
            database.execute("UPDATE providers SET settings = ?", [json.dumps({"root": str(self.fleet.root)})])
            database.commit()
        for name in self.fleet.names:
            with self.fleet.world(name).change() as world:  # what the small clouds have learned since
                world.setdefault("starts", 1)
                world.setdefault("probes", {})
                for port in world["ports"].values():
                    port.setdefault("addresses", [])
                    port.setdefault("device", None)
        self.store = Store(self.state)
        self.ids = {record.machine_name: record.id for record in self.store.migrations.all()}
        self.engines = []

    def start_engine(self):
        self.engines.append(FleetLife(self.state.root, self.fleet.root))
        return self.engines[-1]

    def record(self, name):
        return self.store.migrations.get(self.ids[name])

    def wait_for(self, condition, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            assert self.engines[-1].poll() is None, "the engine has ended"
            time.sleep(0.05)

    def close(self):
        for engine in self.engines:
            if engine.poll() is None:
                engine.kill()
        self.store.close()


@pytest.fixture
def alive():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory, closing(Alive(Path(directory))) as alive:
        yield alive


def test_what_waits_is_taken_back_if_it_is_cancelled(alive):
    for name in WAITING:
        alive.store.migrations.request_cancel(alive.ids[name])
    assert alive.start_engine().wait(timeout=120) == 0
    for name in WAITING:
        assert alive.record(name).status is Status.CANCELLED
        assert {e.state.value for e in alive.store.ledger.entries(alive.ids[name])} == {"removed"}
        world = alive.fleet.world(name).read()
        assert (world["power"], world["tracking"]) == ("on", False)
        assert not any(world[kind] for kind in ("snapshots", "volumes", "ports", "servers"))


def test_what_waits_goes_on_from_its_last_sync_and_is_cut_over(alive):
    for name in WAITING:
        alive.fleet.world(name).guest_writes("2001", 12288, b"while it was upgraded")
    engine = alive.start_engine()
    alive.wait_for(lambda: all(len(alive.record(name).syncs) > 4 for name in WAITING))
    for name in WAITING:
        sync = alive.record(name).syncs[4]
        assert sync["number"] == 4
        assert 0 < sync["bytes_changed"] < 4096, "it didn't go on from the base that it had"
        assert sync["bytes_read"] < sum(SIZES.values())
    for name in WAITING:
        alive.store.migrations.request_cutover(alive.ids[name])
    assert engine.wait(timeout=120) == 0
    for name in WAITING:
        assert_moved(alive, name)
    with closing(sqlite3.connect(alive.state.engine_database)) as database:
        assert database.execute("SELECT count(*) FROM workflow_status").fetchone() == (0,)


def assert_moved(alive, name):
    """Whole and converted, on the volumes that the earlier release had made, with nothing left over."""
    record, world = alive.record(name), alive.fleet.world(name)
    assert record.status is Status.DONE, record.error
    there = world.read()
    assert (there["power"], there["tracking"]) == ("off", False)
    assert not any(there[kind] for kind in ("snapshots", "vsnaps", "networks"))
    (server,) = there["servers"].values()
    entries = alive.store.ledger.entries(record.id)
    assert {e.state.value for e in entries} == {"handed-over", "removed"}
    assert set(server["volume_ids"]) == {e.ref for e in entries if e.step in ("volume-2000", "volume-2001")}
    for volume, key in zip(server["volume_ids"], SIZES, strict=True):
        assert world.volume_file(volume).read_bytes() == expected(world, key)
    last = (world.root / "source-2001").read_bytes()
    assert b"while it was upgraded" in last
    assert b"last words 2001" in last
    assert record.syncs[-1]["final"] is True
