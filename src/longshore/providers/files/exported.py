"""Points that `longshore backup export` has written, read again: machines as they were recorded then."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from longshore.errors import InvalidInput, LongshoreError
from longshore.model.exported import FORMAT
from longshore.model.machine import AsOf, Machine
from longshore.model.point import Consistency
from longshore.model.recorded_machine import read_machine
from longshore.model.strict_reading import read_json
from longshore.providers.files.stored import Bundle, is_plain

_LARGEST = 16 << 20  # bytes of the document


class Recorded(NamedTuple):
    """A machine as a backup in files tells of it."""

    id: str  # among the machines of one document; empty: it is of one alone
    machine: Machine
    images: tuple[str, ...]  # of its disks, in their order: paths below the provider's directory
    wrong: LongshoreError | None = None  # why its disks can't be told: it is shown without them


def recorded_at(place: Bundle, path: str) -> Recorded:
    """Read the machine of an exported point. `place` opens files by their paths. Raises NotFound, AccessDenied,
    InvalidInput."""
    file = place.open(path)
    if file.size > _LARGEST:
        raise _odd(file.name)
    try:
        told: dict[str, Any] = read_json(file.read(0, _LARGEST))
        if told["format"] != FORMAT:
            raise _odd(file.name)
        machine = read_machine(told["machine"])
        moment = datetime.fromisoformat(told["moment"])
        of = str(told["point"]).partition("/")[0]  # what the names of all points of a machine begin with
        as_of = AsOf(moment.astimezone(UTC), Consistency(told["consistency"]), of)
        names = {str(disk["key"]): str(disk["file"]) for disk in told["disks"]}
        images = [names[disk.key] for disk in machine.disks]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise _odd(file.name) from None
    if moment.tzinfo is None or not all(is_plain(name) for name in images):
        raise _odd(file.name)
    directory = PurePosixPath(path).parent
    paths = tuple(str(directory / name) for name in images)
    return Recorded("", replace(machine, as_of=as_of), paths)


def _odd(name: str) -> InvalidInput:
    return InvalidInput(
        f'{name} isn\'t what "longshore backup export" writes.', advice="Export the point again.", code="image-refused"
    )
