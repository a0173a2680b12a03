"""Machines of a source that nothing protects: no replica, and no good backup by a policy that runs."""

from collections.abc import Callable, Iterator
from functools import partial

from fastapi import Request

from longshore.api.inventories import CoveringPolicy, UnprotectedMachine, UnprotectedPage
from longshore.errors import InvalidInput
from longshore.flows.clouds import Clouds
from longshore.model.machine import Machine
from longshore.model.search import parse_search
from longshore.providers.registry import kinds_for
from longshore.service.inventories import TheAsked
from longshore.service.kept_inventories import KeptInventories, KeptInventory
from longshore.service.parts import TheClouds, TheStore, judged_router
from longshore.store import BackupPolicyRecord, Store

router = judged_router("/v1")


@router.get("/providers/{provider}/unprotected")
def unprotected(
    provider: str,
    request: Request,
    store: TheStore,
    clouds: TheClouds,
    asked: TheAsked,
) -> UnprotectedPage:
    """List the machines of a source that have no replica, and of which no policy that runs has a good backup; by folder
    and name, as the source had them at `read_at`, five minutes ago at most.
    """
    fits = parse_search(asked.q)
    record = store.providers.get(provider)
    if record.kind in kinds_for("vault"):
        raise InvalidInput(f"{record.name} is a vault: its machines are backups.", advice="Name their source.")
    inventories: KeptInventories = request.app.state.inventories
    kept = inventories.of(clouds, record, store.scope.project_id, anew=asked.anew)
    machines = [machine for machine in kept.machines if not machine.template]
    replicated, backed_up = store.protection.at_source(record.id, store.scope)
    covering = list(_covering(store, clouds, record.id, kept))
    found = []
    for machine in machines:
        if machine.ref in replicated or not fits(machine):
            continue
        policies = [policy for policy, covers in covering if covers(machine)]
        at = backed_up.get(machine.ref)
        if at is None or all(policy.paused for policy in policies):
            found.append((machine, policies, at))
    return UnprotectedPage(
        read_at=kept.read_at,
        total=len(found),
        of=len(machines),
        machines=[
            UnprotectedMachine(
                machine=machine,
                policies=[CoveringPolicy(name=one.name, paused=one.paused) for one in policies],
                backed_up_at=at,
            )
            for machine, policies, at in asked.page_of(found)
        ],
    )


def _covering(
    store: Store, clouds: Clouds, source_id: str, kept: KeptInventory
) -> Iterator[tuple[BackupPolicyRecord, Callable[[Machine], bool]]]:
    """Yield the policies of a source, each with what tells whether it is to back a machine up."""
    for policy in store.backup_policies.all():
        if policy.source_id != source_id:
            continue
        wanted = policy.wanted
        if wanted is None:
            words = frozenset(word.strip("/") for word in policy.machines)
            yield policy, partial(_is_named, words)
        elif wanted.tag is None:
            yield policy, wanted.fits
        else:
            yield policy, partial(_is_among, kept.refs_of(clouds, source_id, wanted))


def _is_named(words: frozenset[str], machine: Machine) -> bool:
    path = f"{machine.folder}/{machine.name}".strip("/")
    return not words.isdisjoint((machine.ref, machine.name, path, f"{machine.datacenter}/{path}"))


def _is_among(refs: frozenset[str], machine: Machine) -> bool:
    return machine.ref in refs
