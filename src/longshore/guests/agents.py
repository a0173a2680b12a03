"""Agents for the target, installed in a converted Linux guest by its own package tool from packages that are at hand.

Nothing here may fail a move. What an agent needs is tried before anything is changed, and what could be installed in
part only is taken away again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from longshore.guests.appliance import Guest
from longshore.guests.misread import reason
from longshore.guests.report import Finished
from longshore.model.agents import Agent, AgentPackages, chosen, place_of

_PLACE = "/var/cache/longshore-packages"
_POLICY = "/usr/sbin/policy-rc.d"  # Debian's: whether services may be started
_CLOUD_INIT_SETTINGS = "/etc/cloud/cloud.cfg.d/99-longshore.cfg"
# A machine that was moved has all this: cloud-init would set it up as that of a new one. Modules are named that do what
# user data asks for, and nothing by themselves
_CLOUD_INIT_TEXT = """# Written by Longshore when this machine was moved: it keeps its host keys, name, users, network.
# Only what its user data asks for is done; remove this file to have cloud-init do all that it does by itself.
datasource_list: [ConfigDrive, OpenStack, None]
network: {config: disabled}
preserve_hostname: true
ssh_deletekeys: false
cloud_init_modules: [bootcmd, write-files]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user, phone-home, final-message, power-state-change]
"""
PROGRAMS = {
    Agent.QEMU: ("/usr/bin/qemu-ga", "/usr/sbin/qemu-ga", "/sbin/qemu-ga"),
    Agent.CLOUD_INIT: ("/usr/bin/cloud-init", "/bin/cloud-init"),
}
# By systemd, and where that isn't by scripts of runlevels
_SERVICES = {
    Agent.QEMU: ("qemu-guest-agent", "qemu-ga"),
    Agent.CLOUD_INIT: ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final"),
}
_ENABLE = """for name in {names}; do
  if command -v systemctl >/dev/null; then
    [ -e /usr/lib/systemd/system/$name.service ] || [ -e /lib/systemd/system/$name.service ] || continue
    systemctl enable $name.service || exit 1
  elif [ -e /etc/init.d/$name ]; then
    if command -v update-rc.d >/dev/null; then update-rc.d $name defaults || exit 1
    else chkconfig $name on || exit 1; fi
  fi
done"""


@dataclass(frozen=True, slots=True)
class _Tool:
    """Commands of a package tool. {files} are paths, {name} and {names} are packages'."""

    name: str  # the package that a file is
    is_there: str  # succeeds where a package is installed
    simulate: str  # fails where something is missing that the files need
    install: str
    remove: str


_TOOLS = {
    "deb": _Tool(
        name="dpkg-deb -f {files} Package",
        is_there="dpkg-query -W -f='${{db:Status-Status}}' {name} 2>/dev/null | grep -qx installed",
        # dpkg's own --dry-run doesn't look for what files need. It goes by what is installed: by no list of a mirror's
        simulate="apt-get -s -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null "
        "-o Dir::State::Lists=/nonexistent -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= --no-remove "
        "install {files} >&2",
        install="dpkg --force-confdef --force-confold -i {files}",
        remove="dpkg --force-depends --purge {names}",
    ),
    "rpm": _Tool(
        name="rpm -qp --nosignature --qf '%{{NAME}}' {files} 2>/dev/null",
        is_there="rpm -q {name} >/dev/null",
        simulate="rpm -U --test --nosignature {files}",
        install="rpm -U --nosignature {files}",
        remove="rpm -e --nodeps {names}",
    ),
}


def install_agents(guest: Guest, agents: Sequence[Agent], packages: AgentPackages) -> Finished:
    """Install them in a Linux guest. Each agent gets a sentence: what was installed, or why it wasn't."""
    return Finished.of_all(_install(guest, agent, packages) for agent in agents)


def _install(guest: Guest, agent: Agent, packages: AgentPackages) -> Finished:
    if any(guest.has_file(program) for program in PROGRAMS[agent]):
        return Finished((f"{agent} is in the guest already: it stays as it is.",))
    files = chosen(packages.files, guest.system, agent)
    tool = _TOOLS.get(guest.system.package_format)
    if not files or tool is None:
        why = packages.fault or f"there are no packages for it in {place_of(guest.system, agent)}."
        return Finished(warnings=(f"{agent} wasn't installed: {why}",))
    try:
        with _brought(guest, packages.directory, files) as brought:
            installed = _by_its_tool(guest, tool, brought)
    except RuntimeError as error:
        return Finished(warnings=(f"{agent} wasn't installed, and the guest is without it: {_last(error)}",))
    if agent is Agent.CLOUD_INIT:
        guest.files.mkdir_p(_CLOUD_INIT_SETTINGS.rpartition("/")[0])
        guest.files.write(_CLOUD_INIT_SETTINGS, _CLOUD_INIT_TEXT.encode())
    change = f"Installed {agent} ({', '.join(installed)})."
    try:
        guest.run(_ENABLE.format(names=" ".join(_SERVICES[agent])))
    except RuntimeError as error:
        return Finished((change,), (f"{agent} is installed, but may not start by itself: {_last(error)}",))
    return Finished((change,))


@contextmanager
def _brought(guest: Guest, directory: str, files: Sequence[str]) -> Iterator[list[str]]:
    """Copy files into the guest, under names of ours, while the context is entered; yields their paths."""
    guest.files.mkdir_p(_PLACE)
    try:
        paths = []
        for number, file in enumerate(files):
            paths.append(f"{_PLACE}/{number}{Path(file).suffix}")
            guest.files.upload(str(Path(directory, file)), paths[-1])
        yield paths
    finally:
        guest.files.rm_rf(_PLACE)


def _by_its_tool(guest: Guest, tool: _Tool, files: Sequence[str]) -> list[str]:
    """Install packages by the guest's own tool. Returns the names of those that were installed; those that the guest
    has stay as they are. Raises RuntimeError."""
    new: dict[str, str] = {}
    for file in files:
        name = guest.run(tool.name.format(files=file)).strip()
        if not name or guest.run(f"{tool.is_there.format(name=name)} && echo there || true").strip():
            continue
        new[name] = file
    if not new:
        raise RuntimeError("the packages that are there for it are all installed already")
    names, paths = " ".join(new), " ".join(new.values())
    guest.run(tool.simulate.format(files=paths))
    with _no_service_started(guest):
        try:
            guest.run(tool.install.format(files=paths))
        except RuntimeError:
            with suppress(RuntimeError):  # of what wasn't begun nothing can be removed
                guest.run(tool.remove.format(names=names))
            raise
    return list(new)


@contextmanager
def _no_service_started(guest: Guest) -> Iterator[None]:
    """Debian's packages ask whether they may start services, and are told no; others see that no systemd runs."""
    if not guest.files.is_dir(_POLICY.rpartition("/")[0], followsymlinks=True) or guest.files.exists(_POLICY):
        yield
        return
    guest.files.write(_POLICY, b"#!/bin/sh\nexit 101\n")
    guest.files.chmod(0o755, _POLICY)
    try:
        yield
    finally:
        guest.files.rm_f(_POLICY)


def _last(error: RuntimeError) -> str:
    """Return the end of what a tool has said: there it says why."""
    said = reason(error)
    return f"{said if len(said) <= 300 else '…' + said[-300:]}."
