"""Volumes of a project that no server has, each described as a machine of this one disk."""

from typing import Any

from longshore.errors import Conflict
from longshore.model.machine import VOLUME, Disk, LooseVolume, Machine, PowerState, ServerSettings
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.machines import OF_ITS_CLOUD
from longshore.providers.openstack.named import Part, needed, only
from longshore.providers.openstack.platform import PLATFORM
from longshore.providers.openstack.volumes import GIB

_LISTED = "longshore volume list shows them."
# Cinder shows these two among a volume's metadata; they can't be set there
_CINDERS = frozenset({"readonly", "attached_mode"})
# What is said of the image that a volume was made from, and is true only in its cloud, or only of its first bytes
OF_THE_IMAGE = frozenset(
    {"image_id", "checksum", "size", "signature_verified", "os_hash_algo", "os_hash_value", *OF_ITS_CLOUD}
)


class CinderLooseVolumes(Part):
    def volumes(self) -> list[Machine]:
        """Return the loose volumes by name. What was made only to read something, and what is being deleted, is left
        out."""
        with explained("list volumes"):
            listed = list(self._connection.block_storage.volumes(details=True))
        found = [machine_of_volume(volume) for volume in listed if _is_loose(volume)]
        return sorted(found, key=lambda machine: (machine.name, machine.ref))

    def volume(self, name_or_id: str) -> Machine:
        """Find a volume by its reference, id or name. Raises NotFound, or Conflict when a server has it or the word
        fits several."""
        if name_or_id.startswith(VOLUME):
            return self.by_reference(name_or_id)
        with explained(f"look up volume {name_or_id}"):
            listed = list(self._connection.block_storage.volumes(details=True))
        return _described(only(listed, name_or_id, "volume", _LISTED))

    def by_reference(self, ref: str) -> Machine:
        """Return the volume of a reference. Raises NotFound, or Conflict when a server has it."""
        return _described(
            needed(self._connection.block_storage.get_volume, ref.removeprefix(VOLUME), "volume", _LISTED)
        )


def _described(volume: Any) -> Machine:
    """Describe a volume. Raises Conflict when a server has it."""
    if servers := [a["server_id"] for a in volume.attachments or () if a.get("server_id")]:
        raise Conflict(
            f"Volume {volume.name or volume.id} is attached to server {', '.join(servers)}.",
            advice="Move that server: its volumes go with it. Or detach the volume.",
            code="volume-attached",
        )
    return machine_of_volume(volume)


def machine_of_volume(volume: Any) -> Machine:
    name = volume.name or volume.id
    metadata = volume.metadata or {}
    disk = Disk(
        key=volume.id,
        label=f"volume {name}",
        position=0,
        size=volume.size * GIB,
        location=volume.id,
        storage=volume.volume_type or "",
        name=volume.name or "",
        image_properties={
            key: str(value)
            for key, value in (volume.volume_image_metadata or {}).items()
            if key not in OF_THE_IMAGE and value is not None
        },
        encrypted=bool(volume.is_encrypted),
    )
    return Machine(
        ref=f"{VOLUME}{volume.id}",
        name=name,
        power=PowerState.OFF,
        cpus=0,
        memory_mib=0,
        disks=(disk,),
        nics=(),
        platform=PLATFORM,
        annotation=volume.description or "",
        server_settings=ServerSettings(
            availability_zone=volume.availability_zone or None,
            metadata={k: v for k, v in metadata.items() if k not in _CINDERS and not k.startswith("longshore:")},
        ),
        loose_volume=LooseVolume(
            status=str(volume.status),
            bootable=str(volume.is_bootable).lower() == "true",
            read_only=metadata.get("readonly", "").lower() == "true",
        ),
    )


def _is_loose(volume: Any) -> bool:
    return not volume.attachments and volume.status != "deleting" and not ownership.is_passing(volume.metadata)
