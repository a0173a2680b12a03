"""What deploy/ names is there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NODES = ROOT / "deploy" / "three-nodes"
CONTAINERS = ROOT / "deploy" / "containers"
FILES = ROOT / "src" / "longshore" / "nodes" / "files"
PREPARED = set(re.findall(r'"(etc/\S+)"', (FILES.parent / "prepared.py").read_text()))


@pytest.fixture(scope="module")
def compose():
    return (NODES / "compose.yaml").read_text()


def test_each_node_is_given_all_that_has_no_default(compose):
    needed = set(re.findall(r"\$\{(\w+):\?", compose))
    given = {line.partition("=")[0] for line in (NODES / "node.env.example").read_text().splitlines() if "=" in line}
    assert needed == given


def test_services_are_given_files_that_are_there(compose):
    services = yaml.safe_load(compose)["services"]
    assert set(services) == {"server", "worker", "haproxy", "keepalived", "database"}
    mounted = [volume for service in services.values() for volume in service["volumes"]]
    assert [volume for volume in mounted if volume.startswith("./")] == []
    # What `longshore node prepare` writes; the password of the database's container is put there by hand
    for volume in (one for name in ("haproxy", "keepalived") for one in services[name]["volumes"]):
        assert volume.split(":")[-2].removeprefix("/") in PREPARED
    for name in ("server", "worker"):
        assert services[name]["command"] == [name]


def test_each_service_is_given_the_keys_that_it_reads_and_no_others(compose):
    services = yaml.safe_load(compose)["services"]
    secret = {"key.pem", "longshore.pem", "password", "keystone.password"}
    given = {
        name: {Path(volume.split(":")[-2]).name for volume in service["volumes"]} for name, service in services.items()
    }
    assert {name: files & secret for name, files in given.items() if name != "database"} == {
        "server": {"key.pem", "keystone.password"},
        "worker": {"keystone.password"},
        "haproxy": {"longshore.pem"},
        "keepalived": set(),
    }
    assert not any({"longshore", "tls"} & files for files in given.values()), "no directory that holds other keys"


def test_the_virtual_address_goes_by_haproxy_alone_and_stays_where_it_is():
    """A check that asks for the database fails on all machines at once, and takes the address from all of them."""
    said = (FILES / "keepalived.conf").read_text()
    (asked,) = re.findall(r"http://127.0.0.1:9796(/\S+)\"", said)
    haproxy = (FILES / "haproxy.cfg").read_text()
    assert f"monitor-uri {asked}\n" in haproxy
    assert "  nopreempt\n" in said, "going back ends what is under way"
    assert "vrrp_garp_master_refresh 1\n" in said, "an old ARP entry is believed for five seconds"


def test_nothing_that_could_be_asked_again_is_ended_without_an_answer():
    said = (FILES / "haproxy.cfg").read_text()
    assert "retry-on" in said
    assert not re.search(r"^[^#]*on-marked-down", said, re.M)


@pytest.mark.parametrize("unit", ["restart.conf", "patroni.service"])
def test_systemd_gives_up_nothing_that_a_node_needs(unit):
    """It starts five times within ten seconds what ends at once, as etcd where the address isn't there yet."""
    before, _, service = (FILES / unit).read_text().partition("[Service]")
    assert "StartLimitIntervalSec=0\n" in before
    assert "Restart=always\n" in service


UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
# Each of them keeps guests from being confined, or converted at all: docs/howto/confinement.md
HARMFUL = ("ProtectKernelTunables", "ProtectKernelLogs", "ProtectKernelModules", "ProtectProc", "ProcSubset")
HARMFUL += ("MemoryDenyWriteExecute", "PrivateDevices", "PrivateNetwork")


def settings(unit):
    """The last value of each setting."""
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_run_as_a_user_without_rights_who_may_confine_guests(unit):
    said = settings(unit)
    assert (said["User"], said["NoNewPrivileges"], said["CapabilityBoundingSet"]) == ("longshore", "yes", "")
    assert "AmbientCapabilities" not in said
    assert (said["ProtectSystem"], said["ProtectHome"], said["PrivateTmp"]) == ("strict", "yes", "yes")
    assert {"user", "mnt", "pid", "net", "ipc", "uts"} <= set(said["RestrictNamespaces"].split())
    assert {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"} == set(said["RestrictAddressFamilies"].split())
    assert said["DeviceAllow"] == "/dev/kvm rw"
    assert [name for name in HARMFUL if name in said] == []
    assert int(said["LimitNOFILE"]) >= 65_536  # systemd's own soft limit is 1024, and each connection is a file
    assert "longshore" in (ROOT / "deploy" / "systemd" / "longshore.sysusers").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd isn't installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_the_units(unit, tmp_path):
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit.stem in line] == []


@pytest.mark.parametrize("directory", [NODES, CONTAINERS], ids=lambda directory: directory.name)
def test_containers_run_as_a_user_without_rights(directory):
    assert 'USER = "970:970"' in (CONTAINERS / "oci.py").read_text()
    services = yaml.safe_load((directory / "compose.yaml").read_text())["services"]
    for name in ("server", "worker"):  # each makes namespaces for programs that look at strangers' bytes
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True
        assert "no-new-privileges:true" in services[name]["security_opt"]
        assert {"seccomp=unconfined", "systempaths=unconfined"} <= set(services[name]["security_opt"])


@pytest.mark.parametrize("directory", [NODES, CONTAINERS], ids=lambda directory: directory.name)
def test_what_is_known_of_an_ended_worker_outlasts_it(directory):
    said = settings(ROOT / "deploy" / "systemd" / "longshore-worker.service")
    assert (said["RuntimeDirectory"], said["RuntimeDirectoryPreserve"]) == ("longshore", "yes")
    assert said["RuntimeDirectoryMode"] == "0700"
    loaded = yaml.safe_load((directory / "compose.yaml").read_text())
    assert "ended:/run/longshore" in loaded["services"]["worker"]["volumes"]
    assert "ended" in loaded["volumes"]
    assert "run/longshore" in (ROOT / "deploy" / "debian-with-longshore").read_text()
