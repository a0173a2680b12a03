"""Taking back what a migration has made, from the ledger, last thing first."""

import logging
import time
from collections.abc import Callable

from longshore.errors import LongshoreError
from longshore.flows.clouds import Clouds
from longshore.model.request import MigrationType
from longshore.providers.contract import Source, Target
from longshore.store import Entry, EntryState, Kind, Store

_log = logging.getLogger("longshore.flows")
LASTING = (Kind.VOLUME, Kind.PORT, Kind.FLOATING_ADDRESS, Kind.SERVER)  # what a machine is at its target
_TRIES = 4
_PAUSE = 3.0  # seconds before the second try; doubled each time: a volume may still be detaching


def undo(store: Store, clouds: Clouds, migration_id: str, wanted: Callable[[Entry], bool] | None = None) -> list[str]:
    """Remove everything of what is wanted that the ledger says we made and didn't hand over.

    Without a word on what is wanted, that is everything but worker servers: others may use those, and the
    engine removes them.

    Once the target of a migration was seen up, its server, ports and volumes are the user's, whatever the ledger says
    of them. Those of a dry run never are.

    Answers a sentence for each thing that could not be removed; those stay in the ledger as `left`.
    """
    wanted = wanted or _its_own
    done = (EntryState.REMOVED, EntryState.HANDED_OVER)
    entries = [e for e in reversed(store.ledger.entries(migration_id)) if e.state not in done and wanted(e)]
    record = store.migrations.get(migration_id)
    if record.target_up_at is not None and record.request.get("type") != MigrationType.DRY_RUN.value:
        entries = [e for e in entries if e.kind not in LASTING]
    left = []
    for entry in entries:
        try:
            _persist(lambda entry=entry: _remove(clouds, entry))  # type: ignore[misc]
        except LongshoreError as error:
            store.ledger.settle(entry.id, EntryState.LEFT, note=str(error))
            left.append(f"The {entry.kind} {entry.ref or entry.owner.tag} could not be removed: {error}")
        else:
            store.ledger.settle(entry.id, EntryState.REMOVED)
            store.migrations.say(migration_id, "removing", f"The {entry.kind} {entry.step} is gone.")
    return left


def _its_own(entry: Entry) -> bool:
    """Whether nobody else may be using it."""
    return entry.kind is not Kind.WORKER_SERVER


def _persist(work: Callable[[], None]) -> None:
    pause = _PAUSE
    for remaining in reversed(range(_TRIES)):
        try:
            return work()
        except LongshoreError:
            if remaining == 0:
                raise
            time.sleep(pause)
            pause *= 2


def _remove(clouds: Clouds, entry: Entry) -> None:
    if entry.kind in (Kind.SOURCE_SNAPSHOT, Kind.CHANGE_TRACKING):
        with clouds.source(entry.provider_id) as source:
            _remove_from_source(source, entry)
    else:
        with clouds.target(entry.provider_id) as target:
            _remove_from_target(target, entry)


def _remove_from_source(source: Source, entry: Entry) -> None:
    machine = entry.parent or ""
    if entry.kind is Kind.CHANGE_TRACKING:
        source.set_change_tracking(machine, False)
        return
    found = source.find_snapshot(machine, entry.owner)
    if found is not None:
        source.remove_snapshot(machine, found.ref)


def _remove_from_target(target: Target, entry: Entry) -> None:
    """By the id the ledger knows, else by the owner that the thing carries."""
    if entry.kind is Kind.WORKER_SERVER:
        target.remove_worker_server(entry.owner)
    elif entry.kind is Kind.SERVER:
        if ref := entry.ref or _id(target.find_server(entry.owner)):
            target.delete_server(ref)
    elif entry.kind is Kind.FLOATING_ADDRESS:
        if ref := entry.ref or _id(target.find_floating_address(entry.owner)):
            target.delete_floating_address(ref)
    elif entry.kind is Kind.PORT:
        if ref := entry.ref or _id(target.find_port(entry.owner)):
            target.delete_port(ref)
    elif entry.kind is Kind.NETWORK:
        if ref := entry.ref or _id(target.find_isolated_network(entry.owner)):
            target.delete_isolated_network(ref)
    elif entry.kind is Kind.VOLUME_SNAPSHOT:
        if ref := entry.ref or _id(target.find_volume_snapshot(entry.owner)):
            target.delete_volume_snapshot(ref)
    elif entry.kind is Kind.VOLUME and (ref := entry.ref or _id(target.find_volume(entry.owner))):
        target.delete_volume(ref)


def _id(thing: object) -> str | None:
    return getattr(thing, "id", None)
