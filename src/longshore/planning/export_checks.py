"""Concerns about machines of which vSphere exports the disks, each as a whole."""

from collections.abc import Iterator

from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.request import CopyRequest, MigrationType
from longshore.planning.kinds import blocker, warning

EXPORT_COPIES_WHOLE_DISKS = blocker(
    "export-copies-whole-disks",
    "Warm: the provider has vSphere export disks, which sends all of them each time, whatever has changed.",
    "Move it cold, or read its disks through a proxy (--transport proxy --proxy MACHINE) or by VDDK (--transport vddk "
    "--vddk-libdir DIR).",
)
EXPORT_BEGINS_ANEW = warning(
    "export-begins-anew",
    "The provider has vSphere export disks: each comes over one connection, from its beginning to its end, and as a "
    "whole once more when that breaks. Meanwhile vSphere lets the machine neither be powered on, nor moved or deleted.",
    "A proxy (--transport proxy --proxy MACHINE) or VDDK reads what is needed, and goes on where it broke off.",
)


def export_concerns(machine: Machine, request: CopyRequest) -> Iterator[Concern]:
    if not machine.streamed:
        return
    name = machine.name
    if request.type is MigrationType.WARM:
        yield EXPORT_COPIES_WHOLE_DISKS(name, f"vSphere exports the disks of {name}: it can't be moved warm.")
        return
    size = sum(disk.size for disk in machine.disks) / (1 << 30)
    yield EXPORT_BEGINS_ANEW(
        name, f"vSphere exports the disks of {name}, {size:.1f} GiB: a disk whose transfer breaks begins anew."
    )
