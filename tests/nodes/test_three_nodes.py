"""Three nodes with the files that `longshore node prepare` writes: one loses something while there is work."""

import os
import time

import pytest
import three_nodes as machines
from node_work import AS_ROOT, SLOWER, asked, assert_nothing_lost
from three_nodes import NODES

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(1500), AS_ROOT]


def test_the_address_goes_where_haproxy_lives_and_stays_there():
    (had,) = machines.wait_for(lambda: machines.holders() if len(machines.holders()) == 1 else None, 60)
    with asked(3) as found:
        os.kill(machines.pid_of(f"haproxy{had}"), 19)  # what keeps it is stopped, so that it stays away
        machines.end([pid for pid in machines.below(machines.pid_of(f"haproxy{had}"))])
        began = time.monotonic()
        machines.wait_for(lambda: had not in machines.holders() and machines.holders(), 12 * SLOWER, every=0.1)
        print(f"another node has the address after {time.monotonic() - began:.1f} s")
        machines.end_name(f"haproxy{had}")
        machines.start("haproxy", had)
        time.sleep(6)
        assert had not in machines.holders(), "it doesn't go back"
    assert_nothing_lost(found, 3)
    # Whoever asks while no machine has the address is refused: at once, so it is many who are
    assert found["read"]["longest_without"] < 12 * SLOWER


def test_a_server_is_missed_by_nobody_who_reads():
    with asked(3) as found:
        machines.end([machines.kept("server1")])
    assert found["read"]["failed"] == []
    assert len(found["write"]["failed"]) <= 6, "only what was under way there"
    assert_nothing_lost(found, 3)


def test_a_database_that_dies_is_waited_for():
    with asked(3) as found:
        machines.kill_database(machines.primary())
    assert found["read"]["failed"] == [] and found["write"]["failed"] == []
    assert_nothing_lost(found, 3)


def test_the_power_of_the_primary_s_node_is_missed_by_nobody():
    workers = {n: machines.kept(f"worker{n}") for n in NODES}
    with asked(6) as found:
        lost = machines.primary()
        machines.power_off_database(lost)
        began = time.monotonic()
        machines.wait_for(lambda: machines.primary() not in (None, lost), 60 * SLOWER)
        print(f"another one leads after {time.monotonic() - began:.1f} s")
    machines.start("etcd", lost)
    machines.start("patroni", lost)
    assert found["read"]["failed"] == [] and found["write"]["failed"] == []
    assert_nothing_lost(found, 6)
    assert {n: machines.kept(f"worker{n}") for n in NODES} == workers, "no worker has ended for it"
    assert machines.wait_for(machines.whole, 300) != lost, "what comes back follows"
