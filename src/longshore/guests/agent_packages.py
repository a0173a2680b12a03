"""The packages of agents that the operator has laid down: DIRECTORY/debian-12/qemu-guest-agent/….deb."""

import os
from collections.abc import Mapping
from pathlib import Path

from longshore.model.agents import AgentPackages

PACKAGES = "LONGSHORE_PACKAGES"  # the variable that names the directory
_MOST_FILES = 20_000


def agent_packages(environment: Mapping[str, str] | None = None) -> AgentPackages:
    """Return the packages that this machine has; the environment is this process' own unless another is given."""
    named = (os.environ if environment is None else environment).get(PACKAGES, "")
    if not named:
        return AgentPackages()
    place = Path(named)
    try:
        found: list[str] = []
        for system in sorted(entry for entry in place.iterdir() if entry.is_dir()):
            for agent in sorted(entry for entry in system.iterdir() if entry.is_dir()):
                found.extend(f"{system.name}/{agent.name}/{file.name}" for file in sorted(agent.iterdir()))
                if len(found) > _MOST_FILES:
                    return AgentPackages(named, fault=f"{named} holds more than {_MOST_FILES} files.")
    except OSError as error:
        return AgentPackages(named, fault=f"{error.filename or named} can't be read: {error.strerror}.")
    return AgentPackages(named, tuple(found))
