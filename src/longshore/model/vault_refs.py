"""What migrations out of a vault call what they read: a point, as a machine, or one of its disks, as a volume."""

from longshore.model.machine import VOLUME


def disk_ref(point: str, key: str) -> str:
    return f"{VOLUME}{point}/{key}"


def point_of(ref: str) -> str:
    """The point's name."""
    return ref.removeprefix(VOLUME).rpartition("/")[0] if ref.startswith(VOLUME) else ref


def key_of(ref: str) -> str | None:
    """Of the disk; None: all of the point's."""
    return ref.rpartition("/")[2] if ref.startswith(VOLUME) else None
