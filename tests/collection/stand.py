"""A real server over the tests' small clouds and small Keystone, as playbooks ask it."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from small_clouds import World
from small_fleet import Fleet
from small_keystone import small_keystone

TESTS = Path(__file__).parents[1]
LONGSHORE = Path(sys.executable).with_name("longshore")

# In each of Longshore's own processes: the small clouds in the place of real ones
SITE = """
import os, sys
sys.path[:0] = [os.environ["SMALL_TESTS"] + "/flows", os.environ["SMALL_TESTS"]]
import small_clouds, small_fleet
small_clouds.install()
small_clouds.SmallSource.check = lambda _self: {"version": "8"}
small_clouds.SmallTarget.check = lambda _self: {"project": "red"}

def connect(kind, settings, secrets, side=None, servers=None, **_kept):
    if kind == "vault":
        return small_clouds.small_connect(kind, settings, secrets, side, servers)
    of = small_fleet.fleet_connect if "SMALL_FLEET" in os.environ else small_clouds.small_connect
    root = os.environ.get("SMALL_FLEET", os.environ["SMALL_WORLD"])
    return of(kind, {"root": root}, secrets, side, servers)

from longshore.flows import clouds
from longshore.flows.moves import copying
clouds.connect = connect
copying.STALLED_AFTER = 300.0  # no server hangs here, but a busy machine may seem to
if {"server", "api"} & set(sys.argv):
    from longshore.service import providers
    providers.connect = connect
"""


def environment(place, names=()):
    """Make a world with one machine, or with machines of these names. Return what the environment of Longshore's
    processes has, so that `command` finds it."""
    world = place / "world"
    if names:
        Fleet.create(place / "fleet", names)
        world.mkdir()
    else:
        World.create(world)
    (place / "site").mkdir()
    (place / "site" / "sitecustomize.py").write_text(SITE)
    command(place).write_text(f'#!/bin/sh\nPYTHONPATH={place}/site exec {LONGSHORE} "$@"\n')
    command(place).chmod(0o755)
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LONGSHORE_", "OS_"))}
    return {
        **known,
        **({"SMALL_FLEET": str(place / "fleet")} if names else {}),
        "SMALL_WORLD": str(world),
        "SMALL_TESTS": str(TESTS),
        "LONGSHORE_STATE": str(place / "state"),
    }


def command(place):
    """Return `longshore` as a command over that world. Not by the environment of all: Ansible's many processes would
    each load the small clouds for nothing, which takes a second."""
    return place / "longshore"


@contextmanager
def stand(place, port):
    """Yield the address of the server, and that of its Keystone, until both are ended."""
    with small_keystone() as keystone:
        at, url = f"http://127.0.0.1:{port}", f"{keystone.url}/v3"
        keystone.migration = dict.fromkeys(("red", "blue", "ops"), at)
        known = {
            **environment(place),
            "LONGSHORE_SERVER__PORT": str(port),
            "LONGSHORE_SERVER__SECRETS": "database",
            "LONGSHORE_SERVER__KEYSTONE__AUTH_URL": url,
            "LONGSHORE_SERVER__KEYSTONE__PASSWORD": "service",
            "LONGSHORE_SERVER__CLOUDS": json.dumps([{"auth_url": url}]),
            "LONGSHORE_SERVER__REACH_ALLOWED": json.dumps(["127.0.0.0/8"]),
            "LONGSHORE_SERVER__VDDK_LIBDIR": "/opt/vddk",
        }
        with (place / "server.log").open("w") as log:
            server = subprocess.Popen([command(place), "server"], env=known, stdout=log, stderr=log)
        try:
            _await(at, server, place / "server.log")
            yield at, url
        finally:
            server.terminate()
            server.wait(60)


def _await(at, server, log):
    while server.poll() is None:
        try:
            urlopen(f"{at}/healthz", timeout=60).close()
        except URLError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(log.read_text())
