"""The choice of a flavor for a machine that asks for none."""

from collections.abc import Iterable

from longshore.model.target import Flavor


def smallest(
    cpus: int, memory_mib: int, flavors: Iterable[Flavor], *, own: str = "", tpm: bool = False
) -> Flavor | None:
    """Find the smallest one that is large enough: one that can run on any host, if there is any.

    `own`: the name of the flavor that the machine has at its source, whose hosts suit it. Of several of one size it is
    taken, else one with a TPM if the machine has one.
    """
    fitting = [f for f in flavors if f.cpus >= cpus and f.memory_mib >= memory_mib]
    return min(
        fitting,
        key=lambda f: (
            bool(f.narrowing) and f.name != own,
            f.memory_mib,
            f.cpus,
            f.name != own,
            bool(f.tpm) != tpm,
            f.disk_gib,
            f.name,
        ),
        default=None,
    )
