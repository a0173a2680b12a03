"""Work for three nodes, as tests give it: callers of the virtual address, and jobs."""

import contextlib
import json
import os
import subprocess
import time

import pytest
import three_nodes as machines
from three_nodes import PYTHON, RUN, VIRTUAL, namespace

CONFIGURATION = "/etc/longshore/longshore.toml"
SLOWER = 3  # than on a machine that does nothing else
LEASE = 60  # seconds, as `node prepare` has it
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="namespaces of the network are root's")


def started(*line, **more):
    return subprocess.Popen([str(part) for part in line], stdout=subprocess.PIPE, text=True, **more)


def jobs(*what):
    """Ask for jobs on a node: nobody else reaches the database."""
    return started(*machines.inside(1, PYTHON, machines.HERE / "node_jobs.py", CONFIGURATION, RUN / "fleets", *what))


def in_client(script, *arguments):
    """Run a script where callers are; it ends after a line."""
    line = ("ip", "netns", "exec", namespace("client"), PYTHON, machines.HERE / script, *arguments)
    return started(*line, stdin=subprocess.PIPE)


def callers(readers=4, writers=6, commands=0, reads=0, rate_of_requests=0):
    """Have callers ask all the time, and each kind of them read `reads` times at least; so often a second, or as fast
    as they may. `commands` of them read as Longshore's own do."""
    ca = RUN / "files/node1/files/etc/longshore/tls/ca.pem"
    return in_client("node_callers.py", VIRTUAL, ca, readers, writers, commands, reads, rate_of_requests)


def said_by(process):
    return json.loads(process.communicate("\n")[0])


@contextlib.contextmanager
def asked(number, rate=None, **of_callers):
    """Have callers ask all the time and so many jobs run; what came of it is in what this yields, afterwards.

    `rate`: bytes per second of each job's copy.
    """
    machines.wait_for(machines.whole, 300)
    found = {}
    asking = callers(**of_callers)
    moving = jobs(number, *([rate] if rate else [])) if number else None
    if moving:
        assert moving.stdout.readline() == "asked\n"
    time.sleep(8)  # all of it is under way
    yield found
    if moving:
        found["jobs"] = json.loads(moving.communicate()[0])
    found |= said_by(asking)
    print(json.dumps({k: shortened(v) for k, v in found.items() if k != "lost"}))


def shortened(said):
    return {**said, "failed": len(said["failed"])} if "failed" in said else said


def assert_nothing_lost(found, jobs):
    assert found["lost"] == [], "acknowledged, and not there"
    what = found["jobs"]
    assert (what["statuses"], what["wrong"], what["why"]) == ({"done": jobs}, [], [])
    assert found["read"]["asked"] > 20 and found["write"]["asked"] > 10
