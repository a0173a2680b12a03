"""Three nodes with the files that `longshore node prepare` writes: one loses something while there is work."""

import json
import os
import signal
import time

import pytest
import three_nodes as machines
from node_work import AS_ROOT, SLOWER, asked, assert_nothing_lost
from three_nodes import NODES, VIRTUAL

pytestmark = [pytest.mark.nodes, pytest.mark.turns("packages and nodes"), pytest.mark.timeout(1500), AS_ROOT]


def listed(are_so):
    """Return what `longshore node list` would show, once that is so."""
    ca = machines.RUN / "files/node1/files/etc/longshore/tls/ca.pem"
    ask = ("curl", "-s", "-m", "60", "--cacert", ca, "-H", "X-Auth-Token: tok-a", f"https://{VIRTUAL}/v1/nodes")

    def found():
        said = json.loads(
            machines.sh("ip", "netns", "exec", machines.namespace("client"), *ask, check=False).stdout or "[]"
        )
        return said if isinstance(said, list) and len(said) == len(NODES) and are_so(said) else None

    return machines.wait_for(found, 120 * SLOWER, every=2)


def test_nodes_are_listed_as_they_stand():
    services = {"authority", "server", "haproxy", "etcd", "patroni", "postgresql"}

    def whole(said):
        known = all(one["alive"] and one["workers"] == 1 and set(one["certificates"]) == services for one in said)
        return known and sorted(str(one["database"]) for one in said) == ["primary", "standby", "standby"]

    found = listed(whole)
    assert [one["name"] for one in found] == ["node1", "node2", "node3"]
    assert [n for n in NODES if found[n - 1]["database"] == "primary"] == [machines.primary()]
    assert [n for n in NODES if found[n - 1]["has_address"]] == machines.holders()
    os.kill(machines.pid_of("server3"), signal.SIGSTOP)  # what keeps it
    machines.end(machines.below(machines.pid_of("server3")))
    gone = listed(lambda said: not said[2]["alive"])
    assert gone[2]["since"] > found[2]["since"] and gone[2]["has_address"] is None
    os.kill(machines.pid_of("server3"), signal.SIGCONT)
    listed(lambda said: said[2]["alive"])


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
