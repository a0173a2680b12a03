"""Limits of how much of a worker a guest may use while it is worked on: what it holds is a stranger's."""

from dataclasses import dataclass

from longshore.processes import launcher


@dataclass(frozen=True, slots=True)
class GuestLimits(launcher.ProcessLimits):
    """Limits of all that works on one guest."""

    memory: int = 8 << 30  # the appliance with 2 GiB under emulation takes 4
    scratch: int = 2 << 30  # virt-v2v wants 1 GiB free of them
    processes: int = 512
    messages: int = 1 << 20  # progress and result
    log: int = 16 << 20


INSPECTING = GuestLimits(seconds=1800.0)
CHANGING = GuestLimits(seconds=2 * 3600.0)
