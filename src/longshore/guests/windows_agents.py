"""Agents that Windows installs at its first boot on the target, from installers that are at hand (MSI).

virt-v2v has it install QEMU's from virtio-win, where that has one, whether it was asked for or not.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from longshore.guests.appliance import Guest
from longshore.guests.misread import reason
from longshore.guests.report import Finished
from longshore.guests.windows_first_boot import FIRST_BOOT_PLACE, first_boot_scripts
from longshore.model.agents import Agent, AgentPackages, chosen, place_of

_AS_WINDOWS_HAS_IT = FIRST_BOOT_PLACE.replace("/", "\\")
_OF_VIRT_V2V = "install-qemu-ga"
_THERE = {
    Agent.QEMU: "/Program Files/Qemu-ga/qemu-ga.exe",
    Agent.CLOUD_INIT: "/Program Files/Cloudbase Solutions/Cloudbase-Init/conf/cloudbase-init.conf",
}
# After virt-v2v's own steps, whose names begin with 5000 at most
_NAMES = {Agent.QEMU: "6000-0001-longshore-qemu-guest-agent", Agent.CLOUD_INIT: "6000-0002-longshore-cloudbase-init"}
# 3010: a restart is needed, which comes anyway
_INSTALL = """@echo off
msiexec /i "C:{place}\\Temp\\{name}.msi" /qn /norestart /l*v "C:{place}\\Temp\\{name}.log"
if errorlevel 3010 exit /b 0
"""
# A machine that was moved has its name, users, passwords, network and certificates: of what cloudbase-init does by
# itself only user data is left. Of an option that a file names twice the last counts
_CLOUDBASE = """@echo off
set conf=C:\\Program Files\\Cloudbase Solutions\\Cloudbase-Init\\conf\\cloudbase-init.conf
msiexec /i "C:{place}\\Temp\\{name}.msi" /qn /norestart /l*v "C:{place}\\Temp\\{name}.log"
if not exist "%conf%" exit /b 1
>> "%conf%" echo.
>> "%conf%" echo plugins=cloudbaseinit.plugins.common.userdata.UserDataPlugin
>> "%conf%" echo allow_reboot=false
exit /b 0
"""
_SCRIPTS = {Agent.QEMU: _INSTALL, Agent.CLOUD_INIT: _CLOUDBASE}


def add_windows_agents(guest: Guest, agents: Sequence[Agent], packages: AgentPackages) -> Finished:
    """Add agents. Returns one sentence for each: what is installed at the first boot, or why it isn't."""
    changes, warnings = [], []
    brought = _of_virt_v2v(guest, wanted=Agent.QEMU in agents)
    if brought:
        changes.append(brought)
    for agent in agents:
        if agent is Agent.QEMU and brought:
            continue
        try:
            changes.append(_add(guest, agent, packages))
        except RuntimeError as error:
            warnings.append(f"{agent} isn't installed at the first boot: {reason(error)}.")
    return Finished(tuple(changes), tuple(warnings))


def _of_virt_v2v(guest: Guest, *, wanted: bool) -> str:
    """Return what becomes of the agent in virtio-win; "" where that has none."""
    names = [name for name in first_boot_scripts(guest) if _OF_VIRT_V2V in name]
    if not names:
        return ""
    if wanted:
        return f"Windows installs {Agent.QEMU} at its first boot, from virtio-win."
    for name in names:
        guest.files.rm(guest.files.case_sensitive_path(f"{FIRST_BOOT_PLACE}/scripts/{name}"))
    return f"Windows doesn't install {Agent.QEMU} from virtio-win: nobody has asked for it."


def _add(guest: Guest, agent: Agent, packages: AgentPackages) -> str:
    """Add one agent, and return the sentence about it. Raises RuntimeError."""
    files = guest.files
    with suppress(RuntimeError):  # a directory on the way isn't there
        if files.is_file(files.case_sensitive_path(_THERE[agent])):
            return f"{agent} is in the guest already: it stays as it is."
    installers = chosen(packages.files, guest.system, agent)
    if not installers:
        raise RuntimeError(packages.fault or f"there is no installer for it in {place_of(guest.system, agent)}")
    if not first_boot_scripts(guest):
        raise RuntimeError("nothing is run at its first boot")
    name = _NAMES[agent]
    place = files.case_sensitive_path(FIRST_BOOT_PLACE)
    files.mkdir_p(f"{place}/Temp")
    installer = f"{place}/Temp/{name}.msi"
    try:
        files.upload(str(Path(packages.directory, *installers)), installer)
    except RuntimeError:
        files.rm_f(installer)
        raise
    script = _SCRIPTS[agent].format(place=_AS_WINDOWS_HAS_IT, name=name).replace("\n", "\r\n")
    files.write(f"{place}/scripts/{name}.bat", script.encode())
    return f"Windows installs {agent} at its first boot ({Path(*installers).name})."
