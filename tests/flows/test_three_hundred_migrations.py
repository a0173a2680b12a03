"""Two workers move hundreds of machines, and the landings of a tenth of them fail, each in a way of its own: another
try copies nothing a second time.

Machines and cloud are small ones in memory; workers, PostgreSQL, copies and their verification are real.
"""

import random
from collections import Counter
from datetime import timedelta

import pytest
from small_clouds import MIB, SIZES
from small_fleet import one_small_disk
from test_three_hundred_replicas import shop

from longshore.model.status import Status

pytestmark = [pytest.mark.long, pytest.mark.soak]

AT_ONCE = {"mode": "scheduled", "at": "2026-01-01T00:00:00Z"}
LANDINGS = ("snapshot_volume", "finish_volume", "create_server", "console")
HOW = ("error", "fault", "conflict", "quota", "occupied")
MOST = 1.05  # of the disks' bytes, and beside that what has changed: so much may be read


def held(record):
    return bool((record.state or {}).get("held"))


def waits_for_somebody(record):
    """A parked one is tried again by itself: there may be no moment in which all of them rest."""
    parked = record.job is not None and record.job.times_parked > 0
    return parked or (held(record) and record.phase == "waiting" and record.error)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machines", [30, 300])
def test_nothing_is_copied_twice_though_a_tenth_of_the_landings_fail(postgresql, monkeypatch, capsys, machines):
    one_small_disk(monkeypatch.setitem, monkeypatch.delitem)
    chance = random.Random(machines)
    with shop(postgresql, machines, timedelta(minutes=1), data=MIB // 2) as made:
        failing = {
            name: (chance.choice(LANDINGS), chance.choice(HOW)) for name in chance.sample(made.names, machines // 10)
        }
        for name, (call, how) in failing.items():
            made.fleet.world(name).plan_fault(call, 1, "before", how, stays=True)
        made.migrate(lambda number: {"type": "warm", "cutover": AT_ONCE} if number % 2 else {})
        for _ in range(2):
            made.work()

        def records():
            return {one.machine_name: one for one in made.store.migrations.several(list(made.ids.values()))}

        made.until(
            lambda: all(one.status.ended or waits_for_somebody(one) for one in records().values()), 20 * machines
        )
        for name, one in records().items():
            assert (one.status is Status.DONE) is (name not in failing), f"{name}: {one.error}"
        for name in failing:
            assert len(made.fleet.world(name).read()["volumes"]) == len(SIZES), "its copy is there"
            made.fleet.world(name).lift_faults()
            if held(one := records()[name]):
                made.store.migrations.request_retry(one.id, {})
        made.until(lambda: all(one.status.ended for one in records().values()), 20 * machines)
        ends = Counter(one.status for one in records().values())
        assert ends == {Status.DONE: machines}, ends
        read = changed = 0
        for name, one in records().items():
            read += one.result["bytes_read"]
            changed += sum(sync["bytes_changed"] or 0 for sync in one.syncs)
            state = made.fleet.world(name).read()
            assert len(state["servers"]) == 1
            assert state["power"] == "off"
            assert not (state["snapshots"] or state["vsnaps"])
        size = machines * sum(SIZES.values())
        with capsys.disabled():
            print(f"\n{machines} machines, {len(failing)} of them twice: {read / size:.3f} of their disks were read")
        assert read <= MOST * size + changed
