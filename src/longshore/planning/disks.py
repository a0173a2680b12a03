"""Chooses the volume type of each disk, and of volumes without a machine."""

from collections.abc import Collection
from dataclasses import dataclass

from longshore.model import source_names
from longshore.model.concern import Concern
from longshore.model.machine import Disk, Machine
from longshore.model.request import MigrationRequest
from longshore.planning.kinds import blocker
from longshore.planning.quota import GIB

VOLUME_TYPE_MISSING = blocker(
    "volume-type-missing", "The target has no volume type of that name.", "Name one that it has."
)
DISK_TOO_LARGE = blocker(
    "disk-too-large",
    "A disk is larger than the target allows a volume to be.",
    "Ask for a larger limit (per_volume_gigabytes), or accept this, if it will be raised before the machine moves.",
    acceptable=True,
)


@dataclass(frozen=True, slots=True)
class DiskLanding:
    disk_key: str
    volume_type: str | None  # None: the target's default


def land_disk(  # noqa: PLR0917
    machine: Machine,
    disk: Disk,
    request: MigrationRequest,
    volume_types: Collection[str],
    largest: int | None,
    concerns: list[Concern],
) -> DiskLanding:
    """`largest` is what the target allows a volume to have, in GiB; None: anything."""
    wanted = source_names.mapped(request.storage, source_names.storage(machine, disk))
    if wanted is None and machine.platform.traits.as_server and disk.storage in volume_types:
        wanted = disk.storage
    if wanted is not None and wanted not in volume_types:
        has = f"It has: {', '.join(sorted(volume_types))}."
        concerns.append(VOLUME_TYPE_MISSING(wanted, f'The target has no volume type "{wanted}".', has))
    size = -(-disk.size // GIB)
    if largest is not None and size > largest:
        text = f"{disk.label} of {machine.name} has {size} GiB; the target allows a volume at most {largest}."
        concerns.append(DISK_TOO_LARGE(disk.label, text))
    return DiskLanding(disk.key, wanted)
