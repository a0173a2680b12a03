"""Backups of Trilio for OpenStack on its backup target: a qcow2 image of each disk and snapshot, JSON beside it.

    workload_ID/workload_db
    workload_ID/snapshot_ID/snapshot_db, snapshot_vms_db, resources_db
    workload_ID/snapshot_ID/vm_id_ID/vm_res_id_ID_vda/disk_db, and the image that it names
    workload_ID/snapshot_ID/network/vm_res_id_ID/network_db

An increment's image names the one before by the path that the share had where it was made (Trilio's documents,
"Disaster Recovery"). Which document has which fields is known from its published source. Descriptions of networks that
are pickled are left alone: who unpickles runs a stranger's code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from longshore.border.texts import shortened
from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.model.addresses import is_address
from longshore.model.machine import AsOf, Disk, Machine, Nic, PowerState, ServerDetails, ServerSettings
from longshore.model.platform import Platform
from longshore.model.point import Consistency
from longshore.model.strict_reading import read_json
from longshore.providers.files.exported import Recorded
from longshore.providers.files.stored import Bundle

MACHINES = "snapshot_vms_db"  # the document of a snapshot that names its machines
OWN = ("workload_db", MACHINES)  # documents below whose directories all files are Trilio's
_LARGEST = 64 << 20  # bytes of a document
_GOOD = "available"
_NO = ("False", "false", "0")


def recorded_in(place: Bundle, files: frozenset[str], path: str) -> list[Recorded]:
    """Return the machines of the snapshot whose list of them is at this path; of one that wasn't finished none.

    `place` opens files by their paths. Raises NotFound, AccessDenied, InvalidInput.
    """
    directory = PurePosixPath(path).parent
    snapshot = _object(_document(place, directory / "snapshot_db"), "snapshot_db")
    if snapshot.get("status") != _GOOD or snapshot.get("data_deleted"):
        return []
    resources = _objects(_document(place, directory / "resources_db"), "resources_db")
    workload = _workload(place, directory)
    return [
        _Server(place, files, directory, snapshot, resources, str(vm.get("vm_id") or "")).recorded(vm, workload)
        for vm in _objects(_document(place, directory / MACHINES), MACHINES)
    ]


@dataclass(frozen=True, slots=True)
class _Server:
    place: Bundle
    files: frozenset[str]
    directory: PurePosixPath
    snapshot: Mapping[str, Any]
    all: list[dict[str, Any]]  # resources of the snapshot's machines
    id: str

    def recorded(self, vm: Mapping[str, Any], workload: str) -> Recorded:
        name = _text(vm.get("vm_name")) or self.id
        flavors = [(_text(one.get("resource_name")), _fields(one)) for one in self._own("flavor")]
        flavor, hardware = flavors[0] if flavors else ("", {})
        moment = _moment(self.snapshot)
        fields = _fields(vm)
        machine = Machine(
            ref=self.id,
            name=name,
            power=PowerState.OFF,
            cpus=_number(hardware.get("vcpus")) or 1,
            memory_mib=_number(hardware.get("ram")) or 1024,
            disks=(),
            nics=(),
            annotation=f"{name} as of {moment:%Y-%m-%d %H:%M:%S} UTC, by Trilio's workload {workload}",
            folder=workload,
            instance_uuid=self.id,
            platform=Platform("openstack"),
            server=ServerDetails(flavor=flavor),
            server_settings=ServerSettings(
                key_name=fields.get("key_name") or None, availability_zone=fields.get("availability_zone") or None
            ),
            can_track_changes=False,
            as_of=AsOf(moment, Consistency.CRASH),
        )
        try:
            found = sorted(self._disks(), key=lambda one: (len(one.key), one.key))  # vda, vdb, …, vdaa
            disks = tuple(replace(disk, position=number) for number, disk in enumerate(found))
            whole = replace(machine, disks=disks, nics=tuple(self._nics()))
        except LongshoreError as error:
            return Recorded(self.id, machine, (), error)
        return Recorded(self.id, whole, tuple(disk.location for disk in disks))

    def _own(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.all if one.get("resource_type") == kind and one.get("vm_id") == self.id]

    def _disks(self) -> Iterator[Disk]:
        for resource in self._own("disk"):
            fields, key = _fields(resource), _text(resource.get("resource_name"))
            above = f"{self.directory / f'vm_id_{self.id}'}/vm_res_id_{resource.get('id')}"
            found = [path for path in self.files if path.startswith(above) and path.endswith("/disk_db")]
            if len(found) != 1 or not key:
                raise InvalidInput(f'Nothing says where the disk "{key}" is.', code="image-refused")
            images = _objects(_document(self.place, PurePosixPath(found[0])), "disk_db")
            tops = [image for image in images if image.get("top")] or images[-1:]
            if len(tops) != 1:
                raise InvalidInput(f'Nothing says which image the disk "{key}" is.', code="image-refused")
            kind = _fields(tops[0]).get("disk_format", "qcow2")
            if kind != "qcow2":
                raise InvalidInput(f'The disk "{key}" is an image of the format "{kind}".', code="image-refused")
            image = PurePosixPath(found[0]).parent / PurePosixPath(str(tops[0].get("vault_url") or "")).name
            name = fields.get("volume_name", "")
            yield Disk(
                key,
                label=key,
                position=0,
                size=0,
                location=str(image),
                storage=fields.get("volume_type", ""),
                controller="virtio",
                name="" if name == fields.get("volume_id") else name,
            )

    def _nics(self) -> Iterator[Nic]:
        names = {
            str(one.get("resource_pit_id")): _text(one.get("resource_name"))
            for one in self.all
            if one.get("resource_type") == "network"
        }
        attached = (_fields(one) for one in self._own("security_group"))
        groups = tuple(one["name"] for one in attached if one.get("name") and one.get("vm_attached") not in _NO)
        for number, resource in enumerate(self._own("nic")):
            path = self.directory / "network" / f"vm_res_id_{resource.get('id')}" / "network_db"
            fields = dict[str, str]()
            for described in _objects(_document(self.place, path), "network_db"):
                fields |= _fields(described)
            told = fields.get("ip_address", "")
            address = told if is_address(told) else ""
            yield Nic(
                f"nic{number}",
                f"Port {number + 1}",
                (fields.get("mac_address") or _text(resource.get("resource_name"))).lower(),
                fields.get("network_name") or names.get(fields.get("network_id", ""), ""),
                "virtio",
                addresses=(address,) if address else (),
                security_groups=groups,
                floating_addresses={address: fields["floating_ip"]} if address and fields.get("floating_ip") else {},
            )


def _workload(place: Bundle, snapshot: PurePosixPath) -> str:
    """Return the workload's name; that of its directory when nothing tells."""
    try:
        told = _object(_document(place, snapshot.parent / "workload_db"), "workload_db")
    except NotFound:
        return snapshot.parent.name
    return _text(told.get("display_name") or told.get("name")) or snapshot.parent.name


def _moment(snapshot: Mapping[str, Any]) -> datetime:
    """Return when the snapshot was asked for: what is older is in it. Trilio's times are UTC, and don't say so."""
    try:
        moment = datetime.fromisoformat(str(snapshot.get("created_at")))
    except ValueError:
        raise InvalidInput("snapshot_db doesn't say when the snapshot was made.", code="image-refused") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _fields(of: Mapping[str, Any]) -> dict[str, str]:
    """Return its metadata: a list of keys and values."""
    listed = of.get("metadata")
    pairs = listed if isinstance(listed, list) else []
    return {str(pair["key"]): _text(pair.get("value")) for pair in pairs if isinstance(pair, dict) and pair.get("key")}


def _text(value: object) -> str:
    return "" if value is None else shortened(str(value))


def _number(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _document(place: Bundle, path: PurePosixPath) -> Any:
    file = place.open(str(path))
    if file.size > _LARGEST:
        raise InvalidInput(f"{path.name} is too large to be read.", code="image-refused")
    try:
        return read_json(file.read(0, _LARGEST))
    except (ValueError, RecursionError):
        raise InvalidInput(f"{path.name} is damaged or cut off.", advice="Copy it again.", code="truncated") from None


def _object(told: Any, name: str) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise InvalidInput(f"{name} isn't what Trilio writes there.", code="image-refused")
    return told


def _objects(told: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(told, list):
        raise InvalidInput(f"{name} isn't what Trilio writes there.", code="image-refused")
    return [_object(one, name) for one in told]
