"""Packages of an earlier commit give way to those of this one, while two warm migrations are under way."""

import json
import shutil
import subprocess
import sys
import time
from datetime import datetime

import pytest

from booted import Booted, until
from on_small_clouds import FLEET, NAMES, STATE, WRITTEN
from packaged import READY, ROOT, active, as_root, configure, made, root

sys.path.insert(0, str(ROOT / "tests/flows"))
from small_clouds import SIZES, World, expected

pytestmark = [*as_root(), pytest.mark.soak]
AWAY = 60  # seconds, on a machine that does much else; 10 are meant
RUN = """#!/bin/sh
version=$(dpkg-query -W -f '${Version}' longshore)
exec "$(readlink -f /usr/lib/longshore-kept/current)/bin/python3" "/small/$version/on_small_clouds.py" "$@"
"""
UNIT = "[Service]\nExecStart=\nExecStart=/small/run worker\n"


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def earlier():
    """Return the commit of the last release, or the first whose services run from what is kept."""
    released = git("tag", "--list", "v*", "--no-contains", "HEAD", "--sort=-version:refname").split()
    return released[0] if released else git("log", "--diff-filter=A", "--format=%H", "--", "deploy/debian/kept")


def clone(into):
    """Make a clone of the earlier commit, which has the tools and roots of this one."""
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, into], check=True)
    subprocess.run(["git", "-C", into, "checkout", "--quiet", earlier()], check=True)
    for name in (".tools", "build"):
        (into / name).symlink_to(ROOT / name)
    return into


def version(package):
    return subprocess.run(["dpkg-deb", "-f", package, "Version"], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def machine(tmp_path):
    """Yield a Debian with the packages of the earlier commit in /before, and those of this one in /now, and small
    clouds for each."""
    sources = {"before": clone(tmp_path / "clone"), "now": ROOT}
    with Booted(root("bookworm"), tmp_path) as machine:
        for name, source in sources.items():
            packages = made(machine.root / name, "none", source)
            small = machine.root / "small" / version(packages["longshore"]).strip()
            small.mkdir(parents=True)
            shutil.copytree(source / "tests/flows", small / "flows")
            shutil.copy(ROOT / "tests/on_small_clouds.py", small)
        run = machine.root / "small/run"
        run.write_text(RUN)
        run.chmod(0o755)
        yield machine


def test_migrations_that_wait_and_copy_go_on_under_the_later_packages(machine):
    on = machine.on
    fleet = machine.root / FLEET.relative_to("/")

    def small(words):
        return on(f"runuser -u longshore -- env LONGSHORE_STATE={STATE} /small/run {words}")

    def at(name):
        """Return a machine's status and phase, as in a list."""
        rows = small("migration list -f value -c Machine -c Status -c Phase").splitlines()
        return next((row.partition(" ")[2] for row in rows if row.startswith(name)), rows)

    def told(number):
        """Return when which phase was told, in seconds since 1970, in order."""
        events = json.loads(small(f"migration events {number} -f json"))
        return [(datetime.fromisoformat(event["At"]).timestamp(), event["Phase"]) for event in events]

    def moments(unit, sentence):
        """Return when a service said something, in seconds since 1970."""
        said = on(f"journalctl -u longshore-{unit} -o short-unix --no-pager | grep '{sentence}'")
        return [float(line.split()[0]) for line in said.splitlines()]

    assert on("apt-get install -y --no-install-recommends /before/*.deb && echo done").endswith("done")
    drop_in = machine.root / "etc/systemd/system/longshore-worker.service.d/small.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(UNIT)
    configure(on)
    waiting, copying = NAMES
    ids = {waiting: small(f"begin {waiting}")}
    until(lambda: at(waiting) == "waits-for-cutover waiting", 300)
    assert small("slow vc") == ""
    ids[copying] = small(f"begin {copying}")
    until(lambda: on(f"ls {STATE}/migrations/{ids[copying]}/*.checkpoint && echo there").endswith("there"), 300)
    assert at(copying) == "running syncing"

    small(f"write {waiting}")
    begun = time.time()
    said = on("apt-get install -y --no-install-recommends /now/*.deb && echo done")
    ended = time.time()
    assert said.endswith("done"), said
    until(lambda: len(moments("worker", "migrations at once")) == 2 and on(READY) == "200", 300)
    assert active(on) == ["active", "active"]
    asked, gone = moments("worker", "asked to end")[0], moments("worker", "others go on")[0]
    back = {unit: moments(unit, which)[1] for unit, which in (("worker", "at once"), ("server", '"listening"'))}
    inactive = "systemctl show -P InactiveEnterTimestamp longshore-server"
    left = {"worker": gone, "server": float(on(f'date -d "$({inactive})" +%s'))}
    away = {unit: back[unit] - left[unit] for unit in back}
    print(f"installed in {ended - begun:.0f} s; told to end after {asked - begun:.1f} s; away: {away}")
    assert begun < asked <= gone < back["worker"]
    assert max(away.values()) < AWAY

    assert at(copying) == "running syncing", "it goes on with the copy"
    assert at(waiting) == "waits-for-cutover waiting"
    small("limit delete --source vc")
    until(lambda: at(copying) == "waits-for-cutover waiting", 300)
    for number in ids.values():
        small(f"migration cutover {number}")
    until(lambda: [at(name) for name in NAMES] == ["done done"] * 2, 300)
    print({name: told(number) for name, number in ids.items()})
    assert not [moment for moment, _ in told(ids[waiting]) if gone < moment < back["worker"]]

    for name in NAMES:
        world = World(fleet / name)
        state = world.read()
        made = {kind: len(state[kind]) for kind in ("servers", "ports", "volumes", "snapshots", "vsnaps")}
        assert (state["power"], made) == (
            "off",
            {"servers": 1, "ports": 1, "volumes": 2, "snapshots": 0, "vsnaps": 0},
        )
        (server,) = state["servers"].values()
        for volume, key in zip(server["volume_ids"], SIZES, strict=True):
            assert world.volume_file(volume).read_bytes() == expected(world, key)
    assert WRITTEN in (fleet / waiting / "source-2000").read_bytes()
