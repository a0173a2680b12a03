"""Checks of agents' packages: are there those that a guest is to be given? It is told before the guest is shut down."""

from collections.abc import Iterator, Sequence

from longshore.model.agents import Agent, AgentPackages, chosen, place_of
from longshore.model.concern import Concern
from longshore.model.guest import GuestFindings
from longshore.model.windows import WindowsParts
from longshore.planning.kinds import warning

AGENT_PACKAGES_MISSING = warning(
    "agent-packages-missing",
    "A guest is to be given an agent when it is converted, and there are no packages of it for just this system and "
    "architecture. It is moved without.",
    "Lay them down, with all that they need and the guest hasn't, where `packages` in the configuration says: "
    "docs/howto/agents.md.",
)


def agent_concerns(
    name: str,
    findings: GuestFindings,
    agents: Sequence[Agent],
    packages: AgentPackages | None,
    windows: WindowsParts | None,
) -> Iterator[Concern]:
    """Yield what is missing for a guest that is to be converted; nothing is said where `packages` aren't known."""
    if packages is None or len(findings.systems) != 1:
        return
    (system,) = findings.systems
    for agent in agents:
        there = findings.guest_agent if agent is Agent.QEMU else findings.cloud_init
        brought = agent is Agent.QEMU and system.family == "windows" and windows is not None and windows.agent
        if there or brought or chosen(packages.files, system, agent):
            continue
        if packages.fault:
            why = packages.fault
        elif packages.directory:
            why = f"there are none for it in {packages.directory}/{place_of(system, agent)}."
        else:
            why = "no directory with packages is named."
        yield AGENT_PACKAGES_MISSING(name, f"{name} is moved without {agent}: {why}")
