"""The seed of a replica's volumes before its first sync: a point of its machine in a vault, which is written to them.

That is copied as a restore of it would be, and read back. The first sync then copies what differs: where the source can
tell what has changed since the point's moment, that alone is read of it; else all of it, and compared with the digests
of what was written.
"""

from dataclasses import dataclass

from longshore.errors import Cancelled, LongshoreError, NotFound
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.copying import Copied, DiskBase, DiskCopy
from longshore.model.machine import Disk, Machine, Snapshot
from longshore.model.replica import Seed
from longshore.model.target import Owner, Volume
from longshore.vault.points import Point, read_point


@dataclass(frozen=True, slots=True)
class SeedPoint:
    vault_id: str
    snapshot: Snapshot  # the point, as a vault hands it out
    change_ids: dict[str, str | None]  # of the disks that fit, by key: the source's own mark of the point's moment


def fitting(point: Point, machine: Machine) -> dict[str, str | None]:
    """Return by key the change ids of those of the machine's disks that the point has in the same size."""
    ids = point.change_ids(machine.ref, machine.source_uuid)
    sizes = {key: top.size for key, top in point.disks.items()}
    return {disk.key: ids.get(disk.key) for disk in machine.disks if sizes.get(disk.key) == disk.size}


def find_seed(job: MoveContext, seed: Seed, machine: Machine) -> SeedPoint:
    """Return the point to seed from. Raise NotFound when it has gone, or no disk fits any more, Damaged when it can't
    be read."""
    job.raise_if_cancelled()
    vault_name = job.store.providers.get(seed.vault_id).name
    with job.clouds.vault(seed.vault_id, "read") as vault:
        point = read_point(vault, seed.point)
    ids = fitting(point, machine)
    if not ids:
        raise NotFound(f"No disk of {machine.name} is in the point {seed.point} in its size.")
    with job.clouds.source(seed.vault_id) as source:
        snapshot = source.snapshot(seed.point, seed.point, Owner(job.id, "seed"), quiesce=False)
    what = f"{len(ids)} of {len(machine.disks)} disk(s)" if len(ids) < len(machine.disks) else f"{len(ids)} disk(s)"
    job.phase(
        "seeding",
        f"Writing {what} as of {point.moment:%Y-%m-%d %H:%M:%S} UTC from the vault {vault_name}. "
        "The first sync then copies what differs.",
    )
    return SeedPoint(seed.vault_id, snapshot, ids)


async def write_seed(job: MoveContext, found: SeedPoint, disk: Disk, volume: Volume) -> Copied:
    """Write one disk from the point. A second run goes on from a checkpoint."""
    copy = DiskCopy(
        job=job,
        disk=disk,
        snapshot=found.snapshot,
        volume=volume,
        name="seed",
        verify=job.request.verify,
        vault_id=found.vault_id,
    )
    try:
        return await copy.run()
    except LongshoreError as error:
        if error.code == Cancelled.code:
            raise
        raise LongshoreError(
            f"{disk.label} couldn't be written from the point {found.snapshot.machine_ref}: {error.message}",
            advice=error.advice or "Verify the vault, or name another point.",
            code=error.code,
        ) from error


def base_of(found: SeedPoint, copy: Copied) -> DiskBase:
    return DiskBase(found.change_ids[copy.disk_key], copy.manifest, copy.root_digest)
