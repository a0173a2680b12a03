"""Which packages of agents fit which guest, and what is said beforehand where there are none."""

from dataclasses import replace

import pytest

from longshore.errors import InvalidInput
from longshore.guests.agent_packages import agent_packages
from longshore.model.agents import Agent, AgentPackages, chosen, place_of
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.machine import Machine, PowerState
from longshore.model.platform import Platform
from longshore.model.request import BootProof, LandingMode, MigrationRequest
from longshore.model.windows import WindowsParts
from longshore.planning import agent_properties, concerns_of_guest
from longshore.planning.validation import check_request

MACHINE = Machine("vm-1", "web", PowerState.ON, 1, 1024, (), (), platform=Platform("vsphere"))
DEBIAN = FoundSystem("/dev/sda1", "linux", "debian", "12.5", "Debian 12.5", "x86_64", package_format="deb")
ROCKY = FoundSystem("/dev/sda1", "linux", "rocky", "9.4", "Rocky Linux 9.4", "x86_64", package_format="rpm")
UBUNTU = replace(DEBIAN, distribution="ubuntu", version="22.4")
WINDOWS = FoundSystem("/dev/sda1", "windows", "windows", "10.0", "Windows Server 2022", "x86_64", "Server", "20348")
FILES = (
    "debian-12/qemu-guest-agent/liburing2_2.3-3_amd64.deb",
    "debian-12/qemu-guest-agent/qemu-guest-agent_7.2_amd64.deb",
    "debian-12/qemu-guest-agent/qemu-guest-agent_7.2_arm64.deb",
    "debian-12/qemu-guest-agent/README",
    "el-9/cloud-init/cloud-init-23.4-7.el9.noarch.rpm",
    "windows/cloud-init/CloudbaseInitSetup_1_1_6_x64.msi",
    "windows/cloud-init/CloudbaseInitSetup_1_1_6_x86.msi",
    "windows/qemu-guest-agent/qemu-ga-i386.msi",
    "windows/qemu-guest-agent/qemu-ga-x86_64.msi",
)
PACKAGES = AgentPackages("/srv/packages", FILES)


@pytest.mark.parametrize(
    ("system", "place"),
    [
        (DEBIAN, "debian-12"),
        (UBUNTU, "ubuntu-22.04"),
        (ROCKY, "el-9"),
        (replace(ROCKY, distribution="rhel", version="10.0"), "el-10"),
        (replace(ROCKY, distribution="fedora", version="41.0"), "fedora-41"),
        (replace(ROCKY, distribution="sles", version="15.5"), "sles-15"),
        (WINDOWS, "windows"),
    ],
)
def test_each_system_has_a_directory(system, place):
    assert place_of(system, Agent.CLOUD_INIT) == f"{place}/cloud-init"


@pytest.mark.parametrize(
    ("system", "agent", "files"),
    [
        (DEBIAN, Agent.QEMU, FILES[:2]),  # of this architecture, and with what it needs
        (replace(DEBIAN, architecture="aarch64"), Agent.QEMU, FILES[2:3]),
        (replace(DEBIAN, architecture="ppc64le"), Agent.QEMU, ()),
        (ROCKY, Agent.CLOUD_INIT, FILES[4:5]),
        (ROCKY, Agent.QEMU, ()),
        (WINDOWS, Agent.CLOUD_INIT, FILES[5:6]),
        (WINDOWS, Agent.QEMU, FILES[8:9]),
        (replace(WINDOWS, architecture="i386"), Agent.QEMU, FILES[7:8]),
    ],
)
def test_packages_are_of_the_guests_release_and_architecture(system, agent, files):
    assert chosen(FILES, system, agent) == files


def test_a_directory_is_read_as_it_stands(tmp_path):
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "README").touch()
    assert agent_packages({"LONGSHORE_PACKAGES": str(tmp_path)}) == AgentPackages(str(tmp_path), tuple(sorted(FILES)))
    assert agent_packages({}) == AgentPackages()
    assert "can't be read: No such file" in agent_packages({"LONGSHORE_PACKAGES": f"{tmp_path}/nowhere"}).fault


def said(system, agents, packages=PACKAGES, *, parts=None, landing=LandingMode.CONVERT, **found):
    request = MigrationRequest(landing=landing, agents=agents)
    findings = GuestFindings(inspected=True, systems=(system,), **found)
    concerns = concerns_of_guest(MACHINE, findings, request, parts, packages)
    return [concern.text for concern in concerns if concern.code == "agent-packages-missing"]


def test_what_is_missing_is_told_before_the_machine_is_off():
    assert said(DEBIAN, (Agent.QEMU,)) == []
    assert said(DEBIAN, (Agent.QEMU, Agent.CLOUD_INIT)) == [
        "web is moved without cloud-init: there are none for it in /srv/packages/debian-12/cloud-init."
    ]
    assert said(ROCKY, (Agent.QEMU,), AgentPackages()) == [
        "web is moved without qemu-guest-agent: no directory with packages is named."
    ]
    assert said(ROCKY, (Agent.QEMU,), None) == []  # it isn't known who converts


def test_what_is_there_already_needs_no_package():
    assert said(ROCKY, (Agent.QEMU,), guest_agent=True) == said(DEBIAN, (Agent.CLOUD_INIT,), cloud_init=True) == []
    assert said(WINDOWS, (Agent.QEMU,), AgentPackages(), parts=WindowsParts(agent=True)) == []


@pytest.mark.parametrize("landing", [LandingMode.AS_IS, LandingMode.UNCHANGED])
def test_agents_are_for_guests_that_are_converted(landing):
    with pytest.raises(InvalidInput, match="installed in a guest when it is converted"):
        check_request(MigrationRequest(agents=(Agent.QEMU,), landing=landing))


def test_nova_gives_the_channel_of_an_agent_that_is_installed():
    assert agent_properties(MigrationRequest(agents=(Agent.QEMU,))) == {"hw_qemu_guest_agent": "yes"}
    assert agent_properties(MigrationRequest(agents=(Agent.CLOUD_INIT,))) == {}
    both = agent_properties(MigrationRequest(agents=(Agent.QEMU,), boot_proof=BootProof.AGENT))
    assert both == {"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}
