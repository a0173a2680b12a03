"""OS-Migrate's workloads.yml and detached_volumes.yml: servers and volumes as they are to be in the target cloud."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from longshore.errors import InvalidInput
from longshore.model.machine import Machine
from longshore.model.request import VolumeWishes
from longshore.providers.openstack.loose_volumes import OF_THE_IMAGE
from longshore.tenancy.documents import Resource, read_files
from longshore.tenancy.faults import NOWHERE, FileFault, refusal
from longshore.tenancy.kind import ResourceKind
from longshore.tenancy.kinds.workload import DETACHED_VOLUME, SERVER
from longshore.tenancy.validate import faults_among

T = TypeVar("T")


def read_workloads(path: Path) -> list[Resource]:
    """Read the servers of a file. Raises InvalidInput with the first fault when there are any, or no servers."""
    return _read(path, SERVER)


def read_detached_volumes(path: Path) -> list[Resource]:
    """Read the volumes of a file, each of which says which one is meant. Raises InvalidInput as above."""
    volumes = _read(path, DETACHED_VOLUME)
    if faults := list(_unclear(volumes)):
        raise refusal(faults, path.parent)
    return volumes


def workload(params: Mapping[str, Any], info: Mapping[str, Any], how: Mapping[str, Any]) -> Resource:
    """Check a server that was read elsewhere. Raises InvalidInput when something is wrong with it."""
    server = Resource(SERVER, params, info, NOWHERE, how)
    wrong = [fault for fault in faults_among([server]) if not fault.warning]
    if wrong:
        raise InvalidInput(f"Server {server.name}: {wrong[0].sentence}", code="invalid-files")
    return server


def _read(path: Path, kind: ResourceKind) -> list[Resource]:
    resources, faults = read_files({str(path): path})
    faults = sorted([*faults, *faults_among(resources)])
    if any(not fault.warning for fault in faults):
        raise refusal(faults, path.parent)
    found = [resource for resource in resources if resource.kind is kind]
    if not found:
        raise InvalidInput(f"There are no {kind.name}s in {path}.", advice=f"OS-Migrate's {kind.file} has some.")
    return found


def _unclear(volumes: Sequence[Resource]) -> Iterator[FileFault]:
    """Yield those of which one can't say which volume of the source they mean, and those that are there twice."""
    first: dict[str, Resource] = {}
    for volume in volumes:
        meant = volume.info.get("id") or volume.params.get("name")
        if not isinstance(meant, str) or not meant:
            yield FileFault(
                volume.place, "This volume has neither an id in _info nor a name: nothing says which it is."
            )
            continue
        earlier = first.setdefault(meant, volume)
        if earlier is not volume:
            text = f"The volume {volume.name} is here a second time; the first is in {earlier.place}."
            yield FileFault(volume.place, text)


@dataclass(frozen=True, slots=True)
class WantedVolume:
    meant: str  # id, or name, at the source
    name: str  # what to call it in a sentence
    wishes: VolumeWishes = field(default_factory=VolumeWishes)
    storage: dict[str, str] = field(default_factory=dict)  # its type, and that which it is to have
    zone: str | None = None
    notes: tuple[str, ...] = ()  # what of it isn't followed, each a sentence


def wanted(described: Resource, loose: Mapping[str, Machine]) -> WantedVolume:
    """`loose` are the source's volumes without a server, by their ids."""
    meant = str(described.info.get("id") or described.params["name"])
    called = [volume for volume in loose.values() if volume.name == meant]
    volume = loose.get(meant) or (called[0] if len(called) == 1 else None)
    if volume is None:
        return WantedVolume(
            meant, described.name
        )  # it is gone, or a server's: the source says so when it is asked for it
    params = described.params
    (disk,) = volume.disks
    zone, properties = params.get("availability_zone"), params.get("volume_image_metadata")
    wishes = VolumeWishes(
        name=_other(params.get("name") or None, disk.name),
        description=_other(params.get("description"), volume.annotation),
        image_properties=_other(_kept(properties), disk.image_properties) if properties is not None else None,
    )
    return WantedVolume(
        meant,
        volume.name,
        wishes,
        storage={disk.storage: params["volume_type"]} if params.get("volume_type") else {},
        zone=_other(zone or None, volume.server_settings.availability_zone),
        notes=_not_followed(volume.name, described),
    )


def _kept(properties: Mapping[str, Any]) -> dict[str, str]:
    return {str(k): str(v) for k, v in properties.items() if k not in OF_THE_IMAGE and v is not None}


def _other(asked: T | None, there: T | None) -> T | None:
    return asked if asked != there else None


def _not_followed(name: str, described: Resource) -> tuple[str, ...]:
    if not described.how:
        return ()
    known = ", ".join(map(str, described.how))
    return (f"{described.place}: what _migration_params says of {name} isn't followed: {known}.",)
