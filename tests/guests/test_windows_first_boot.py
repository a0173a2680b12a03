"""What a converted Windows is given for its first boot beside virt-v2v's steps, on NTFS in the real appliance."""

import pytest
from phony_windows import Windows, write

from longshore.guests.agent_packages import agent_packages
from longshore.guests.appliance import Guest
from longshore.guests.report import OperatingSystem
from longshore.guests.windows_agents import add_windows_agents
from longshore.guests.windows_first_boot import FIRST_BOOT_PLACE, bring_disks_online, tell_restarts
from longshore.model.agents import Agent, AgentPackages

pytestmark = pytest.mark.lab  # it needs no cloud, but each appliance takes many seconds to start under emulation

SYSTEM = OperatingSystem("/dev/sda1", "windows", "windows", "10.0", "Windows", "x86_64", "unknown", "w", {})
SCRIPTS = f"{FIRST_BOOT_PLACE}/scripts"
OF_VIRT_V2V = ("2000-0001-pnputil-install-drivers.bat", "5000-0003-install-qemu-ga.bat", "5000-0006-online-disks.bat")
POLICY = ("ControlSet001", "Services", "partmgr", "Parameters")


@pytest.fixture
def guest(empty_appliance, tmp_path):
    empty_appliance.part_disk("/dev/sda", "mbr")
    write(empty_appliance, "/dev/sda1", Windows(), tmp_path)
    empty_appliance.mount("/dev/sda1", "/")
    for directory in (SCRIPTS, f"{FIRST_BOOT_PLACE}/Temp"):
        empty_appliance.mkdir_p(directory)
    for name in OF_VIRT_V2V:
        empty_appliance.touch(f"{SCRIPTS}/{name}")
    yield Guest(empty_appliance, SYSTEM)
    empty_appliance.umount_all()


def san_policy(guest: Guest) -> bytes:
    files = guest.files
    files.hivex_open("/Windows/System32/config/SYSTEM")
    node = files.hivex_root()
    for name in POLICY:
        node = files.hivex_node_get_child(node, name)
    value = files.hivex_value_value(files.hivex_node_get_value(node, "SanPolicy"))
    files.hivex_close()
    return bytes(value)


@pytest.mark.turns("a Windows' first boot")
def test_all_disks_are_online_and_the_policy_that_was_not_set_goes_again(guest):
    assert "further disks online from its first boot on" in bring_disks_online(guest).changes[0]
    assert san_policy(guest) == b"\1\0\0\0"
    script = guest.files.read_file(f"{FIRST_BOOT_PLACE}/Temp/online-disks.ps1").decode()
    assert "Remove-ItemProperty" in script and "-Name SanPolicy" in script
    assert "VirtIO" not in script  # disks on virtio-scsi have another name
    assert tell_restarts(guest).changes == (
        "Windows restarts 3 times at its first boot, once after each step of its setup.",
    )


@pytest.mark.turns("a Windows' first boot")
def test_agents_are_installed_on_wish_alone(guest, tmp_path):
    installer = tmp_path / "windows" / "cloud-init" / "CloudbaseInitSetup_1_1_6_x64.msi"
    installer.parent.mkdir(parents=True)
    installer.write_bytes(b"MSI")
    done = add_windows_agents(guest, [Agent.CLOUD_INIT], agent_packages({"LONGSHORE_PACKAGES": str(tmp_path)}))
    assert done.changes == (
        "Windows doesn't install qemu-guest-agent from virtio-win: nobody has asked for it.",
        "Windows installs cloud-init at its first boot (CloudbaseInitSetup_1_1_6_x64.msi).",
    )
    assert done.warnings == ()
    names = sorted(guest.files.ls(SCRIPTS))
    assert names == [OF_VIRT_V2V[0], OF_VIRT_V2V[2], "6000-0002-longshore-cloudbase-init.bat"]
    script = guest.files.read_file(f"{SCRIPTS}/{names[-1]}").decode()
    brought = f"{FIRST_BOOT_PLACE}/Temp/6000-0002-longshore-cloudbase-init.msi"
    assert guest.files.read_file(brought) == b"MSI"
    assert f'msiexec /i "C:{brought}" /qn'.replace("/", "\\").replace("\\i ", "/i ").replace("\\qn", "/qn") in script
    assert "plugins=cloudbaseinit.plugins.common.userdata.UserDataPlugin" in script  # no name, user, network


@pytest.mark.turns("a Windows' first boot")
def test_virtio_wins_agent_is_taken_where_it_was_asked_for(guest):
    done = add_windows_agents(guest, [Agent.QEMU, Agent.CLOUD_INIT], AgentPackages())
    assert done.changes == ("Windows installs qemu-guest-agent at its first boot, from virtio-win.",)
    assert done.warnings == (
        "cloud-init isn't installed at the first boot: there is no installer for it in windows/cloud-init.",
    )
    assert sorted(guest.files.ls(SCRIPTS)) == sorted(OF_VIRT_V2V)
