"""Agents installed by the real dpkg, apt and rpm, in the real appliance, from made-up packages."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.guests.agent_packages import agent_packages
from longshore.guests.agents import install_agents
from longshore.guests.appliance import Guest
from longshore.guests.report import OperatingSystem
from longshore.model.agents import Agent, AgentPackages

# It needs no cloud, but each appliance takes many seconds to start under emulation
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

DEBIAN = OperatingSystem("/dev/sda1", "linux", "debian", "12.5", "Debian 12.5", "x86_64", "deb", "made-up", {})
ROCKY = replace(DEBIAN, distribution="rocky", version="9.4", product="Rocky Linux 9.4", package_format="rpm")
STATUS = "/var/lib/dpkg/status"
SETTINGS = "/etc/cloud/cloud.cfg.d/99-longshore.cfg"
UNIT = "[Service]\nExecStart=/usr/sbin/qemu-ga\n\n[Install]\nWantedBy=multi-user.target\n"
TOOLS = ("dpkg", "dpkg-deb", "dpkg-query", "dpkg-split", "apt-get", "/usr/lib/apt/methods/file", "systemctl")
TOOLS += ("rpm", "rpmbuild")
BESIDES = (
    "sh",
    "bash",
    "cat",
    "chmod",
    "cp",
    "diff",
    "env",
    "find",
    "grep",
    "install",
    "ldconfig",
    "ln",
    "mkdir",
    "mv",
)
BESIDES += ("rm", "sed", "sort", "start-stop-daemon", "tar", "touch", "true", "uname", "xargs", "zstd")
DATA = ("/usr/lib/rpm", "/usr/share/dpkg", "/etc/debian_version")
EMPTY = ("/var/lib/dpkg/status", "/var/lib/dpkg/available", "/etc/apt/sources.list")


def copied(tree: Path, path: Path) -> None:
    place = tree / path.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """This machine's own package tools, and what they need, as a system of their own with nothing installed."""
    tree = tmp_path_factory.mktemp("tree")
    for directory in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / directory).mkdir(parents=True)
        (tree / directory).symlink_to(f"usr/{directory}")
    for directory in (
        "dev",
        "proc",
        "sys",
        "tmp",
        "root",
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "var/cache/apt/archives/partial",
        "var/tmp",
    ):
        (tree / directory).mkdir(parents=True)
    for directory in ("info", "updates", "triggers", "alternatives"):
        (tree / "var/lib/dpkg" / directory).mkdir(parents=True)
    for name in (*TOOLS, *BESIDES):
        if program := shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            copied(tree, Path(program))
            said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
            for library in re.findall(r"(/\S+)", said):
                copied(tree, Path(library))
    for place in (Path(data) for data in DATA if Path(data).exists()):
        if place.is_dir():
            shutil.copytree(place, tree / place.relative_to("/"), symlinks=True, dirs_exist_ok=True)
        else:
            copied(tree, place)
    for name in EMPTY:
        (tree / name.lstrip("/")).touch()
    return tree


@pytest.fixture(scope="module")
def system(empty_appliance, tree, tmp_path_factory):
    packed = tmp_path_factory.mktemp("packed") / "tree.tar"
    subprocess.run(["tar", "--create", "--file", packed, "--directory", tree, "."], check=True)
    empty_appliance.part_disk("/dev/sda", "mbr")
    empty_appliance.mkfs("ext4", "/dev/sda1")
    empty_appliance.mount("/dev/sda1", "/")
    empty_appliance.tar_in(str(packed), "/")
    yield empty_appliance
    empty_appliance.umount_all()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "packages"


def deb(directory: Path, agent: Agent, name: str, *, control: str = "", files: str = "", after: str = "") -> None:
    """A package for Debian 12 with that file, which needs nothing unless it says so."""
    tree = directory.parent / name
    (tree / "DEBIAN").mkdir(parents=True)
    text = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: None <none@example.org>\nDescription: None\n"
    (tree / "DEBIAN/control").write_text(text + control)
    (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{after}\n")
    (tree / "DEBIAN/postinst").chmod(0o755)
    file = tree / (files or f"usr/share/{name}")
    file.parent.mkdir(parents=True)
    file.write_text(UNIT)
    place = directory / "debian-12" / agent.value
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "--build", tree, place / f"{name}_1_all.deb"], check=True, capture_output=True)


def packages(directory: Path) -> AgentPackages:
    return agent_packages({"LONGSHORE_PACKAGES": str(directory)})


@pytest.mark.turns("looks")
def test_an_agent_is_installed_with_what_it_needs_and_starts_by_itself(system, directory):
    needs = "Depends: made-up-library\n"
    deb(directory, Agent.QEMU, "qemu-guest-agent", control=needs, files="lib/systemd/system/qemu-guest-agent.service")
    guest = Guest(system, DEBIAN)
    before = system.read_file(STATUS)

    without = install_agents(guest, [Agent.QEMU], packages(directory))
    assert without.changes == ()
    assert "qemu-guest-agent wasn't installed, and the guest is without it" in without.warnings[0]
    assert "made-up-library" in without.warnings[0]
    assert system.read_file(STATUS) == before

    refused = "! /usr/sbin/policy-rc.d"  # as invoke-rc.d asks whether it may start a service
    deb(directory, Agent.QEMU, "made-up-library", after=refused)
    done = install_agents(guest, [Agent.QEMU], packages(directory))
    assert done.changes == ("Installed qemu-guest-agent (made-up-library, qemu-guest-agent).",)
    assert done.warnings == ()
    assert system.is_symlink("/etc/systemd/system/multi-user.target.wants/qemu-guest-agent.service")
    assert not system.exists("/usr/sbin/policy-rc.d")
    assert not system.exists("/var/cache/longshore-packages")


@pytest.mark.soak
def test_a_package_that_fails_is_taken_away_again(system, directory):
    guest = Guest(system, DEBIAN)
    before = system.read_file(STATUS)
    deb(directory, Agent.CLOUD_INIT, "cloud-init", files="usr/bin/cloud-init", after="echo it is broken >&2; exit 3")
    done = install_agents(guest, [Agent.CLOUD_INIT], packages(directory))
    assert done.changes == ()
    assert "it is broken" in done.warnings[0]
    assert system.read_file(STATUS) == before
    assert not system.exists("/usr/bin/cloud-init")
    assert not system.exists(SETTINGS)


@pytest.mark.soak
def test_cloud_init_leaves_a_moved_machine_what_it_has(system, directory):
    guest = Guest(system, DEBIAN)
    deb(directory, Agent.CLOUD_INIT, "cloud-init", files="usr/bin/cloud-init")
    assert install_agents(guest, [Agent.CLOUD_INIT], packages(directory)).warnings == ()
    settings = system.read_file(SETTINGS).decode()
    for line in ("network: {config: disabled}", "preserve_hostname: true", "ssh_deletekeys: false"):
        assert line in settings
    for module in ("ssh", "users-groups", "set-passwords", "set_hostname", "update_etc_hosts", "growpart"):
        assert f"[{module}" not in settings and f" {module}" not in settings.partition("datasource_list")[2]
    again = install_agents(guest, [Agent.CLOUD_INIT], packages(directory))
    assert again.changes == ("cloud-init is in the guest already: it stays as it is.",)


def rpm(guest: Guest, directory: Path, name: str, needs: str = "") -> None:
    """A package for EL 9, made in the guest."""
    spec = f"Name: {name}\nVersion: 1\nRelease: 1.el9\nSummary: None\nLicense: None\n{needs}\n%description\nNone\n"
    spec += f"%install\nmkdir -p %{{buildroot}}/opt/{name}\n%files\n/opt/{name}\n"
    guest.files.write("/spec", spec.encode())
    guest.run("rpmbuild -bb --target x86_64 --define '_rpmdir /rpms' /spec >&2")
    place = directory / "el-9" / Agent.QEMU.value
    place.mkdir(parents=True, exist_ok=True)
    file = f"{name}-1-1.el9.x86_64.rpm"
    guest.files.download(f"/rpms/x86_64/{file}", str(place / file))


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="this machine has no rpm")
def test_rpm_tries_first_as_well(system, directory):
    guest = Guest(system, ROCKY)
    if guest.has_file("/usr/sbin/qemu-ga"):
        system.rm("/usr/sbin/qemu-ga")
    rpm(guest, directory, "qemu-guest-agent", "Requires: made-up-library")
    without = install_agents(guest, [Agent.QEMU], packages(directory))
    assert without.changes == ()
    assert "made-up-library is needed by qemu-guest-agent" in without.warnings[0]
    assert guest.run("rpm -qa").strip() == ""

    rpm(guest, directory, "made-up-library")
    done = install_agents(guest, [Agent.QEMU], packages(directory))
    assert done.changes == ("Installed qemu-guest-agent (made-up-library, qemu-guest-agent).",)
    assert done.warnings == ()
    assert "qemu-guest-agent-1-1.el9.x86_64" in guest.run("rpm -qa")
