"""Consistent points of a server: a snapshot of each of its volumes, all of one moment where Nova can bring that about.

Cinder knows no snapshot of several volumes at once on Ceph (a group of them is accepted, and taken one after another).
Nova's createImage freezes a guest that answers and then snapshots all volumes; the image that it makes of them is empty
and is deleted again, its snapshots stay. A root disk that is no volume comes as an image, and a volume of that.

Everything carries the owner's mark with the disk's key behind it. What an earlier run left unfinished is removed and
made anew: a moment can't be finished later.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict, LongshoreError, ProviderError
from longshore.model.machine import VOLUME, Disk, Machine, PowerState, Snapshot, SnapshotDisk
from longshore.model.strict_reading import read_json
from longshore.model.target import Owner, VolumeRequest
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.machines import GIB, ROOT
from longshore.providers.openstack.project import Project
from longshore.providers.openstack.server_images import ask_for, images_of, snapshot_name
from longshore.providers.openstack.volumes import CinderVolumes
from longshore.providers.openstack.waiting import wait_for

IMAGE_TIMEOUT = 4 * 3600.0  # seconds; a compute node uploads a root disk of hundreds of GiB over the network
SNAPSHOT_TIMEOUT = 1800.0
VOLUME_TIMEOUT = 4 * 3600.0  # from an image, on storage that can't clone it

_GONE = 404
_MOMENT = "longshore:moment"  # in a snapshot's metadata: whether it is of the same moment as the machine's others
_FROZEN, _SAME, _OWN = "frozen", "same", "own"


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The pieces that there are of one consistent point. Snapshots by their volume's id."""

    snapshots: dict[str, list[Any]] = field(default_factory=dict)
    images: list[Any] = field(default_factory=list)
    volumes: list[Any] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.snapshots or self.images or self.volumes)


class CinderSnapshots(Project):
    @abstractmethod
    def by_reference(self, ref: str) -> Machine:
        """Return the machine, or the loose volume, that is to be snapshotted."""

    def snapshot(self, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
        """Take a consistent point. Raises NotFound, Conflict (code quiesce-failed), QuotaExceeded.

        Its parts are named after their owner: the name is for clouds that show one snapshot as one thing.
        """
        machine = self.by_reference(machine_ref)
        there = self._pieces(owner)
        if whole := _whole(machine, owner, there):
            return whole
        if there:
            self._remove_pieces(there)
        running = machine.power is PowerState.ON
        if running and quiesce and not machine.freezes:
            raise Conflict(
                f"{machine.name} can't be frozen: Nova freezes only servers that boot from a volume whose image "
                "properties say hw_qemu_guest_agent=yes and os_require_quiesce=yes.",
                advice="Set them, with the agent running in the guest, or do without --quiesce.",
                code="quiesce-failed",
            )
        if not (running and machine.freezes and self._frozen(machine, owner, required=quiesce)):
            self._one_by_one(machine, owner, _SAME if not running or len(machine.disks) == 1 else _OWN)
        taken = _whole(machine, owner, self._pieces(owner))
        if taken is None:
            raise ProviderError(
                f"The snapshots of {machine.name} have been taken, but not all of them are there.",
                advice="Did somebody remove one, or attach a volume meanwhile?",
            )
        return taken

    def find_snapshot(self, machine_ref: str, owner: Owner) -> Snapshot | None:
        """Find the snapshot of this owner, also one that isn't whole, with the disks that it has."""
        there = self._pieces(owner)
        return Snapshot(owner.tag, machine_ref, owner.tag, tuple(_disks(there))) if there else None

    def remove_snapshot(self, machine_ref: str, snapshot_ref: str) -> None:
        """Remove a snapshot. Raises Conflict when something was made of it that keeps it alive."""
        if machine_ref.startswith(VOLUME):
            self._attachments.end_looks(machine_ref.removeprefix(VOLUME))
        self._remove_pieces(self._pieces(owner_of(snapshot_ref)))

    # Taking

    def _one_by_one(self, machine: Machine, owner: Owner, moment: str) -> None:
        """Take the snapshots all at once, as far as Cinder does that."""

        def one(disk: Disk) -> None:
            if disk.key == ROOT:
                self._root(machine, disk, owner)
            else:
                CinderVolumes(self._connection).snapshot_volume(disk.key, _of_disk(owner, disk.key), {_MOMENT: moment})

        with ThreadPoolExecutor(max_workers=max(len(machine.disks), 1)) as pool:
            errors = [future.exception() for future in [pool.submit(one, disk) for disk in machine.disks]]
        for error in filter(None, errors):
            raise error

    def _frozen(self, machine: Machine, owner: Owner, *, required: bool) -> bool:
        """Have Nova freeze the guest for an image. Returns False when it couldn't, or raises Conflict where that is
        `required`; nothing of the try is left then."""
        try:
            with explained(f"freeze {machine.name}"):
                image_id = self._create_image(machine, owner)
                image = self._wait_for_image(image_id, machine)
                mappings = read_json(image.get("block_device_mapping") or "[]")
                for snapshot_id in filter(None, (mapping.get("snapshot_id") for mapping in mappings)):
                    self._mark(str(snapshot_id), owner)  # ephemeral disks and swap have none
                self._connection.image.delete_image(image_id, ignore_missing=True)
        except LongshoreError as failure:
            self._remove_pieces(self._pieces(owner))
            if required:
                raise Conflict(
                    f"{machine.name} couldn't be frozen: {failure.message}",
                    advice="Is qemu-guest-agent running in it?",
                    code="quiesce-failed",
                ) from None
            return False
        return True

    def _mark(self, snapshot_id: str, owner: Owner) -> None:
        def ready() -> Any | None:
            snapshot = self._connection.block_storage.get_snapshot(snapshot_id)
            if snapshot.status.startswith("error"):
                raise ProviderError(f"Snapshot {snapshot_id} ended in state {snapshot.status}.")
            return snapshot if snapshot.status == "available" else None

        snapshot = wait_for(ready, what=f"Snapshot {snapshot_id}", timeout=SNAPSHOT_TIMEOUT)
        mark = {**ownership.metadata(_of_disk(owner, snapshot.volume_id)), _MOMENT: _FROZEN}
        self._connection.block_storage.set_snapshot_metadata(snapshot_id, **mark)

    def _root(self, machine: Machine, disk: Disk, owner: Owner) -> None:
        """Make an image of the root disk, and a volume of that: only volumes can be read."""
        with explained(f"make an image of the root disk of {machine.name}"):
            image = self._wait_for_image(self._create_image(machine, owner), machine)
        size = max(disk.size, int(image.get("min_disk") or 0) * GIB)
        request = VolumeRequest(f"longshore {owner.tag}", size, None, image_id=image["id"])
        CinderVolumes(self._connection).create_volume(request, _of_disk(owner, ROOT), timeout=VOLUME_TIMEOUT)

    def _create_image(self, machine: Machine, owner: Owner) -> str:
        answer = ask_for(self._connection, machine.ref, owner)
        sdk.raise_from_response(answer)
        return str(answer.json()["image_id"])

    def _wait_for_image(self, image_id: str, machine: Machine) -> Mapping[str, Any]:
        """Wait for an image, and return it as Glance describes it."""

        def active() -> Mapping[str, Any] | None:
            answer = self._connection.image.get(f"/images/{image_id}")
            if answer.status_code == _GONE:  # which Nova does with one that it can't fill
                raise ProviderError(
                    f"Nova couldn't make the image of {machine.name}, and has removed it.",
                    advice=f"Look why: openstack server event list {machine.ref}; often Glance has refused it, for its "
                    "size, a quota or its format.",
                )
            sdk.raise_from_response(answer)
            image: Mapping[str, Any] = answer.json()
            if image["status"] in ("killed", "deleted", "pending_delete"):
                raise ProviderError(f"The image of {machine.name} ended in state {image['status']}.")
            return image if image["status"] == "active" else None

        return wait_for(active, what=f"Making an image of {machine.name}", timeout=IMAGE_TIMEOUT)

    # What is there

    def _pieces(self, owner: Owner) -> _Pieces:
        """Find the pieces by the mark; the snapshots that Nova makes carry it a moment later, and their image's name
        before."""
        storage = self._connection.block_storage
        named = snapshot_name(owner)
        with explained(f"look for the snapshots of {owner.tag}"), ThreadPoolExecutor(max_workers=3) as pool:
            asked = pool.submit(lambda: list(storage.snapshots()))
            volumes = pool.submit(lambda: [found for found in storage.volumes() if _is_of(found.metadata, owner)])
            images = pool.submit(images_of, self._connection, owner)
            snapshots: dict[str, list[Any]] = {}
            for found in asked.result():
                if _is_of(found.metadata, owner) or found.name == named:
                    snapshots.setdefault(found.volume_id, []).append(found)
            return _Pieces(snapshots, images.result(), volumes.result())

    def _remove_pieces(self, pieces: _Pieces) -> None:
        for volume in pieces.volumes:
            self._attachments.release(volume.id)
            CinderVolumes(self._connection).delete_volume(volume.id)
        for image in pieces.images:  # after its volume, which may be a clone of it
            with explained(f"delete image {image.name}"):
                self._connection.image.delete_image(image.id, ignore_missing=True)
        for snapshot in (one for several in pieces.snapshots.values() for one in several):
            CinderVolumes(self._connection).delete_volume_snapshot(snapshot.id)


def owner_of(snapshot_ref: str) -> Owner:
    """A snapshot's reference is its owner's mark."""
    workflow, _, step = snapshot_ref.partition("/")
    return Owner(workflow, step)


def _of_disk(owner: Owner, key: str) -> Owner:
    return Owner(owner.workflow, f"{owner.step}/{key}")


def _is_of(metadata: Mapping[str, str] | None, owner: Owner) -> bool:
    return (metadata or {}).get(ownership.KEY, "").startswith(f"{owner.tag}/")


def _whole(machine: Machine, owner: Owner, pieces: _Pieces) -> Snapshot | None:
    """Return the consistent point, if every disk of the machine has its piece and each piece is ready and marked."""
    found = {disk.key: disk for disk in _disks(pieces)}
    loose = any(
        one.name == snapshot_name(owner) and not _is_of(one.metadata, owner)
        for one in (one for several in pieces.snapshots.values() for one in several)
    )
    if loose or found.keys() != {disk.key for disk in machine.disks}:
        return None
    moments = {one.metadata.get(_MOMENT) for several in pieces.snapshots.values() for one in several}
    return Snapshot(
        ref=owner.tag,
        machine_ref=machine.ref,
        name=owner.tag,
        disks=tuple(found[disk.key] for disk in machine.disks),
        quiesced=_FROZEN in moments,
        one_moment=_OWN not in moments,
        is_base=any(disk.change_id for disk in found.values()),
    )


def _disks(pieces: _Pieces) -> Iterator[SnapshotDisk]:
    for volume_id, (snapshot, *more) in pieces.snapshots.items():
        if not more and snapshot.status == "available":
            location = f"{volume_id}@{snapshot.id}"
            yield SnapshotDisk(volume_id, location, snapshot.size * GIB, change_id=snapshot.id)
    for volume in pieces.volumes:
        if not volume.metadata[ownership.KEY].endswith(f"/{ROOT}"):
            continue  # made to read a snapshot, by a process that was killed
        if volume.status in ("available", "in-use", "reserved", "attaching", "detaching"):
            yield SnapshotDisk(ROOT, volume.id, volume.size * GIB, change_id=None)
