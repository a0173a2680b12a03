"""Taking back what a migration has made, from the ledger: how each kind of thing is removed."""

from collections.abc import Callable
from functools import partial

from longshore.engine.undoing import remove_all
from longshore.errors import NotFound
from longshore.flows.clouds import Clouds
from longshore.flows.following import machine_of
from longshore.model.forms import form
from longshore.model.request import OF_POINTS, MigrationType
from longshore.model.source_marks import MarkKind
from longshore.model.strict_reading import read_json
from longshore.model.target import Owner, ServerPort
from longshore.providers.contract import Source, Target
from longshore.store import EntryState, LedgerRecord, Store, ThingKind

_NEVER_THEIRS = (
    MigrationType.DRY_RUN,
    MigrationType.FAILBACK,
    MigrationType.IN_PLACE,
    *OF_POINTS,
)
LASTING = (
    ThingKind.VOLUME,
    ThingKind.PORT,
    ThingKind.FLOATING_ADDRESS,
    ThingKind.LED_ADDRESS,
    ThingKind.SERVER,
)  # what a machine is at its target

MARK_STEP = "mark-"  # and the kind of mark
LED_STEP = "led-"  # and the id of the floating address; the port is the entry's parent

PORTS_AT_HOME = "ports_at_home"  # in the result of a failback or a restore in place
_AT_SOURCES = (
    ThingKind.SOURCE_SNAPSHOT,
    ThingKind.HOME_SNAPSHOT,
    ThingKind.MACHINE,
    ThingKind.CHANGE_TRACKING,
    ThingKind.SOURCE_MARK,
)


def undo(
    store: Store, clouds: Clouds, migration_id: str, wanted: Callable[[LedgerRecord], bool] | None = None
) -> list[str]:
    """Remove everything of what is wanted that the ledger says we made and didn't hand over.

    Without a word on what is wanted, that is everything but relays: others may use those, and the engine removes them.

    Once the target of a migration was seen up, its server, ports and volumes are the user's, whatever the ledger says
    of them. Those of a dry run or a test never are, those of a failover, a failback or a restore in place only once it
    is committed.

    Return a sentence for each thing that could not be removed; those stay in the ledger as `left`.
    """
    clouds, wanted = clouds.to_put_back(), wanted or (lambda entry: entry.kind is not ThingKind.RELAY)
    entries = [e for e in reversed(store.ledger.entries(migration_id)) if not e.state.settled and wanted(e)]
    record = store.migrations.get(migration_id)
    if record.target_up_at is not None and record.type not in _NEVER_THEIRS:
        entries = [e for e in entries if e.kind not in LASTING]
    machines = [e for e in entries if e.kind is ThingKind.MACHINE]
    others = [e for e in entries if e.kind is not ThingKind.MACHINE]
    others.sort(key=lambda entry: entry.kind is not ThingKind.FROZEN)  # somebody waits for it
    remove = partial(_remove, store, clouds)
    left = remove_all(store, others, remove, _may_appear)
    # Last of all: without it nobody could say any more what had become of that which hangs on it
    holding = {e.parent for e in store.ledger.entries(migration_id) if e.state is EntryState.LEFT}
    free = [e for e in machines if e.ref is None or e.ref not in holding]
    for entry in (e for e in machines if e not in free):
        why = "What hangs on it has to go first."
        store.ledger.settle(entry.id, EntryState.LEFT, note=why)
        left.append(f"The {entry.kind} {entry.ref} could not be removed: {why}")
    return left + remove_all(store, free, remove, _may_appear)


def _may_appear(entry: LedgerRecord) -> bool:
    """Tell whether the thing may exist, or come to exist, without our having heard of it."""
    never = (
        ThingKind.CHANGE_TRACKING,
        ThingKind.FROZEN,
        ThingKind.HOME_PORT,
        ThingKind.PROXY_DISKS,
        ThingKind.RELAY,
        ThingKind.SOURCE_MARK,
        ThingKind.VAULT_WRITER,
    )
    return entry.ref is None and entry.kind not in never


def _remove(store: Store, clouds: Clouds, entry: LedgerRecord) -> bool:
    """Remove the thing and tell whether anything was there.

    Everything that carries the owner's mark goes, so also one that was made a second time because the cloud's first
    answer was lost.
    """
    if entry.kind is ThingKind.PROXY_DISKS:
        with clouds.source(entry.provider_id) as source:
            source.let_go(entry.ref or "")
        return True
    if entry.kind is ThingKind.PROXY:
        with clouds.source(entry.provider_id) as source:
            return source.delete_proxy(entry.parent or "", entry.owner)
    if entry.kind in _AT_SOURCES:
        with clouds.source(entry.provider_id) as source:
            return _remove_from_source(store, source, entry)
    if entry.kind is ThingKind.FROZEN:
        from longshore.flows.backups.thawing import thaw  # which a process without backups needn't load

        thaw(store, clouds, entry)
        return True
    if entry.kind is ThingKind.VAULT_WRITER:
        from longshore.vault.writers import leave  # which a process without vaults needn't load

        with clouds.vault(entry.provider_id, "write") as vault:
            leave(vault, entry.migration_id)
        return True
    with clouds.target(entry.provider_id) as target:
        if entry.kind is ThingKind.HOME_PORT:
            target.give_port_back(ports_at_home(store, entry.migration_id)[entry.step], entry.owner)
            return True
        return _remove_from_target(target, entry)


def ports_at_home(store: Store, migration_id: str) -> dict[str, ServerPort]:
    """Return the ports of the server whose place another one takes in the same cloud, by what the ledger calls them."""
    kept = (store.migrations.get(migration_id).result or {}).get(PORTS_AT_HOME) or {}
    return form(dict[str, ServerPort]).validate_python(kept)


def _remove_from_source(store: Store, source: Source, entry: LedgerRecord) -> bool:
    try:
        return _remove_from_machine(source, entry, machine_of(store, source, entry))
    except NotFound:  # the machine is gone, and has taken along what hung on it
        return False


def _remove_from_machine(source: Source, entry: LedgerRecord, machine: str) -> bool:
    """Remove the thing from its machine and tell whether it was there. Raise NotFound if the machine is gone."""
    if entry.kind is ThingKind.CHANGE_TRACKING:
        return source.set_change_tracking(machine, False)
    if entry.kind is ThingKind.SOURCE_MARK:
        kind, _, words, before = mark_of(entry)
        return bool(words) and source.unmark(machine, kind, words, before)
    if entry.kind is ThingKind.MACHINE:
        ref = source.find_machine(machine, entry.owner)
        if ref is not None:
            source.delete_machine(ref, entry.owner)
        return ref is not None
    gone: set[str] = set()
    while (found := source.find_snapshot(machine, entry.owner)) and found.ref not in gone:
        if entry.kind is ThingKind.HOME_SNAPSHOT:
            source.revert(machine, found.ref)
        source.remove_snapshot(machine, found.ref)
        gone.add(found.ref)
    return bool(gone)


def mark_of(entry: LedgerRecord) -> tuple[MarkKind, str, str, str]:
    """Return what the ledger says of a source's mark: its kind, the text that was asked for, what is written, and what
    was there before.

    Only the kind is known of one that was never made.
    """
    text, words, before = read_json(entry.ref) if entry.ref else ("", "", "")
    return MarkKind(entry.step.removeprefix(MARK_STEP)), text, words, before


def _remove_from_target(target: Target, entry: LedgerRecord) -> bool:
    if entry.kind is ThingKind.RELAY:
        target.remove_relay(entry.owner)
        return True
    if entry.kind is ThingKind.LED_ADDRESS:
        return target.detach_floating_address(entry.step.removeprefix(LED_STEP), entry.parent or "")
    if entry.kind is ThingKind.AGENT_PROBE:
        return target.remove_agent_probe(entry.owner)
    find, delete = _ways(target, entry.kind)
    gone: set[str] = set()
    ref = entry.ref or _id(find(entry.owner))
    while ref and ref not in gone:
        delete(ref)
        gone.add(ref)
        ref = _id(find(entry.owner))
    return bool(gone)


def _ways(target: Target, kind: ThingKind) -> tuple[Callable[[Owner], object], Callable[[str], None]]:
    """Return two functions for things of this kind: one finds a thing by its owner, the other deletes it by its id."""
    match kind:
        case ThingKind.SERVER:
            return target.find_server, target.delete_server
        case ThingKind.FLOATING_ADDRESS:
            return target.find_floating_address, target.delete_floating_address
        case ThingKind.PORT:
            return target.find_port, target.delete_port
        case ThingKind.NETWORK:
            return target.find_isolated_network, target.delete_isolated_network
        case ThingKind.VOLUME_SNAPSHOT:
            return target.find_volume_snapshot, target.delete_volume_snapshot
        case ThingKind.VOLUME:
            return target.find_volume, target.delete_volume
    raise AssertionError(f"a {kind} isn't removed by its owner's mark")


def _id(thing: object) -> str | None:
    return getattr(thing, "id", None)
