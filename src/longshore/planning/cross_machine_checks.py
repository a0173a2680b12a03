"""Concerns that only show when the machines of a plan are seen together: one of them twice, datastores too full."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from longshore.model.concern import Concern
from longshore.model.inventory import Inventory
from longshore.model.machine import PowerState
from longshore.model.request import MigrationType
from longshore.planning.kinds import blocker, warning
from longshore.planning.landing import LandingDecision, several
from longshore.planning.source_quota import Mover

SNAPSHOT_SHARE = 10  # percent of a running machine's disks that its snapshot may grow to, as a rule of thumb
SNAPSHOT_LEAST = 1 << 30  # bytes

MACHINE_TWICE = blocker(
    "machine-twice", "The plan has a machine, or a volume, twice.", "Remove one of the two entries."
)
DISK_OF_SEVERAL = warning(
    "disk-of-several",
    "Machines of the plan have one disk in common: each gets a copy of its own, and what one writes the others don't "
    "see any more.",
    "Leave it to one of them, or give them storage that they can share.",
)
DATASTORE_INACCESSIBLE = blocker(
    "datastore-inaccessible", "A datastore with disks of the plan isn't accessible.", "Repair it at the source."
)
DATASTORE_FULL = blocker(
    "datastore-full",
    "A datastore has less than 1 GiB left: it may not even take the snapshots that are copied from, and machines on a "
    "full datastore stop.",
    "Free some space there, or accept this, if it will be freed before the machines move.",
    acceptable=True,
)
DATASTORE_NEARLY_FULL = warning(
    "datastore-nearly-full",
    "A datastore may be too full for the snapshots of machines that run while they are copied: less than a tenth of "
    "their disks is free.",
    "Free some space there, or move fewer machines at once.",
)


def twice(movers: Sequence[Mover]) -> Iterator[Concern]:
    """Yield machines, or volumes, that several entries mean."""
    for _, names in several((mover.machine.ref, mover.machine.name) for mover in movers):
        yield MACHINE_TWICE(names[0], f"{names[0]} is in the plan {len(names)} times.")


def shared_disks(movers: Sequence[Mover]) -> Iterator[Concern]:
    """Yield disks that several of the machines have, of those that are files on a datastore."""
    machines = {mover.machine.ref: mover.machine for mover in movers}.values()
    places = (
        ((disk.storage_ref, disk.location), one.name) for one in machines for disk in one.disks if disk.storage_ref
    )
    for (_, location), names in several(places):
        yield DISK_OF_SEVERAL(location, f"{location} is a disk of several machines: {', '.join(names)}.")


def storage_concerns(
    decisions: Sequence[LandingDecision], inventory: Inventory, at_once: int | None
) -> Iterator[Concern]:
    """Yield concerns about the source's datastores that hold disks of these machines, `at_once` of which move at a time
    (None: all)."""
    running: dict[tuple[str, str], list[int]] = defaultdict(list)  # bytes of each machine that runs while it is copied
    used: set[tuple[str, str]] = set()
    for decision in decisions:
        machine = decision.machine
        written = machine.power is PowerState.ON and decision.request.type is not MigrationType.COLD
        for storage in {disk.storage for disk in machine.disks}:
            used.add((machine.datacenter, storage))
            size = sum(disk.size for disk in machine.disks if disk.storage == storage)
            running[machine.datacenter, storage].append(size if written else 0)
    for store in inventory.datastores:
        place = (store.datacenter, store.name)
        if place not in used:
            continue
        may_grow = sum(sorted(running[place], reverse=True)[:at_once]) * SNAPSHOT_SHARE // 100
        if not store.accessible:
            yield DATASTORE_INACCESSIBLE(store.name, f"Datastore {store.name} isn't accessible.")
        elif store.free < SNAPSHOT_LEAST:
            yield DATASTORE_FULL(store.name, f"Datastore {store.name} has only {store.free >> 20} MiB left.")
        elif store.free < may_grow:
            yield DATASTORE_NEARLY_FULL(
                store.name,
                f"Datastore {store.name} has {store.free >> 30} GiB left; snapshots of machines that run while they "
                f"are copied may need {may_grow >> 30}.",
            )
