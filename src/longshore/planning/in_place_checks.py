"""Concerns about a restore in the place of a server, beside those about any other one."""

from collections.abc import Iterator

from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.planning.kinds import blocker, information

SERVER_HAS_MORE_DISKS = blocker(
    "server-has-more-disks",
    "The server has got volumes since the point was made. They stay with it, and the new server goes without them.",
    "Detach them first, if they aren't needed any more, or accept it and attach them to the new server afterwards.",
    acceptable=True,
)
SERVER_STAYS = information(
    "server-stays",
    "The server whose place is taken stays, off and without its ports, until its owner deletes it: until then the "
    "project holds both.",
)


def in_place_concerns(home: Machine, point: Machine) -> Iterator[Concern]:
    """Yield concerns. `home`: the server as it is; `point`: the machine as it was backed up."""
    had = {disk.key for disk in point.disks}
    for disk in home.disks:
        if disk.key not in had:
            yield SERVER_HAS_MORE_DISKS(disk.label, f"{disk.label} of {home.name} isn't in the point.")
    yield SERVER_STAYS(home.name, f"{home.name} ({home.ref}) stays beside the new server, off and without its ports.")
