"""Cinder volumes and their snapshots: made once per owner, found again, reverted, deleted."""

from collections.abc import Mapping, Sequence
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict, InvalidInput, ProviderError
from longshore.model.target import (
    DISK_BUS,
    Marked,
    MarkedSnapshot,
    MarkedVolume,
    Owner,
    Present,
    Volume,
    VolumeRequest,
    VolumeSnapshot,
)
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import Part, by_id, present
from longshore.providers.openstack.waiting import wait_for

GIB = 1 << 30
NAME_LIMIT = 255  # characters, Cinder's

# Seconds. Some back ends copy or wipe a whole volume to make, revert or delete it.
CREATE_TIMEOUT = 600.0
CHANGE_TIMEOUT = 1800.0

_HARDWARE = ("hw_", "os_secure_boot")  # image properties that choose a server's hardware
# States from which nothing comes back; an error that came later (error_extending, …) isn't one of them
_USELESS = ("error", "error_deleting", "deleting")


class CinderVolumes(Part):
    def create_volume(self, request: VolumeRequest, owner: Owner, *, timeout: float = CREATE_TIMEOUT) -> Volume:
        """Make a volume, within so many seconds."""
        if request.size <= 0:
            raise InvalidInput(f"Volume {request.name} can't have a size of {request.size} bytes.")
        found = self._volume_of(owner)
        if found is not None and found.status in _USELESS:
            self.delete_volume(found.id)  # of an earlier run; nothing was ever written to it
            found = None
        with explained(f"create volume {request.name}"):
            if found is None:
                found = self._connection.block_storage.create_volume(
                    name=request.name[:NAME_LIMIT],
                    size=-(-request.size // GIB),
                    volume_type=request.volume_type,
                    availability_zone=request.availability_zone,
                    image_id=request.image_id,
                    snapshot_id=request.snapshot_id,
                    description=request.description,
                    metadata=ownership.metadata(owner),
                )
            try:
                volume = self._wait_until_settled(found.id, f"Creating volume {request.name}", timeout)
            except _Failed as failure:
                self.delete_volume(found.id)
                raise ProviderError(
                    f"The cloud couldn't create volume {request.name} "
                    f"({-(-request.size // GIB)} GiB, type {request.volume_type or 'default'}): {failure.reason}",
                    advice="Check the free space and the back end of that volume type.",
                ) from None
        return _volume(volume)

    def find_volume(self, owner: Owner) -> Volume | None:
        found = self._volume_of(owner)
        return None if found is None else _volume(found)

    def _volume_of(self, owner: Owner) -> Any | None:
        with explained(f"look for the volume of {owner.tag}"):
            # Cinder filters by metadata too, unless an operator took that filter away: so look again here
            listed = self._connection.block_storage.volumes(properties=str(ownership.metadata(owner)))
            return next((found for found in listed if ownership.belongs_to(found.metadata, owner)), None)

    def has_volume(self, volume_id: str) -> bool:
        return by_id(self._connection.block_storage.get_volume, volume_id, "volume") is not None

    def finish_volume(self, volume_id: str, request: VolumeRequest) -> None:
        """Set the bootable flag and image properties, for servers made from then on, metadata and the read-only flag.

        Of the properties that choose a server's hardware, and of a bus of its own, those not asked for are taken
        away: a converted guest mustn't stay on the hardware it landed on as it was.
        """
        with explained(f"set bootable flag and image properties of volume {request.name}"):
            self._connection.block_storage.set_volume_bootable_status(volume_id, request.bootable)
            volume = self._connection.block_storage.get_volume(volume_id)
            present = volume.volume_image_metadata or {}
            stale = [name for name in present if name.startswith(_HARDWARE) and name not in request.image_properties]
            if stale:
                self._connection.block_storage.delete_volume_image_metadata(volume_id, stale)
            if request.image_properties:
                self._connection.block_storage.set_volume_image_metadata(volume_id, **request.image_properties)
            if DISK_BUS in (volume.metadata or {}) and DISK_BUS not in request.metadata:
                self._connection.block_storage.delete_volume_metadata(volume_id, [DISK_BUS])
            if request.metadata:
                self._connection.block_storage.set_volume_metadata(volume_id, **request.metadata)
            if request.read_only:
                self._connection.block_storage.set_volume_readonly(volume_id, True)

    def present_volumes(self) -> list[Present]:
        with explained("list volumes"):
            return present(self._connection.block_storage.volumes(details=True))

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume, which must be detached. Raises Conflict when snapshots or servers still hold it."""
        with explained(f"delete volume {volume_id}"):
            try:
                status = self._connection.block_storage.get_volume(volume_id).status
                if status != "deleting":
                    self._connection.block_storage.delete_volume(volume_id)
            except sdk.NotFoundException:
                return
            except sdk.BadRequestException as error:
                raise Conflict(
                    f"Volume {volume_id} can't be deleted: {error.details}",
                    advice="Delete its snapshots, and detach it from its server, first.",
                ) from None

            def gone() -> bool | None:
                volume = by_id(self._connection.block_storage.get_volume, volume_id, "volume")
                if volume is not None and volume.status.startswith("error"):
                    raise ProviderError(f"The cloud couldn't delete volume {volume_id}: {self._reason(volume_id)}")
                return volume is None or None

            wait_for(gone, what=f"Deleting volume {volume_id}", timeout=CHANGE_TIMEOUT)

    # Snapshots

    def snapshot_volume(self, volume_id: str, owner: Owner, notes: Mapping[str, str] | None = None) -> VolumeSnapshot:
        """Take a snapshot, also of a volume that a server uses. `notes` become metadata beside the owner's mark."""
        found = self._snapshot_of(owner)
        if found is not None and found.status in _USELESS:
            self.delete_volume_snapshot(found.id)
            found = None
        with explained(f"snapshot volume {volume_id}"):
            if found is None:
                found = self._connection.block_storage.create_snapshot(
                    volume_id=volume_id,
                    name=f"longshore {owner.tag}"[:NAME_LIMIT],
                    metadata={**(notes or {}), **ownership.metadata(owner)},
                    is_forced=True,  # also while it is attached; from microversion 3.66 on that needs no word
                )

            def ready() -> Any | None:
                snapshot = self._connection.block_storage.get_snapshot(found.id)
                if snapshot.status.startswith("error"):
                    reason = self._reason(found.id)
                    self.delete_volume_snapshot(found.id)
                    raise ProviderError(f"The cloud couldn't snapshot volume {volume_id}: {reason}")
                return snapshot if snapshot.status == "available" else None

            return _snapshot(wait_for(ready, what=f"Snapshot of volume {volume_id}", timeout=CHANGE_TIMEOUT))

    def find_volume_snapshot(self, owner: Owner) -> VolumeSnapshot | None:
        found = self._snapshot_of(owner)
        return None if found is None else _snapshot(found)

    def _snapshot_of(self, owner: Owner) -> Any | None:
        with explained(f"look for the volume snapshot of {owner.tag}"):
            listed = self._connection.block_storage.snapshots()
            return next((found for found in listed if ownership.belongs_to(found.metadata, owner)), None)

    def marked(self, key: str) -> Marked:
        """Cinder filters by key and value together, so all of the project's are looked at."""
        with explained("list volumes and their snapshots"):
            volumes = [
                MarkedVolume(found.id, found.size * GIB, dict(found.metadata))
                for found in self._connection.block_storage.volumes(details=True)
                if key in (found.metadata or {})
            ]
            snapshots = [
                MarkedSnapshot(
                    found.id, found.volume_id, found.size * GIB, found.status == "available", dict(found.metadata)
                )
                for found in self._connection.block_storage.snapshots(details=True)
                if key in (found.metadata or {})
            ]
            return Marked(tuple(volumes), tuple(snapshots))

    def snapshots_of(self, volume_ids: Sequence[str]) -> frozenset[str]:
        """Return the usable snapshots. One that Cinder is busy with is there; one that it calls broken, or is deleting,
        isn't."""
        with explained("list the snapshots of volumes"):
            return frozenset(
                found.id
                for volume_id in volume_ids
                for found in self._connection.block_storage.snapshots(details=True, volume_id=volume_id)
                if found.volume_id == volume_id and found.status not in _USELESS
            )

    def revert_volume(self, volume_id: str, snapshot_id: str) -> None:
        """Revert the volume to its latest snapshot; Cinder reverts to no other. The volume must be detached."""
        with explained(f"revert volume {volume_id} to snapshot {snapshot_id}"):
            try:
                # An earlier run may have been ended while Cinder was still at it
                self._wait_until_settled(volume_id, f"Waiting for volume {volume_id}", CHANGE_TIMEOUT)
                self._connection.block_storage.revert_volume_to_snapshot(volume_id, snapshot_id)
                self._wait_until_settled(volume_id, f"Reverting volume {volume_id}", CHANGE_TIMEOUT)
            except _Failed as failure:
                raise ProviderError(f"The cloud couldn't revert volume {volume_id}: {failure.reason}") from None

    def delete_volume_snapshot(self, snapshot_id: str) -> None:
        """Returns when it is gone. Raises Conflict when a volume made from it keeps it alive."""
        with explained(f"delete snapshot {snapshot_id}"):
            self._connection.block_storage.delete_snapshot(snapshot_id, ignore_missing=True)

            def gone() -> bool | None:
                found = by_id(self._connection.block_storage.get_snapshot, snapshot_id, "snapshot")
                if found is None:
                    return True
                if found.status == "available":  # Cinder tries, fails, and says nothing
                    raise Conflict(
                        f"Snapshot {snapshot_id} can't be deleted: a volume made from it depends on it.",
                        advice="Delete that volume first.",
                    )
                if found.status.startswith("error"):
                    raise ProviderError(
                        f"The cloud couldn't delete snapshot {snapshot_id}: {self._reason(snapshot_id)}"
                    )
                return None

            wait_for(gone, what=f"Deleting snapshot {snapshot_id}", timeout=CHANGE_TIMEOUT)

    def _wait_until_settled(self, volume_id: str, what: str, timeout: float) -> Any:
        def settled() -> Any | None:
            volume = self._connection.block_storage.get_volume(volume_id)
            if volume.status.startswith("error"):
                raise _Failed(self._reason(volume_id))
            return volume if volume.status in ("available", "in-use", "reserved") else None

        return wait_for(settled, what=what, timeout=timeout)

    def _reason(self, resource_id: str) -> str:
        """Return why it went wrong: Cinder's user messages (microversion 3.5 on) are all that a tenant is told."""
        response = self._connection.block_storage.get(
            "/messages", params={"resource_uuid": resource_id, "sort": "created_at:desc"}, microversion="3.5"
        )
        messages = response.json().get("messages", []) if response.ok else []
        if not messages:
            return "Cinder gives no reason."
        said = " ".join(str(messages[0]["user_message"]).split())
        return said if said.endswith(".") else f"{said}."


def wait_until_free(connection: Any, volume_id: str) -> None:
    """Wait until the volume is available again, or gone: after a detach, or after its server was deleted."""

    def free() -> bool | None:
        volume = by_id(connection.block_storage.get_volume, volume_id, "volume")
        return volume is None or volume.status == "available" or volume.status.startswith("error") or None

    wait_for(free, what=f"Detaching volume {volume_id}", timeout=CREATE_TIMEOUT)


class _Failed(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _volume(found: Any) -> Volume:
    return Volume(id=found.id, name=found.name, size=found.size * GIB)


def _snapshot(found: Any) -> VolumeSnapshot:
    return VolumeSnapshot(id=found.id, volume_id=found.volume_id)
