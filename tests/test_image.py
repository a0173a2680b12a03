"""The image, and the compose file that runs it: server, worker and database, as its page says."""

import re
import shutil
import subprocess
import time

import pytest

from booted import Booted, until
from packaged import READY, ROOT, as_root, keystone_and_disk, landed, make, root, typed

pytestmark = [*as_root(5400), pytest.mark.soak]
PAGE = ROOT / "docs/howto/containers.md"
# Debian 12's is too old
COMPOSE = "podman-compose==1.3.0"
COMMAND = """#!/bin/sh
PYTHONPATH=/longshore/podman-compose exec python3 -m podman_compose "$@"
"""
# These namespaces may not set limits
LIMITS = "  ulimits: {nofile: 65536}\n"
CONTAINERS = """[containers]
cgroups = "disabled"
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
SMALL = """services:
  server:
    volumes: ["./ca.pem:/etc/ssl/certs/ca-certificates.crt:ro"]
  worker:
    entrypoint: [/usr/bin/tini, --, /usr/lib/longshore/bin/python3, /small/on_small_clouds.py]
    volumes: ["./ca.pem:/etc/ssl/certs/ca-certificates.crt:ro", "./small:/small:ro"]
"""
ANN = (
    'OS_USERNAME=ann OS_PASSWORD="ann\'s secret" OS_PROJECT_NAME=red '
    "OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default"
)


@pytest.fixture
def machine(tmp_path):
    """Yield a Debian with podman, and in /longshore what the page has one copy there."""
    built, _ = typed("Build it", "containers")[0]
    assert built == "make image"
    at = tmp_path / "at"
    at.mkdir()
    made = make("image", tmp_path / "made")
    (image,) = made.glob("longshore-*-image.tar")
    (at / image.name).hardlink_to(image) if image.stat().st_dev == at.stat().st_dev else shutil.copy(image, at)
    compose = (ROOT / "deploy/containers/compose.yaml").read_text()
    assert compose.count(LIMITS) == 1
    (at / "compose.yaml").write_text(compose.replace(LIMITS, ""))
    shutil.copytree(ROOT / "tests/flows", at / "small/flows")
    shutil.copy(ROOT / "tests/on_small_clouds.py", at / "small")
    install = [ROOT / ".tools/bin/uv", "pip", "install", "-q", "--target", at / "podman-compose", COMPOSE]
    subprocess.run(install, check=True)
    (tmp_path / "storage").mkdir()
    with Booted(root("podman"), tmp_path, {"/longshore": at, "/var/lib/containers": tmp_path / "storage"}) as machine:
        machine.on("[ -e /dev/kvm ] || mknod /dev/kvm c 10 232; chmod 660 /dev/kvm")
        (machine.root / "etc/containers/containers.conf").write_text(CONTAINERS)
        (machine.root / "usr/local/bin/podman-compose").write_text(COMMAND)
        (machine.root / "usr/local/bin/podman-compose").chmod(0o755)
        yield machine


@pytest.fixture
def around(machine, tmp_path):
    """Yield the addresses of a small Keystone and of a disk image, on the machine's loopback."""
    with keystone_and_disk(machine, tmp_path / "files") as addresses:
        shutil.copy(addresses["authority"], machine.root / "longshore/ca.pem")
        yield addresses


def test_server_worker_and_database_run_of_one_image_without_rights(machine, around, tmp_path):
    def on(command):
        return machine.on(f"cd /longshore && {command}")

    def done(command):
        said = on(f"{command}; echo status $?")
        assert said.endswith("status 0"), said
        return said.removesuffix("status 0").strip()

    (configuration,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    configuration = configuration.replace("https://cloud.example:5000", around["keystone"])
    configuration += '[server]\nreach_allowed = ["127.0.0.0/8"]\n'
    (machine.root / "longshore/longshore.toml").write_text(configuration)
    (machine.root / "longshore/keystone.password").write_text("service")
    (machine.root / "longshore/small.yaml").write_text(SMALL)
    (load, *prepare, up), (check,) = typed("Run it", "containers")
    compose = up.removesuffix(" up -d")
    small = f"{compose} -f compose.yaml -f small.yaml"
    begun = time.monotonic()
    done(load)
    loaded = time.monotonic()
    for command in prepare:
        done(command)
    done(f"{small} up -d")
    until(lambda: on(READY) == "200", 300)
    ready = time.monotonic()
    shown = done("podman ps --format '{{.Names}} {{.Status}}'")
    assert len(shown.splitlines()) == 3, shown

    for service in ("server", "worker", "database"):
        inside = f"podman exec longshore_{service}_1"
        assert done(f"{inside} id -u") == "970"
        assert done(f"{inside} grep CapEff /proc/1/status").split()[1] == "0" * 16
        assert "Read-only file system" in on(f"{inside} touch /usr/new")
        # Its first process sees to the end of whoever is orphaned
        assert ") Z " not in done(f"{inside} sh -c '(sleep 0.1 &); sleep 1; cat /proc/[0-9]*/stat'")
    said = done(check.replace(compose, small))
    print(said)
    assert "virt-v2v" in said
    checked = time.monotonic()

    # A user's words, of a machine that the server's own container looks at
    asked = f"LONGSHORE_URL=http://127.0.0.1:9797 OS_AUTH_URL={around['keystone']}/v3 {ANN}"
    longshore = f"podman exec longshore_server_1 env {asked} longshore"
    done(f"{longshore} provider add files disk --url {around['files']}/web01.raw")
    assert done(f"{longshore} machine list disk -f value -c Name") == "web01"

    # And a migration, whose target is small
    run = "podman exec longshore_worker_1 /usr/lib/longshore/bin/python3 /small/on_small_clouds.py"
    migration = done(f"{run} take {around['files']}/web01.raw")
    ended = until(lambda: re.search("done|failed", on(f"{run} migration list -f value -c Status")), 300)
    assert ended[0] == "done", on(f"{run} migration events {migration}")
    print(f"loaded in {loaded - begun:.0f} s, ready after {ready - loaded:.0f} s")
    print(f"checked in {checked - ready:.0f} s, and moved {time.monotonic() - checked:.0f} s after that")
    assert landed(tmp_path / "storage/storage/volumes/longshore_state/_data/fleet/web01")

    # What is kept is found again
    done(f"{small} down")
    assert done("podman ps -a --format '{{.Names}}'") == ""
    done(f"{small} up -d")
    until(lambda: on(READY) == "200", 300)
    assert done(f"{longshore} provider list -f value -c Name") == "disk"
