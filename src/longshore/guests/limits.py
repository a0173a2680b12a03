"""How much of a worker a guest may use while it is worked on: what it holds is a stranger's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """For all that works on one guest. Memory is what each process may have, the rest is for all of them together."""

    seconds: float  # from start to end
    memory: int = 8 << 30  # bytes of address space; the appliance with 2 GiB under emulation takes 4
    scratch: int = 2 << 30  # bytes of temporary files, in memory; virt-v2v wants 1 GiB free of them
    processes: int = 512  # threads, too
    log: int = 16 << 20  # bytes that are kept of what the programs print
    messages: int = 1 << 20  # bytes of what is passed on as progress and result, as it comes from the process


INSPECTING = Limits(seconds=1800.0)
CHANGING = Limits(seconds=2 * 3600.0)
