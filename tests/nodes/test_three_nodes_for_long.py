"""Three nodes that lose all that they may lose, which takes too long for each day. What was measured is printed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from itertools import count

import pytest
import three_nodes as machines
from node_work import (
    AS_ROOT,
    LEASE,
    SLOWER,
    asked,
    assert_nothing_lost,
    callers,
    in_client,
    jobs,
    said_by,
    shortened,
    started,
)
from three_nodes import NODES, RUN, VIRTUAL

from packaged import typed

pytestmark = [pytest.mark.nodes, pytest.mark.soak, pytest.mark.timeout(14400), AS_ROOT]
ROUNDS = int(os.environ.get("LONGSHORE_ROUNDS") or 20)
MINUTES = int(os.environ.get("LONGSHORE_MINUTES") or 20)


@pytest.fixture(autouse=True)
def mended():
    """Begin with all three whole, whatever the test before has left."""
    for n in NODES:
        machines.heal(n)
        for kind in machines.KINDS:
            machines.start(kind, n)
    machines.wait_for(machines.whole, 300)
    machines.wait_for(lambda: len(machines.holders()) == 1, 60)
    machines.wait_for(machines.answers, 120)
    yield


# What happens to the node that has the address, or leads


def keepalived_ends(n):
    os.kill(machines.kept(f"keepalived{n}"), signal.SIGTERM)


def keepalived_s_parent_dies(n):
    os.kill(machines.kept(f"keepalived{n}"), signal.SIGKILL)


def keepalived_s_child_dies(n):
    machines.end(machines.below(machines.kept(f"keepalived{n}")))


def all_of_keepalived_dies(n):
    machines.end(machines.below(machines.pid_of(f"keepalived{n}")))


def haproxy_dies(n):
    machines.end(machines.below(machines.pid_of(f"haproxy{n}")))


def haproxy_stays_away(n):
    os.kill(machines.pid_of(f"haproxy{n}"), signal.SIGSTOP)
    haproxy_dies(n)


def haproxy_is_back(n):
    os.kill(machines.pid_of(f"haproxy{n}"), signal.SIGCONT)


def haproxy_hangs(n):
    machines.end(machines.below(machines.pid_of(f"haproxy{n}")), signal.SIGSTOP)


def haproxy_goes_on(n):
    machines.end(machines.below(machines.pid_of(f"haproxy{n}")), signal.SIGCONT)


def server_dies(n):
    machines.end([machines.kept(f"server{n}")])


def worker_dies(n):
    worker = machines.kept(f"worker{n}")
    machines.end([worker, *machines.below(worker)])


def database_is_back(n):
    machines.start("etcd", n)
    machines.start("patroni", n)


def power_goes(n):
    """Kill all that runs on a node, which says nothing any more."""
    machines.cut(n)
    machines.power_off_database(n)
    for kind in machines.KINDS[2:]:
        machines.end_name(f"{kind}{n}")


def power_is_back(n):
    machines.sh("ip", "-n", machines.namespace(n), "address", "del", f"{VIRTUAL}/24", "dev", "eth0", check=False)
    machines.heal(n)
    for kind in machines.KINDS:
        machines.start(kind, n)


def nothing(_n):
    pass


def one_with_the_address():
    (n,) = machines.holders()
    return n


def one_with_the_address_that_leads():
    n = one_with_the_address()
    if (leads := machines.primary()) != n:
        switch_over(leads, "--candidate", f"node{n}")
    return n


def one_that_follows():
    return next(n for n in NODES if n != machines.primary())


def one_of_no_importance():
    return next(n for n in NODES if n != machines.primary() and n not in machines.holders())


@pytest.mark.parametrize(
    ("happens", "is_mended"),
    [
        (keepalived_ends, nothing),
        (keepalived_s_parent_dies, nothing),
        (keepalived_s_child_dies, nothing),
        (all_of_keepalived_dies, nothing),
        (haproxy_stays_away, haproxy_is_back),
        (haproxy_hangs, haproxy_goes_on),
        (machines.unplug, machines.heal),
        (machines.cut, machines.heal),
    ],
)
def test_the_address_answers_again_within_seconds(happens, is_mended):
    n = one_with_the_address()
    connects = in_client("node_connects.py", VIRTUAL)
    time.sleep(2)
    began = time.time()
    happens(n)
    time.sleep(12)
    mended = time.time()
    is_mended(n)
    time.sleep(10)
    found = said_by(connects)
    gone = [(round(at - began, 2), round(seconds, 2)) for at, seconds in found["gaps"]]
    sums = {
        "happens": round(sum(s for at, s in found["gaps"] if at < mended), 2),
        "mended": round(sum(s for at, s in found["gaps"] if at >= mended), 2),
    }
    print(json.dumps({"case": happens.__name__, "without": sums, "gaps": gone, "holders": machines.holders()}))
    assert found["good"] > 100
    assert len(machines.holders()) == 1
    assert max(sums.values()) < 4 * SLOWER


def changes_asked_of_servers():
    """Return how often servers were asked to change something."""
    texts = [(RUN / "log" / f"server{n}").read_text(errors="replace") for n in NODES]
    return sum(len(re.findall(r'"path": "/v1/limits".*"event": "audit"', text)) for text in texts)


@pytest.mark.parametrize(
    ("happens", "is_mended"),
    [
        (server_dies, nothing),
        (lambda n: os.kill(machines.kept(f"server{n}"), signal.SIGTERM), nothing),
        (machines.cut, machines.heal),
    ],
    ids=["killed", "ended", "cut"],
)
def test_no_read_fails_over_the_end_of_a_server(happens, is_mended):
    n = one_of_no_importance()
    before = changes_asked_of_servers()
    with asked(0, readers=6, writers=4, reads=1000) as found:
        happens(n)
    is_mended(n)  # afterwards: whoever was alone took the address, and for a moment two have it
    changes = changes_asked_of_servers() - before
    print(json.dumps({"changes asked of servers": changes}))
    assert found["read"]["failed"] == [] and found["lost"] == []
    assert len(found["write"]["failed"]) <= 4, "only what was under way there"
    assert 0 < changes <= found["write"]["asked"], "nothing is sent twice"


@pytest.mark.parametrize(
    ("which", "happens", "is_mended", "after", "reads_fail"),
    [
        (one_that_follows, worker_dies, nothing, 1, False),
        (one_with_the_address, haproxy_dies, nothing, 1, True),
        (one_with_the_address, all_of_keepalived_dies, nothing, 1, True),
        (one_that_follows, machines.cut, machines.heal, 45, True),
        (machines.primary, machines.cut, machines.heal, 45, True),
        (machines.primary, power_goes, power_is_back, 45, True),
    ],
    ids=["worker", "haproxy", "keepalived", "cut-standby", "cut-primary", "power"],
)
def test_jobs_go_on_and_nothing_is_lost(which, happens, is_mended, after, reads_fail):
    n = which()
    had = machines.holders()
    with asked(6) as found:
        began = time.time()
        happens(n)
        time.sleep(after)
        is_mended(n)
    taken = [round(at - began, 1) for at in found["jobs"]["taken_over"]]
    print(json.dumps({"case": happens.__name__, "node": n, "address": had, "taken over": taken}))
    if not reads_fail:
        assert found["read"]["failed"] == []
    assert_nothing_lost(found, 6)
    assert all(each < LEASE + 10 * SLOWER for each in taken)
    machines.wait_for(machines.whole, 300)
    assert machines.wait_for(lambda: len(machines.holders()) == 1, 60)


@pytest.mark.parametrize(
    ("which", "happens", "is_mended", "after"),
    [
        (one_with_the_address, server_dies, nothing, 1),
        (one_with_the_address, haproxy_dies, nothing, 1),
        (one_with_the_address, haproxy_stays_away, haproxy_is_back, 15),
        (one_with_the_address, all_of_keepalived_dies, nothing, 1),
        (machines.primary, machines.kill_database, nothing, 1),
        (one_with_the_address_that_leads, power_goes, power_is_back, 45),
        (one_with_the_address_that_leads, machines.cut, machines.heal, 45),
    ],
    ids=["server", "haproxy", "haproxy-away", "keepalived", "postgresql", "power-primary", "cut-primary"],
)
def test_no_command_that_reads_fails(which, happens, is_mended, after):
    n = which()
    had = machines.holders()
    with asked(0, readers=4, writers=4, commands=6, reads=1000) as found:
        happens(n)
        time.sleep(after)
        is_mended(n)
    print(json.dumps({"node": n, "address": had, "failed": found["command"]["failed"]}))
    assert found["command"]["asked"] >= 1000 and found["lost"] == []
    assert found["command"]["failed"] == []
    machines.wait_for(machines.whole, 300)


def test_a_node_that_is_cut_off_ends_its_work_before_others_have_it_and_comes_back_by_itself():
    n = next(n for n in NODES if n not in (1, machines.primary()))  # who looks after the jobs is on node1
    worker = machines.kept(f"worker{n}")
    with asked(6, rate=40 << 10) as found:  # two minutes: copies are under way when the lease ends
        machines.wait_for(lambda: machines.below(worker), 60)
        worked = {worker: machines.started_at(worker)}
        began = time.time()
        machines.cut(n)
        while machines.started_at(worker) == worked[worker] and time.time() < began + 2 * LEASE:
            worked |= {pid: machines.started_at(pid) for pid in machines.below(worker)}
            time.sleep(0.05)
        ended = time.time() - began
        left = [pid for pid, since in worked.items() if since and machines.started_at(pid) == since]
        print(json.dumps({"ended after": round(ended, 1), "processes": len(worked), "left": left}))
        time.sleep(max(0.0, began + LEASE + 20 - time.time()))
        machines.heal(n)
    taken = [at - began for at in found["jobs"]["taken_over"]]
    print(json.dumps({"taken over": [round(each, 1) for each in taken]}))
    assert len(worked) > 1, "it had something to do"
    assert ended < LEASE and left == []
    assert taken and ended < min(taken) and max(taken) < LEASE + 10 * SLOWER
    assert_nothing_lost(found, 6)
    machines.wait_for(machines.whole, 300)
    with asked(6) as again:
        pass
    assert_nothing_lost(again, 6)
    assert again["read"]["failed"] == [] and again["write"]["failed"] == []


def ask_of(n, statement):
    """Have a node's own PostgreSQL do something, whoever it thinks it is; it may hang."""
    ask = ("psql", "-h", "/run/postgresql", "-XqAt", "-c", statement, "longshore")
    return started(*machines.inside(n, *ask, user="postgres"), stderr=subprocess.DEVNULL)


def commits(n, statement):
    """Tell whether it was acknowledged within two seconds."""
    asking = ask_of(n, statement)
    try:
        return asking.wait(2) == 0
    except subprocess.TimeoutExpired:
        asking.kill()
        asking.wait()
        return False


def who_leads():
    """Return who says that it does, each with its timeline."""
    said = {n: machines.patroni_says(n) for n in NODES}
    leads = [n for n, one in said.items() if one.get("role") == "primary" and one.get("state") == "running"]
    return {(said[n]["timeline"], n) for n in leads}


def test_two_primaries_cannot_be():
    """Cut the primary's cable, and plug it in again, after which Debian's Patroni promoted it beside its successor."""
    assert ask_of(machines.whole(), "CREATE TABLE written (number bigint)").wait(60) == 0
    acknowledged, numbers = [], count()
    for number in range(ROUNDS):
        lead = machines.wait_for(machines.whole, 300)
        asking = callers()
        time.sleep(1)
        machines.cut(lead)
        began, claims, refused = time.time(), set(), 0
        while not any(n != lead for _, n in claims):
            # Somebody who is there asks the old one to commit, all the time
            write = next(numbers)
            if commits(lead, f"INSERT INTO written VALUES ({write})"):
                acknowledged.append(write)
            else:
                refused += 1
            claims |= who_leads()
            assert time.time() < began + 60 * SLOWER, "another one leads"
        successor = time.time() - began
        time.sleep(random.uniform(0, 10))
        machines.heal(lead)
        healed, leads = time.time(), None
        while leads is None or time.time() < healed + 3:
            claims |= who_leads()
            leads = machines.whole()
            assert time.time() < healed + 300, "the old one comes back by itself"
            time.sleep(0.2)
        whole = time.time() - healed
        found = said_by(asking)
        line = {"round": number, "cut": lead, "another leads after": round(successor, 1), "commits refused": refused}
        line |= {"cut for": round(healed - began, 1), "whole after": round(whole, 1), "leads": leads}
        line |= {"claims": sorted(claims), **{kind: shortened(found[kind]) for kind in ("read", "write")}}
        print(json.dumps(line), flush=True)
        assert max(Counter(timeline for timeline, _ in claims).values()) == 1, "two have led on one timeline"
        assert found["lost"] == []
    there = ask_of(leads, "SELECT number FROM written").communicate(timeout=60)[0].split()
    assert {str(write) for write in acknowledged} <= set(there)


def switch_over(n, *to):
    """Have another node lead than this one, and wait until all follow it."""
    line = ("/opt/patroni/bin/patronictl", "-c", "/etc/patroni/longshore.yml", "switchover", "--force", *to)
    machines.sh(*machines.inside(n, *line))
    machines.wait_for(lambda: machines.primary() not in (None, n), 60 * SLOWER)
    machines.wait_for(machines.whole, 300)


def test_nodes_are_upgraded_one_after_the_other_with_jobs_under_way():
    """Restart all of a node as packages do, the primary's last, by the lines of docs/howto/three-nodes.md."""
    lead = machines.whole()
    with asked(12, rate=128 << 10) as found:
        for n in [*(one for one in NODES if one != lead), lead]:
            if n == machines.primary():
                switch_over(n)
            began = time.time()
            for kind in ("worker", "server", "haproxy", "keepalived", "patroni"):
                process = machines.kept(f"{kind}{n}")
                os.kill(process, signal.SIGTERM)
                machines.wait_for(lambda k=kind, p=process, n=n: machines.kept(f"{k}{n}") not in (None, p), 200)
            machines.wait_for(machines.whole, 300)
            print(json.dumps({"node": n, "took": round(time.time() - began, 1)}))
    assert_nothing_lost(found, 12)
    assert len(found["write"]["failed"]) + len(found["read"]["failed"]) < 200, "refused while the address moves, only"


FAULTS = {  # whom, what happens, what mends it
    "server": (lambda: random.choice(NODES), server_dies, nothing),
    "worker": (lambda: random.choice(NODES), worker_dies, nothing),
    "haproxy": (one_with_the_address, haproxy_dies, nothing),
    "haproxy hangs": (one_with_the_address, haproxy_hangs, haproxy_goes_on),
    "keepalived": (one_with_the_address, all_of_keepalived_dies, nothing),
    "database": (machines.primary, machines.kill_database, nothing),
    "the database's power": (machines.primary, machines.power_off_database, database_is_back),
    "cable": (lambda: random.choice(NODES), machines.cut, machines.heal),
    "cable of the primary": (machines.primary, machines.cut, machines.heal),
}


def test_fifty_requests_a_second_and_two_hundred_jobs_among_faults():
    """Have something happen each minute, in which ten jobs more are asked for."""
    seed = int(os.environ.get("LONGSHORE_SEED") or time.time())
    random.seed(seed)
    print(f"LONGSHORE_SEED={seed} LONGSHORE_MINUTES={MINUTES}")
    moving = []
    with asked(0, readers=30, writers=10, rate_of_requests=50) as found:
        for minute in range(MINUTES):
            machines.wait_for(lambda: machines.primary() and len(machines.holders()) == 1, 120)
            moving.append(jobs(10))
            assert moving[-1].stdout.readline() == "asked\n"
            began = time.time()
            what = random.choice(list(FAULTS))
            which, happens, is_mended = FAULTS[what]
            n = which()
            happens(n)
            time.sleep(25)
            is_mended(n)
            machines.wait_for(machines.whole, 300)
            print(json.dumps({"minute": minute, "what": what, "node": n, "whole": round(time.time() - began, 1)}))
            time.sleep(max(0.0, began + 60 - time.time()))
        ended = [json.loads(each.communicate()[0]) for each in moving]
    assert found["lost"] == []
    assert [(one["statuses"], one["wrong"]) for one in ended] == [({"done": 10}, [])] * MINUTES


def lines_of_the_page():
    """Return what docs/howto/three-nodes.md says to type on node1 where node2 is lost, with the addresses of here."""
    (lines,) = typed("A machine is lost for good", "three-nodes", "$")
    return [re.sub(r"192\.0\.2\.1(\d)", lambda found: machines.address(int(found[1])), line) for line in lines]


@pytest.mark.skipif(shutil.which("etcdctl") is None, reason="etcd-client isn't here")
def test_a_node_that_is_lost_for_good_is_set_up_anew_by_the_lines_of_the_page():
    tell, members, remove, add = lines_of_the_page()

    def on_node1(line):
        return machines.sh(*machines.inside(1, "sh", "-c", f"{tell}; {line}")).stdout

    if machines.primary() == 2:
        switch_over(2)
    with asked(6) as found:
        power_goes(2)
        began = time.time()
        for part, user in (("etcd", "etcd"), ("postgresql", "postgres")):
            shutil.rmtree(machines.root_of(2, "var/lib") / part)
            (machines.root_of(2, "var/lib") / part).mkdir()
            shutil.chown(machines.root_of(2, "var/lib") / part, user, user)
        (lost,) = (line.split(",")[0] for line in on_node1(members).splitlines() if "node2" in line)
        on_node1(remove.replace("ID", lost))
        on_node1(add)
        settings = machines.root_of(2, "etc") / "default/etcd"
        text = settings.read_text()
        assert "ETCD_INITIAL_CLUSTER_STATE=new" in text
        settings.write_text(text.replace("ETCD_INITIAL_CLUSTER_STATE=new", "ETCD_INITIAL_CLUSTER_STATE=existing"))
        power_is_back(2)
        machines.wait_for(machines.whole, 300)
        print(json.dumps({"whole after": round(time.time() - began, 1)}))
    assert_nothing_lost(found, 6)
