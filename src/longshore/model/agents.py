"""Programs that a converted guest is given for its new cloud, and the operator's packages of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Agent(StrEnum):
    QEMU = "qemu-guest-agent"
    CLOUD_INIT = "cloud-init"  # for Windows: cloudbase-init


class System(Protocol):
    """The traits of a guest's operating system that decide which packages fit, however it was found."""

    @property
    def family(self) -> str: ...
    @property
    def distribution(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def package_format(self) -> str: ...


@dataclass(frozen=True, slots=True)
class AgentPackages:
    """The packages that the operator has laid down on a machine that converts guests."""

    directory: str = ""  # "": none was named
    files: tuple[str, ...] = ()  # below it: debian-12/qemu-guest-agent/qemu-guest-agent_7.2_amd64.deb
    fault: str = ""  # why a directory that was named can't be read, a sentence


# Whose packages fit each other, as libguestfs calls distributions
_LIKE_RHEL = (
    *("rhel", "centos", "circle", "scientificlinux", "redhat-based", "oraclelinux", "rocky", "almalinux"),
    "anolis",
)
_ENDINGS = {
    ("deb", "x86_64"): ("_amd64.deb", "_all.deb"),
    ("deb", "i386"): ("_i386.deb", "_all.deb"),
    ("deb", "aarch64"): ("_arm64.deb", "_all.deb"),
    ("rpm", "x86_64"): (".x86_64.rpm", ".noarch.rpm"),
    ("rpm", "i386"): (".i686.rpm", ".i586.rpm", ".i386.rpm", ".noarch.rpm"),
    ("rpm", "aarch64"): (".aarch64.rpm", ".noarch.rpm"),
}
_NARROW_MSI = re.compile(r"(?:i386|x86)(?!_64)")


def place_of(system: System, agent: Agent) -> str:
    """Return the directory, below the operator's, of an agent for that system: el-9/cloud-init,
    ubuntu-22.04/cloud-init."""
    if system.family == "windows":
        return f"windows/{agent.value}"
    major, _, minor = system.version.partition(".")
    distribution = "el" if system.distribution in _LIKE_RHEL else system.distribution
    release = f"{major}.{int(minor):02d}" if distribution == "ubuntu" and minor.isdecimal() else major
    return f"{distribution}-{release}/{agent.value}"


def chosen(files: Sequence[str], system: System, agent: Agent) -> tuple[str, ...]:
    """Choose from the operator's files all that are for the agent on that system."""
    place = f"{place_of(system, agent)}/"
    there = tuple(file for file in files if file.startswith(place))
    if system.family == "windows":
        narrow = system.architecture != "x86_64"
        fit = (f for f in there if f.lower().endswith(".msi") and bool(_NARROW_MSI.search(f.lower())) == narrow)
        return tuple(fit)[-1:]  # the newest by name
    endings = _ENDINGS.get((system.package_format, system.architecture), ())
    return tuple(file for file in there if file.endswith(endings)) if endings else ()
