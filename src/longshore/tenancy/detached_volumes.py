"""Requests of OS-Migrate's detached_volumes.yml for volumes: only where they are to become different."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from longshore.model.machine import Machine
from longshore.model.request import VolumeWishes
from longshore.providers.openstack.loose_volumes import OF_THE_IMAGE
from longshore.tenancy.documents import Resource

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    meant: str  # id, or name, at the source
    name: str  # what to call it in a sentence
    wishes: VolumeWishes = field(default_factory=VolumeWishes)
    storage: dict[str, str] = field(default_factory=dict)  # its type, and that which it is to have
    zone: str | None = None
    notes: tuple[str, ...] = ()  # what of it isn't followed, each a sentence


def wanted(described: Resource, loose: Mapping[str, Machine]) -> Wanted:
    """`loose` are the source's volumes without a server, by their ids."""
    meant = str(described.info.get("id") or described.params["name"])
    called = [volume for volume in loose.values() if volume.name == meant]
    volume = loose.get(meant) or (called[0] if len(called) == 1 else None)
    if volume is None:
        return Wanted(meant, described.name)  # it is gone, or a server's: the source says so when it is asked for it
    params = described.params
    (disk,) = volume.disks
    zone, properties = params.get("availability_zone"), params.get("volume_image_metadata")
    wishes = VolumeWishes(
        name=_other(params.get("name") or None, disk.name),
        description=_other(params.get("description"), volume.annotation),
        image_properties=_other(_kept(properties), disk.image_properties) if properties is not None else None,
    )
    return Wanted(
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
