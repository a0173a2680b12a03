"""Concerns that only show when the machines of a plan are seen together: a name, MAC or address twice, datastores too
full."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from longshore.border.texts import some
from longshore.model.concern import Concern
from longshore.model.inventory import Inventory
from longshore.model.machine import PowerState
from longshore.model.request import MigrationType
from longshore.planning.kinds import blocker, warning
from longshore.planning.landing import LandingDecision
from longshore.planning.source_quota import Mover

_NAMED = 5  # in a sentence
K = TypeVar("K")
SNAPSHOT_SHARE = 10  # percent of a running machine's disks that its snapshot may grow to, as a rule of thumb
SNAPSHOT_LEAST = 1 << 30  # bytes

MACHINE_TWICE = blocker(
    "machine-twice", "The plan has a machine, or a volume, twice.", "Remove one of the two entries."
)
DUPLICATE_NAME = warning(
    "duplicate-name",
    "Several servers of the plan are to have the same name. The target allows it, but people confuse them.",
    "Give them names of their own (--name).",
)
DUPLICATE_MAC = blocker(
    "duplicate-mac",
    "Adapters of several machines have the same MAC and are mapped to one network: the target refuses the second.",
    "Map them to different networks, or change one at the source.",
)
DUPLICATE_ADDRESS = blocker(
    "duplicate-address",
    "Guests of several machines have the same address and are mapped to one network: the target refuses the second.",
    "Map them to different networks, or change one in the guest.",
)
DUPLICATE_PORT = blocker("duplicate-port", "A port is named for several adapters.", "Name one for each.")
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
    for _, names in _several((mover.machine.ref, mover.machine.name) for mover in movers):
        yield MACHINE_TWICE(names[0], f"{names[0]} is in the plan {len(names)} times.")


def duplicates(decisions: Sequence[LandingDecision]) -> Iterator[Concern]:
    """Yield names and addresses that come twice. What dry runs make is gone before it could be in the way, so it
    doesn't count."""
    once = {decision.machine.ref: decision for decision in decisions}.values()
    moved = [decision for decision in once if decision.request.type is not MigrationType.DRY_RUN]
    called = ((d.request.server_name or d.machine.name, f"{d.machine.name} ({d.machine.ref})") for d in moved)
    for name, names in _several(called):
        yield DUPLICATE_NAME(name, f'Several servers are to be called "{name}": {some(names, _NAMED)}.')
    nics = [(decision.machine.name, nic) for decision in moved for nic in decision.nics]
    made = [(name, nic) for name, nic in nics if nic.port_id is None]
    for (_, mac), names in _several(((nic.network_id, nic.mac), name) for name, nic in made if nic.mac):
        yield DUPLICATE_MAC(str(mac), f"MAC {mac} is to be on one network several times: {some(names, _NAMED)}.")
    for (_, one), names in _several(((nic.network_id, a), name) for name, nic in made for a in nic.addresses):
        yield DUPLICATE_ADDRESS(one, f"Address {one} is to be on one network several times: {some(names, _NAMED)}.")
    for port, names in _several((nic.port_id, name) for name, nic in nics if nic.port_id is not None):
        yield DUPLICATE_PORT(port, f"Port {port} is named several times: {some(names, _NAMED)}.")


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


def _several(pairs: Iterable[tuple[K, str]]) -> Iterator[tuple[K, list[str]]]:
    """Yield keys that come more than once, with what comes with them."""
    found: dict[K, list[str]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return ((key, values) for key, values in found.items() if len(values) > 1)
