"""What volumes and snapshots of replicas carry in the target cloud itself, so that they tell what they are without us.

The form is in docs/formats/point-marks.md. Values have at most 255 characters, as Cinder wants it.
"""

import base64
import zlib
from collections.abc import Mapping

from longshore.model.forms import form
from longshore.model.machine import Disk, Machine
from longshore.model.point import Consistency
from longshore.model.replica import PointDisk

REPLICA = "longshore:replica"
NAME = "longshore:name"
MACHINE = "longshore:machine"
DISK = "longshore:disk"
SIZE = "longshore:size"
POINT = "longshore:point"
MOMENT = "longshore:moment"
CONSISTENCY = "longshore:consistency"
ROOT = "longshore:root"
DISKS = "longshore:disks"
DESCRIPTION = "longshore:description-"
LONGEST = 255  # characters of a value


def of_volume(replica_id: str, machine: Machine, disk: Disk) -> dict[str, str]:
    return {
        REPLICA: replica_id,
        NAME: machine.name[:LONGEST],
        MACHINE: machine.ref[:LONGEST],
        DISK: disk.key,
        SIZE: str(disk.size),
    }


def of_snapshot(  # noqa: PLR0917
    replica_id: str, number: int, moment: str, consistency: Consistency, machine: Machine, disk: Disk, root: str
) -> dict[str, str]:
    """`moment`: RFC 3339, UTC. The description of the machine is with its first disk."""
    marks = {
        **of_volume(replica_id, machine, disk),
        POINT: str(number),
        MOMENT: moment,
        CONSISTENCY: consistency.value,
        ROOT: root,
        DISKS: str(len(machine.disks)),
    }
    return {**marks, **_pieces(machine)} if disk.position == 0 else marks


def described(marks: Mapping[str, str]) -> Machine | None:
    """The machine that a point's first snapshot describes; None where these marks hold none, or not all of one.

    Raises ValueError for pieces that don't fit together.
    """
    count = int(marks.get(f"{DESCRIPTION}count", "0"))
    pieces = [marks.get(f"{DESCRIPTION}{number}") for number in range(count)]
    if not pieces or None in pieces:
        return None
    packed = base64.b64decode("".join(piece for piece in pieces if piece), validate=True)
    try:
        return form(Machine).validate_json(zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError(str(error)) from None


def _pieces(machine: Machine) -> dict[str, str]:
    packed = base64.b64encode(zlib.compress(form(Machine).dump_json(machine), 9)).decode()
    pieces = [packed[start : start + LONGEST] for start in range(0, len(packed), LONGEST)]
    numbered = {f"{DESCRIPTION}{number}": piece for number, piece in enumerate(pieces)}
    return {f"{DESCRIPTION}count": str(len(pieces)), **numbered}


def disks_of(machine: Machine, made: Mapping[str, tuple[str, str, str]]) -> list[PointDisk]:
    """`made`: by disk the ids of its volume and snapshot, and its root digest."""
    return [PointDisk(disk.key, disk.label, disk.size, *made[disk.key]) for disk in machine.disks]
