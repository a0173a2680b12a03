"""The references by which migrations out of a vault name what they read: a point, as a machine, or one of its disks, as
a volume."""

from longshore.model.machine import VOLUME


def disk_ref(point: str, key: str) -> str:
    return f"{VOLUME}{point}/{key}"


def point_of(ref: str) -> str:
    """Return the point's name."""
    return ref.removeprefix(VOLUME).rpartition("/")[0] if ref.startswith(VOLUME) else ref


def key_of(ref: str) -> str | None:
    """Return the disk's key; None: the reference means all disks of the point."""
    return ref.rpartition("/")[2] if ref.startswith(VOLUME) else None
