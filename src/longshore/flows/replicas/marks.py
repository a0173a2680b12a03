"""The marks on volumes and snapshots of replicas in the target cloud itself, so that they tell what they are without
us.

The form is in docs/formats/point-marks.md. Values have at most 255 characters, as Cinder wants it.
"""

import base64
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from longshore.model.forms import form
from longshore.model.machine import Disk, Machine
from longshore.model.point import Consistency
from longshore.model.recorded_machine import read_machine
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
_COUNT = re.compile("[1-9][0-9]{0,2}")
_LARGEST = 8 << 20  # bytes of a description, unpacked
_MOST = 1 << 31


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
    """Return the marks of a point's snapshot. `moment`: RFC 3339, UTC. The first disk's also describe the machine."""
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
    """Return the machine that a point's first snapshot describes; None where these marks hold no description.

    What a stranger could have written there, and matters, isn't taken along: user data, and how disks were read. Raise
    ValueError for what is too much, isn't all there, or is none.
    """
    count = marks.get(f"{DESCRIPTION}count")
    if count is None:
        return None
    if not _COUNT.fullmatch(count):
        raise ValueError("its description has no number of pieces that can be")
    pieces = [marks.get(f"{DESCRIPTION}{number}", "") for number in range(int(count))]
    if not all(0 < len(piece) <= LONGEST for piece in pieces):
        raise ValueError("pieces of its description are missing")
    try:
        machine = form(Machine).validate_json(_unpacked("".join(pieces)))
        machine = read_machine(_in_plain_text(form(Machine).dump_python(machine, mode="json")))
    except (ValueError, zlib.error, RecursionError):  # what pydantic says has the description's own words
        raise ValueError("its description isn't one of a machine") from None
    numbers = 0 <= machine.cpus < _MOST and 0 <= machine.memory_mib < _MOST
    words = all(0 < len(word) <= LONGEST for word in (machine.name, machine.ref))
    if not numbers or not words or any(disk.size <= 0 for disk in machine.disks):
        raise ValueError("its description isn't one of a machine")
    settings = replace(machine.server_settings, user_data=None)
    return replace(machine, server_settings=settings).read_elsewhere()


def _unpacked(packed: str) -> bytes:
    """Return the unpacked description. Raise ValueError when it is too large or cut off, zlib.error when it isn't
    packed."""
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(base64.b64decode(packed, validate=True), _LARGEST)
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("too much of it, or not all")
    return unpacked


def _in_plain_text(told: Any) -> Any:
    """Return the value without what a terminal would act on: its texts are a guest's or a stranger's."""
    if isinstance(told, str):
        return told if told.isprintable() else "".join(c if c.isprintable() or c in "\n\t" else "�" for c in told)
    if isinstance(told, dict):
        return {_in_plain_text(name): _in_plain_text(value) for name, value in told.items()}
    return [_in_plain_text(value) for value in told] if isinstance(told, list | tuple) else told


def _pieces(machine: Machine) -> dict[str, str]:
    packed = base64.b64encode(zlib.compress(form(Machine).dump_json(machine), 9)).decode()
    pieces = [packed[start : start + LONGEST] for start in range(0, len(packed), LONGEST)]
    numbered = {f"{DESCRIPTION}{number}": piece for number, piece in enumerate(pieces)}
    return {f"{DESCRIPTION}count": str(len(pieces)), **numbered}


def disks_of(machine: Machine, made: Mapping[str, tuple[str, str, str, str | None]]) -> list[PointDisk]:
    """Return the disks of a point. `made`: by disk the ids of its volume and snapshot, its root digest, and the
    source's change id."""
    return [PointDisk(disk.key, disk.label, disk.size, *made[disk.key]) for disk in machine.disks]
