"""The choice of points that a machine's disks may have most of their blocks from, when they aren't in its own points.

A machine that was made of the same image as another, or whose disk has grown since its last backup, stores what
differs.
"""

from collections.abc import Collection
from contextlib import suppress

from longshore.errors import NotFound
from longshore.model.machine import Machine
from longshore.vault.errors import Damaged
from longshore.vault.points import Point, folder_in, is_own, point_names, read_point
from longshore.vault.vault import Vault

_LOOKED_AT = 32  # machines' newest points, of which a document each is read
_TAKEN = 4


def resembling(vault: Vault, machine: Machine, own: str, begun: Collection[str]) -> list[Point]:
    """Return the newest points of machines, its own among them, the likeliest first.

    `own`: the folder of its points. `begun`: keys of disks that begin as those of its last one; where that is all of
    them, nothing is looked for.
    """
    if all(disk.key in begun for disk in machine.disks):
        return []
    newest: dict[str, str] = {}
    for name in reversed(point_names(vault)):
        newest.setdefault(folder_in(name), name)
    wanted = dict.fromkeys([*([newest[own]] if own in newest else []), *newest.values()])
    found = []
    for name in list(wanted)[:_LOOKED_AT]:
        with suppress(NotFound, Damaged):
            point = read_point(vault, name)
            if is_own(vault, point):
                found.append(point)
    sizes = {disk.size for disk in machine.disks if disk.key not in begun}

    def likeness(point: Point) -> tuple[bool, int, str]:
        return (
            point.name.startswith(f"{own}/"),
            sum(top.size in sizes for top in point.disks.values()),
            point.moment.isoformat(),
        )

    return sorted(found, key=likeness, reverse=True)[:_TAKEN]
