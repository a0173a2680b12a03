"""A machine that was registered anew at its source has another reference there, and is found by its UUIDs."""

from longshore.errors import NotFound
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.model.request import MigrationType
from longshore.providers.contract import Source
from longshore.store import LedgerRecord, Store

DRIFTED = "drifted"  # code of an error: the machine isn't the one that it was


def reference_now(source: Source, ref: str, known: Machine | None) -> str:
    """Return the reference that a machine has now.

    `known`: the machine as it was when it was last looked at; None: nothing is known of it. Raise NotFound when it is
    gone, with the code drifted when another machine has its reference now.
    """
    if known is None or not known.instance_uuid:  # then its reference is of nothing else, ever
        return ref
    now = source.registered_as(known)
    if now is None and (there := source.by_reference(ref)).is_another_than(known):
        gone = f"{known.name} is gone: {ref} is the reference of another machine now, {there.name}."
        raise NotFound(gone, code=DRIFTED)
    return now or ref


def last_known(store: Store, migration_id: str, provider_id: str, ref: str) -> Machine | None:
    """Return the machine with this reference as the migration last saw it, or the replica that a failback is of. None:
    they keep nothing of it."""
    record = store.migrations.get(migration_id)
    if record.type is MigrationType.FAILBACK:
        record = store.migrations.get(record.of)
    kept = (record.state or {}).get("prepared")
    if not kept or provider_id != record.source_id:
        return None
    known = form(Machine).validate_python(kept["machine"])
    return known if ref in (record.machine_ref, known.ref) else None


def machine_of(store: Store, source: Source, entry: LedgerRecord) -> str:
    """Return the reference that the machine has now on which a thing of the ledger hangs. Raise as `reference_now`
    does."""
    ref = entry.parent or ""
    return reference_now(source, ref, last_known(store, entry.migration_id, entry.provider_id, ref))
