"""Flat files of a machine's disks on its ESXi host: what can be read over SSH.

A disk NAME.vmdk is a few lines of text that name NAME-flat.vmdk, its bytes from the first to the last. While a snapshot
is there, what the guest writes goes to another file, and the flat one stays as it was at that moment. A disk that had
snapshots before, or is a linked clone, is spread over several files, of which only VMware knows the format.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from longshore.errors import InvalidInput, NotFound
from longshore.model.machine import OverSsh, Snapshot, Unreadable
from longshore.providers.vsphere.host_keys import HostKey, keys_of
from longshore.providers.vsphere.places import Places, inventory_name
from longshore.providers.vsphere.properties import Properties, read
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.snapshots import held_devices

WITH_FILES = ("VMFS", "NFS", "NFS41")  # kinds of datastores on which disks are files that can be opened
_BACKING = vim.vm.device.VirtualDisk
_LOCATION = re.compile(r"\[(?P<datastore>[^]]*)\] ?(?P<path>.+)\.vmdk")
_URL = re.compile(r"ds://+(vmfs/volumes/[^/]+)/*")


@dataclass(frozen=True, slots=True)
class FlatFile:
    """The file of a disk's bytes, as the ESXi host names it."""

    host: str
    path: str


def over_ssh(properties: Properties, host: str, places: Places, keys: Iterable[HostKey], port: int) -> OverSsh:
    """Return what stands against reading a machine's disks over SSH, as far as the vCenter tells."""
    devices = [device for device in properties["config.hardware.device"] or [] if isinstance(device, _BACKING)]
    found = {str(device.key): _unreadable(device.backing, places.storage_kind(device.backing)) for device in devices}
    return OverSsh(
        host=host,
        pinned=bool(keys_of(keys, host, port)),
        unreadable={key: reason for key, reason in found.items() if reason is not None},
    )


def host_of(session: VsphereSession, name: str) -> str:
    """Return the address of the SSH server of a host that the inventory calls so: a single ESXi host may be called
    anything."""
    return name if session.content.about.apiType == "VirtualCenter" else session.settings.host


def host_of_machine(session: VsphereSession, machine_ref: str) -> str:
    """Return the same of the host that a machine is on. Raises vSphere's own faults."""
    host = read(session, session.object(vim.VirtualMachine, machine_ref), ["runtime.host"])["runtime.host"]
    return host_of(session, inventory_name(read(session, host, ["name"])["name"] or ""))


def find(session: VsphereSession, snapshot: Snapshot, disk_key: str) -> FlatFile:
    """Find the file that holds a disk as the snapshot does. Raises NotFound, InvalidInput when no flat file does."""
    disk = snapshot.disk(disk_key)
    what = f"the disk {disk.location} of {snapshot.machine_ref}"
    with session.doing(f"tell where {what} is"):
        devices = held_devices(session, snapshot.machine_ref, snapshot.ref)
        backing = next((device.backing for device in devices if str(device.key) == disk_key), None)
        if backing is None:
            raise NotFound(f"The snapshot {snapshot.name} doesn't hold {what} any more.")
        host = host_of_machine(session, snapshot.machine_ref)
        store = read(session, backing.datastore, ["summary.type", "summary.url"]) if backing.datastore else {}
    if reason := _unreadable(backing, store.get("summary.type")):
        raise InvalidInput(
            f"{what[0].upper()}{what[1:]} can't be read over SSH: {reason.words}.",
            advice="Give the provider VMware's disk library (--transport vddk).",
        )
    return FlatFile(host, _path(backing.fileName, store.get("summary.url")))


def _unreadable(backing: Any, storage_kind: str | None) -> Unreadable | None:
    if isinstance(backing, _BACKING.RawDiskMappingVer1BackingInfo):
        return Unreadable.RAW_DEVICE
    if storage_kind and storage_kind not in WITH_FILES:
        return Unreadable.NO_FILES
    if getattr(backing, "parent", None) is not None:
        return Unreadable.LAYERS
    flat = isinstance(backing, _BACKING.FlatVer2BackingInfo) and not backing.split
    if not flat or not _LOCATION.fullmatch(backing.fileName or ""):
        return Unreadable.FORMAT
    return Unreadable.ENCRYPTED if backing.keyId is not None else None


def _path(location: str, url: str | None) -> str:
    """Return a file's path at the host. The name that a datastore has there may be another one than at the vCenter: its
    URL is the same."""
    found = _LOCATION.fullmatch(location)
    assert found is not None  # else it isn't flat
    volume = _URL.fullmatch(url or "")
    top = volume[1] if volume else f"vmfs/volumes/{found['datastore']}"
    return f"/{top}/{found['path']}-flat.vmdk"
