"""Debian's packages of Longshore, built, the roots in which they are tried, and what a page has root type there."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from booted import cgroups, until

sys.path.append(str(Path(__file__).parent / "flows"))
from small_clouds import MARK, MIB, World

ROOT = Path(__file__).parents[1]
CONFIGURATION = """state = "/var/lib/longshore"
drain_for = 1
[server.keystone]
auth_url = "http://127.0.0.1:5000/v3"
password = "service"
"""
READY = (
    "/usr/bin/python3 -c \"from urllib.request import urlopen as o; print(o('http://127.0.0.1:9797/readyz').status)\""
)

DISK = bytes(range(256)) * 4096 + bytes(MIB) + bytes(range(255, -1, -1)) * 4096


def as_root(seconds=1800):
    """Return the marks of tests that make Debian's root and boot it, each within so many seconds."""
    rootless = pytest.mark.skipif(os.getuid() != 0 or cgroups() is None, reason="makes Debian's root, and boots it")
    return [rootless, pytest.mark.timeout(seconds)]


def typed(section, page="install", prompt="#"):
    """Return the commands that a page of docs/howto has one type in this section, block by block: root, or with the
    prompt $ anybody."""
    part = (ROOT / f"docs/howto/{page}.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return [re.findall(rf"^{re.escape(prompt)} (.*)$", block.replace("\\\n", ""), re.MULTILINE) for block in blocks]


def made(into, compression, source=ROOT):
    """Build the packages of a clone, and return them by their names."""
    subprocess.run(
        [source / "deploy/packages", into], check=True, env=os.environ | {"LONGSHORE_COMPRESSION": compression}
    )
    return {package.name.partition("_")[0]: package for package in into.glob("*.deb")}


def make(target, into, environment=None, **variables):
    """Have `make` write what is given away to a directory, and return that, or the one that LONGSHORE_MADE names."""
    if there := os.environ.get("LONGSHORE_MADE"):
        return Path(there)
    begun = time.monotonic()
    words = ["make", target, f"OUT={into}", *(f"{name}={value}" for name, value in variables.items())]
    subprocess.run(words, check=True, cwd=ROOT, env=environment)
    print(f"make {target}: {time.monotonic() - begun:.0f} s")
    return into


def root(kind):
    there = subprocess.run([ROOT / "deploy/debian-root", kind], check=True, stdout=subprocess.PIPE, text=True)
    return Path(there.stdout.strip())


def active(on):
    return on("systemctl is-active longshore-server longshore-worker").split()


def configure(on):
    """Write a configuration, and start both. Without a PostgreSQL each is alone on its directory, and the server has an
    engine when there is work."""
    on(f"printf '%s' '{CONFIGURATION}' >/etc/longshore/longshore.toml && chgrp longshore /etc/longshore/longshore.toml")
    on("mkdir -p /etc/systemd/system/longshore-worker.service.d")
    on(
        "printf '[Service]\\nEnvironment=LONGSHORE_STATE=/srv/longshore\\n' "
        ">/etc/systemd/system/longshore-worker.service.d/alone.conf && systemctl daemon-reload"
    )
    assert on("systemctl start longshore-server longshore-worker") == ""
    until(lambda: on(READY) == "200", 300)
    assert active(on) == ["active", "active"]


@contextmanager
def keystone_and_disk(machine, held):
    """Yield the addresses of a small Keystone and of a directory with a disk image, web01.raw, on the machine's
    loopback."""
    held.mkdir()
    (held / "web01.raw").write_bytes(DISK)
    command = [*machine.on_its_network, sys.executable, ROOT / "tests/keystone_and_files.py", held]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            yield json.loads(served.stdout.readline())
        finally:
            served.terminate()


def landed(place):
    """Tell whether the small world at this place has that disk as a converted server's only volume."""
    world = World(place)
    (server,) = world.read()["servers"].values()
    (volume,) = server["volume_ids"]
    return world.volume_file(volume).read_bytes() == DISK[:MIB] + MARK + DISK[MIB + len(MARK) :]
