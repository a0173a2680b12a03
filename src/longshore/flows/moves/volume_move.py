"""A volume that no machine has is copied: nothing is shut down, nothing boots.

    prepare → volume → snapshot → copy and verify → drop the snapshot → finish → hand over

What is copied is a snapshot, so it is of one moment. The volume must be without a machine from beginning to end: what a
machine that got it meanwhile has written would not be in the copy. The copy is marked as that of its source when all of
it is there and verified, never before: the mark is how a second run knows that nothing is left to do.
"""

from dataclasses import dataclass
from typing import Any

from longshore.flows.facts import gather_for_volume
from longshore.flows.moves.migration import CopyTotals, Migration, figures_of
from longshore.flows.moves.source_side import drop_if_possible, take_snapshot
from longshore.flows.moves.target_side import make_requested_volume
from longshore.model.machine import Machine
from longshore.model.target import SOURCE, Owner, Volume, VolumeRequest
from longshore.planning import VolumeLanding, blocked, land_volume
from longshore.store import EntryState, ThingKind


@dataclass(frozen=True, slots=True)
class PreparedVolume:
    volume: Machine  # as it was before anything was done, a machine of this one disk
    landing: VolumeLanding


class VolumeMove(Migration):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        await job.step("start", self._start)
        prepared = await job.step("prepare", self._look)
        volume = await job.step("volume", self._make, prepared)
        await job.step("moment", job.phase, "snapshot", "Taking a snapshot of the volume.")
        snapshot = await job.step("snapshot", take_snapshot, job, "snapshot", prepared.volume.disks, quiesce=False)
        await job.step("copying", job.phase, "copying", "Copying the volume.")
        copies = await self._copy("copy", prepared.volume.disks, snapshot, [volume])
        await job.step("drop-snapshot", drop_if_possible, job, "snapshot", snapshot)
        await job.step("finish", self._finish, prepared, volume)
        return {"volume_id": volume.id, "volume_name": volume.name, **figures_of(CopyTotals().plus(copies), copies)}

    def _look(self) -> PreparedVolume:
        job = self._job
        job.begin_phase("preparing", f"Looking at volume {job.record.machine_name} and at what the target has.")
        with job.clouds.source(job.record.source_id) as source:
            volume = source.by_reference(job.record.machine_ref)
            room = source.room()
        with job.clouds.target(job.record.target_id) as target:
            landing, concerns = land_volume(volume, job.request, gather_for_volume(target, room))
        job.tell_concerns(concerns)
        if landing is None:
            raise blocked(concerns)
        job.store.disks.keep(job.id, volume.disks)
        with job.clouds.source(job.record.source_id) as source:
            source.make_ready(Owner(job.id, "read"), volume.ref)
        return PreparedVolume(volume, landing)

    def _make(self, prepared: PreparedVolume) -> Volume:
        job = self._job
        (disk,) = prepared.volume.disks
        job.phase("making-volumes", "Making the volume on the target.")
        return make_requested_volume(job, disk, self._wanted(prepared))

    def _wanted(self, prepared: PreparedVolume) -> VolumeRequest:
        volume = prepared.volume
        (disk,) = volume.disks
        asked = self._job.request.volume
        described = volume.annotation if asked.description is None else asked.description
        return VolumeRequest(
            name=asked.name or disk.name,
            size=disk.size,
            volume_type=prepared.landing.volume_type,
            bootable=volume.loose_volume.bootable,
            availability_zone=prepared.landing.zone,
            image_properties=disk.image_properties if asked.image_properties is None else asked.image_properties,
            description=described or None,
            metadata={**volume.server_settings.metadata, SOURCE: volume.ref},
            read_only=volume.loose_volume.read_only,
        )

    def _finish(self, prepared: PreparedVolume, volume: Volume) -> None:
        """Give the copy what the original has. Raise Conflict when the original has got a machine since."""
        job = self._job
        job.begin_phase(
            "finishing", "Giving the volume what the original has: metadata, image properties, bootable or not."
        )
        with job.clouds.source(job.record.source_id) as source:
            source.by_reference(prepared.volume.ref)
        with job.clouds.target(job.record.target_id) as target:
            target.finish_volume(volume.id, self._wanted(prepared))

    def _hand_over(self, result: dict[str, Any]) -> None:
        """Hand the volume over to the user, and end the job."""
        job = self._job
        job.settle(ThingKind.VOLUME, EntryState.HANDED_OVER)
        self._remove_made()
        self._done(result)
