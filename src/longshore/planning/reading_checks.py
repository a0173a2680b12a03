"""Concerns about reading a machine's disks otherwise than in parts: over SSH, as files of its ESXi host, or as vSphere
exports them, each as a whole."""

from collections.abc import Iterator

from longshore.model.concern import Concern
from longshore.model.machine import Machine, Unreadable
from longshore.model.request import CopyRequest, MigrationType
from longshore.planning.kinds import blocker, warning

_VDDK = "read its disks by VDDK (longshore provider set PROVIDER --transport vddk --vddk-libdir DIR)"
_ELSE = f"{_VDDK} or through a proxy (--transport proxy --proxy MACHINE)"

SSH_COPIES_WHOLE_DISKS = blocker(
    "ssh-copies-whole-disks",
    "Warm: the provider reads disks over SSH, which can't tell what has changed since the last copy.",
    f"Move it cold, or {_ELSE}.",
)
SSH_HOST_UNKNOWN = blocker(
    "ssh-host-unknown",
    "The provider reads disks over SSH, and no SSH host key of the machine's ESXi host is pinned: that host isn't "
    "connected to.",
    "Compare the host's key, and give the provider those of all hosts: longshore provider set PROVIDER --ssh-host-key "
    "FILE.",
)
SSH_DISK_UNREADABLE = blocker(
    "ssh-disk-unreadable",
    "The provider reads disks over SSH, and a disk isn't one flat file: it is on storage without files (vSAN, vVols), "
    "a raw device mapping, encrypted, or in another format.",
    f"Move it to a VMFS or NFS datastore as a thick or thin disk in clear, or {_ELSE}.",
)
SSH_DISK_HAS_LAYERS = blocker(
    "ssh-disk-has-layers",
    "The provider reads disks over SSH, and a disk is spread over several files: the machine has snapshots already, "
    "has layers left over from removed ones, or is a linked clone.",
    f"Delete the machine's snapshots and consolidate its disks (clone a linked clone in full), or {_ELSE}.",
)
SSH_MACHINE_ENCRYPTED = blocker(
    "ssh-machine-encrypted",
    "The provider reads disks over SSH, and the machine is encrypted: its files hold nothing that could be moved.",
    f"Decrypt the machine, or {_VDDK}.",
)
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


def ssh_concerns(machine: Machine, request: CopyRequest) -> Iterator[Concern]:
    over_ssh, name = machine.over_ssh, machine.name
    if over_ssh is None:
        return
    if request.type is MigrationType.WARM:
        yield SSH_COPIES_WHOLE_DISKS(name, f"The disks of {name} are read over SSH: it can't be moved warm.")
    if not over_ssh.pinned:
        yield SSH_HOST_UNKNOWN(name, f"{name} is on {over_ssh.host}, of which no SSH host key is pinned.")
    if machine.encrypted:
        yield SSH_MACHINE_ENCRYPTED(name, f"{name} is encrypted, and its disks are read over SSH.")
    for disk in machine.disks:
        if reason := over_ssh.unreadable.get(disk.key):
            kind = SSH_DISK_HAS_LAYERS if reason is Unreadable.LAYERS else SSH_DISK_UNREADABLE
            yield kind(disk.label, f"{disk.label} of {name} can't be read over SSH: {reason.words}.")


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
