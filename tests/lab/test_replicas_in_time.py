"""How a replica keeps up: with few changes, with many, beside a test, and with its engine killed again and again."""

import json
import os
import random
import subprocess
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from moves import kill_engine, seen_on
from test_protected_machines import TO, replica_until, sync
from test_vcenter_honest import SERVER

from conftest import last_acknowledged, target_inventory, wait_for
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration

# Minutes each; the vCenter is taken away from all
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.alone, pytest.mark.timeout(3600)]

FEW = 1_983_040  # bytes that have changed
MINUTES = int(os.environ.get("LONGSHORE_MINUTES", "20"))  # of writing without a pause
KILLS = 20


def protected(cli, tiny, *more):
    done = cli("replica", "create", tiny.name, *TO, *more)
    assert done.returncode == 0, done.stderr
    replica_until(cli, tiny.name, lambda shown: shown.points >= 1, 300, "its first point")


def written(sidedoor, name):
    """Bytes of load that the guest has written."""
    return int(sidedoor.say(name, "ping").split()[2])


def points(cli, name):
    return cli.json("replica", "point", "list", name)


@contextmanager
def nothing_stays(cli, tiny, sidedoor, cloud):
    """The replica is deleted at the end, and both sides are as they were."""
    before, source = target_inventory(cloud), sidedoor.machine(tiny.name)["snapshots"]
    yield
    done = cli("replica", "delete", tiny.name)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: target_inventory(cloud) == before, 180, "nothing to be left")
    wait_for(lambda: sidedoor.machine(tiny.name)["snapshots"] == source, 60, "the source's snapshot to go")


def test_few_changes_are_a_point_within_seconds(cli, tiny, sidedoor, cloud, tell):
    with nothing_stays(cli, tiny, sidedoor, cloud):
        protected(cli, tiny, "--every", "1h", "--keep", "last=3")
        took, changed = [], []
        for _ in range(3):
            sidedoor.say(tiny.name, "pause")
            enough = written(sidedoor, tiny.name) + FEW
            sidedoor.say(tiny.name, "heavy 8")
            wait_for(lambda least=enough: written(sidedoor, tiny.name) >= least, 60, "it to write")
            sidedoor.say(tiny.name, "heavy 0")
            took.append(sync(cli, tiny.name))
            changed.append(points(cli, tiny.name)[-1]["Changed"])
        tell(f"{changed} changed bytes are a point after {', '.join(f'{seconds:.1f}' for seconds in took)} s")
        assert all(FEW <= each < 16 * FEW for each in changed)
        # The source's bytes and the target's, all of them, have the point's digests
        done = cli("replica", "audit", tiny.name)
        assert done.returncode == 0, done.stderr
        shown = replica_until(cli, tiny.name, lambda it: it.audits, 300, "an audit")
        assert [(audit["hidden"], audit["repaired"], audit["untold"]) for audit in shown.audits] == [({}, {}, [])]


def test_a_test_stands_across_ten_syncs(cli, tiny, sidedoor, cloud, tell):
    import console as writer

    with nothing_stays(cli, tiny, sidedoor, cloud):
        protected(cli, tiny, "--schedule", "continuous", "--rpo", "1m", "--keep", "last=12")
        done = cli("replica", "test", tiny.name, "--keep", "--wait", "--plain", "-f", "json")
        assert done.returncode == 0, done.stderr
        tried = json.loads(done.stdout)
        seen = seen_on(cloud, tried["server_id"])
        (here,) = writer.read(sidedoor.console(tiny.name)).boots
        assert {nic.mac for nic in seen.nics.values()} == {tiny.mac}
        assert [nic.addresses for nic in seen.nics.values()] == [nic.addresses for nic in here.nics.values()]
        first = points(cli, tiny.name)[-1]["Number"]
        acknowledged = last_acknowledged(sidedoor.console(tiny.name))
        replica_until(
            cli, tiny.name, lambda _: points(cli, tiny.name)[-1]["Number"] >= first + 10, 900, "ten syncs beside it"
        )
        assert cloud.compute.get_server(tried["server_id"]).status == "ACTIVE"
        shown = replica_until(cli, tiny.name, lambda _: True, 5, "")
        assert shown.missed == 0
        assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
        assert last_acknowledged(sidedoor.console(tiny.name)) > acknowledged
        done = cli("migration", "cleanup", tried["id"])
        assert done.returncode == 0, done.stderr


def test_a_point_is_never_older_than_was_asked_for(cli, tiny, sidedoor, cloud, tell):
    with nothing_stays(cli, tiny, sidedoor, cloud):
        protected(cli, tiny, "--schedule", "continuous", "--rpo", "1m", "--keep", "last=3")
        sidedoor.say(tiny.name, "heavy 5")
        began, ages = time.monotonic(), []
        while time.monotonic() - began < MINUTES * 60:
            shown = replica_until(cli, tiny.name, lambda _: True, 5, "")
            ages.append(shown.rpo_now)
            time.sleep(1)
        took = [one["seconds"] for one in shown.syncs if "seconds" in one]
        tell(
            f"{written(sidedoor, tiny.name) >> 20} MiB written in {MINUTES} minutes: oldest {max(ages):.1f} s, "
            f"{points(cli, tiny.name)[-1]['Number']} points, last syncs {took[-5:]}"
        )

        subprocess.run([SERVER / "stop"], check=True)
        away = time.monotonic()
        try:
            breached = lambda it: any(one.code == "rpo-breached" for one in it.conditions)  # noqa: E731
            shown = _whatever_fails(cli, tiny.name, breached, 180, "the breach to be said")
            late = shown.rpo_now - 60
            time.sleep(max(0.0, 180 - (time.monotonic() - away)))
        finally:
            subprocess.run([SERVER / "start"], check=True)
        back = time.monotonic()
        _whatever_fails(cli, tiny.name, lambda it: it.rpo_now < 60 and not breached(it), 180, "it to keep up again")
        tell(f"the breach was said after {late:.1f} s, and was over {time.monotonic() - back:.1f} s after the vCenter")
        assert max(ages) <= 60
        assert late <= 10


def _whatever_fails(cli, name, condition, seconds, what):
    """As `replica_until`, where syncs may fail meanwhile."""
    with Client(Embedded(read_configuration(state=str(cli.state)))) as client:
        wait_for(lambda: condition(client.replica(name)), seconds, what)
        return client.replica(name)


class Acknowledged(threading.Thread):
    """What the guest had said to be safe at which time."""

    def __init__(self, sidedoor, name):
        super().__init__(daemon=True)
        self._sidedoor, self._name, self._over = sidedoor, name, threading.Event()
        self.heard = []

    def run(self):
        while not self._over.wait(0.2):
            last = last_acknowledged(self._sidedoor.console(self._name))
            self.heard.append((datetime.now(UTC), last))

    def end(self):
        self._over.set()
        self.join()

    def before(self, moment):
        return max((last for at, last in self.heard if at <= moment), default=0)


def test_whenever_it_is_killed_each_point_holds_what_was_safe_before_its_moment(cli, tiny, sidedoor, cloud, tidy, tell):
    with nothing_stays(cli, tiny, sidedoor, cloud):
        protected(cli, tiny, "--schedule", "continuous", "--rpo", "20s", "--keep", "last=3")
        heard = Acknowledged(sidedoor, tiny.name)
        heard.start()
        numbers = random.Random(seed := random.randrange(1 << 32))
        tell(f"seed {seed}")
        for kill in range(KILLS):
            kill_engine(cli)
            done = cli("replica", "test" if kill % 4 == 3 else "sync", tiny.name)  # which starts another one
            assert done.returncode == 0, done.stderr
            time.sleep(numbers.uniform(0, 20))
        newest = points(cli, tiny.name)[-1]["Number"]
        wait_for(lambda: points(cli, tiny.name)[-1]["Number"] >= newest + 4, 300, "syncs to go on")
        tests = lambda: [one for one in cli.json("job", "list") if one["Type"] == "test-failover"]  # noqa: E731
        wait_for(lambda: {one["Status"] for one in tests()} <= {"done", "failed"}, 300, "tests to end")
        assert cli("replica", "pause", tiny.name).returncode == 0
        time.sleep(15)  # until the last sync has ended
        heard.end()
        whole = [one for one in points(cli, tiny.name) if one["State"] == "usable"]
        assert len(whole) >= 3
        for point in whole:
            number, moment = str(point["Number"]), datetime.fromisoformat(point["Moment"]).astimezone(UTC)
            done = cli("replica", "test", tiny.name, "--point", number, "--keep", "--wait", "--plain", "-f", "json")
            assert done.returncode == 0, done.stderr
            tried = json.loads(done.stdout)
            seen = seen_on(cloud, tried["server_id"])
            assert (seen.verified.bad, seen.verified.last >= heard.before(moment) > 0) == (0, True)
            assert cli("migration", "cleanup", tried["id"]).returncode == 0
        tell(f"{newest} points, {KILLS} kills; usable in the end: {[one['Number'] for one in whole]}")
