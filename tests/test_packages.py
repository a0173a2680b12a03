"""Debian's packages of Longshore on a bare Debian 12 with systemd: installed, upgraded, removed, purged."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from booted import Booted, cgroups, until

ROOT = Path(__file__).parents[1]
NAMES = ("longshore", "longshore-engine", "longshore-server", "longshore-worker")
pytestmark = [
    pytest.mark.skipif(os.getuid() != 0 or cgroups() is None, reason="makes Debian's root, and boots it"),
    pytest.mark.timeout(1800),
]
CONFIGURATION = """state = "/srv/longshore"
[server.keystone]
auth_url = "http://127.0.0.1:5000/v3"
password = "service"
"""


def made(into, compression):
    subprocess.run(
        [ROOT / "deploy/packages", into], check=True, env=os.environ | {"LONGSHORE_COMPRESSION": compression}
    )
    return {package.name.partition("_")[0]: package for package in into.glob("*.deb")}


def root(kind):
    made = subprocess.run([ROOT / "deploy/debian-root", kind], check=True, stdout=subprocess.PIPE, text=True)
    return Path(made.stdout.strip())


def later(package, into):
    """The same package with a later version."""
    tree = into / "tree"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    version = re.search(r"^Version: (.*)$", control.read_text(), re.MULTILINE)[1]
    control.write_text(control.read_text().replace(version, f"{version}.1"))
    subprocess.run(["dpkg-deb", "-Znone", "-b", tree, into / f"{package.stem}.1.deb"], check=True, capture_output=True)
    subprocess.run(["rm", "-r", tree], check=True)


@pytest.fixture
def machine(tmp_path):
    """A bare Debian with what the packages depend on, their files, and later ones in /later."""
    packages = made(tmp_path / "packages", "none")
    assert set(packages) == set(NAMES)
    with Booted(root("bare"), tmp_path) as machine:
        (machine.root / "now").mkdir()
        (machine.root / "later").mkdir()
        for package in packages.values():
            later(package, machine.root / "later")
            shutil.copy(package, machine.root / "now")
        yield machine


def test_packages_start_when_there_is_a_configuration_and_keep_data_until_a_purge_that_is_told_to_remove_it(machine):
    on = machine.on

    def active():
        return on("systemctl is-active longshore-server longshore-worker").split()

    said = on("apt-get install -y --no-install-recommends /now/*.deb && echo done")
    assert said.endswith("done"), said
    # Without a question, and with nothing that runs or has failed
    assert active() == ["inactive", "inactive"]
    assert on("systemctl is-enabled longshore-server longshore-worker").split() == ["enabled", "enabled"]
    assert on("systemctl list-units --failed --no-legend 'longshore*'") == ""
    assert on("longshore --version") == "longshore 0.1.0"
    assert on("stat -c '%U:%G %a' /etc/longshore /srv/longshore").split("\n") == [
        "root:longshore 750",
        "longshore:longshore 700",
    ]

    on(f"printf '%s' '{CONFIGURATION}' >/etc/longshore/longshore.toml && chgrp longshore /etc/longshore/longshore.toml")
    assert on("systemctl start longshore-server longshore-worker") == ""
    ready = "/usr/bin/python3 -c \"from urllib.request import urlopen as o; print(o('http://127.0.0.1:9797/readyz').status)\""
    until(lambda: on(ready) == "200", 300)
    assert active() == ["active", "active"]
    assert on("ps -o user= -C longshore | sort -u") == "longshore"

    # Both end before a file of the new version is there, and are back afterwards
    on("touch /srv/longshore/kept && echo 'secret = 1' >/etc/longshore/environment")
    said = on("apt-get install -y --no-install-recommends /later/*.deb && echo done")
    assert said.endswith("done"), said
    changed = float(on("find /usr/lib/longshore/lib -type f -printf '%C@\\n' | sort -n | head -n 1"))
    for unit in ("longshore-server", "longshore-worker"):
        ended = on(f'date -d "$(systemctl show -P InactiveEnterTimestamp {unit})" +%s')
        assert int(ended) <= changed, on(f"journalctl -u {unit}")
    assert active() == ["active", "active"]
    until(lambda: on(ready) == "200", 300)

    data = "ls /srv/longshore/kept /etc/longshore/longshore.toml"
    there = on(data)
    on("apt-get remove -y 'longshore*'")
    assert active() == ["inactive", "inactive"]
    assert on("command -v longshore; ls /usr/lib/longshore 2>/dev/null") == ""
    assert on(data) == there
    # Whoever isn't asked keeps all
    on("apt-get purge -y 'longshore*'")
    assert on(data) == there
    assert on("apt-get install -y --no-install-recommends /later/*.deb && echo done").endswith("done")
    on("echo longshore-engine longshore-engine/remove-data boolean true | debconf-set-selections")
    on("apt-get purge -y 'longshore*'")
    assert on("ls -d /etc/longshore /var/lib/longshore 2>/dev/null") == ""
    assert on("ls /srv/longshore/kept") == "/srv/longshore/kept"


@pytest.mark.soak
def test_two_builds_are_equal(tmp_path):
    one, other = made(tmp_path / "one", "xz"), made(tmp_path / "other", "xz")
    assert {name: path.read_bytes() for name, path in one.items()} == {n: p.read_bytes() for n, p in other.items()}
