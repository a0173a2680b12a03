"""A machine's share of a project's quota, beside the room that there is: to be read before it is made."""

from collections.abc import Callable, Sequence

from longshore.model.target import QuotaRoom
from longshore.wording.figures import size
from longshore.wording.texts import _

_GIB = 1 << 30


def takes(shape: tuple[int, int] | None, disks: Sequence[int], room: QuotaRoom) -> list[tuple[str, str, str]]:
    """Return a row for each kind of resource: its name, how much is needed and how much there is.

    `shape`: CPUs and MiB of memory of the server, if there is one. `disks`: the size of each in bytes.
    """
    rows = []
    if shape is not None:
        cpus, memory = shape
        rows = [
            (_("Servers"), "1", _room(room.instances)),
            (_("CPUs"), str(cpus), _room(room.cores)),
            (_("Memory"), size(memory << 20), _room(room.memory_mib, lambda mib: size(mib << 20))),
        ]
    gib = sum(-(-one // _GIB) for one in disks)
    volumes = (_("Volumes"), str(len(disks)), _room(room.volumes))
    return [*rows, volumes, (_("Size of volumes"), f"{gib} GiB", _room(room.gigabytes, lambda count: f"{count} GiB"))]


def _room(count: int | None, write: Callable[[int], str] = str) -> str:
    return _("no limit") if count is None else write(count)
