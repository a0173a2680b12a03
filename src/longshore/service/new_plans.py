"""Plans proposed for machines, and kept: at once, or as drafts (docs/decisions/drafts.md)."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from longshore.api.schemas import NewPlan, PlanAnswer, PlanChanged, Workload
from longshore.errors import Conflict, InvalidInput, LongshoreError
from longshore.flows.plans.check import look_up, select
from longshore.flows.plans.workloads import follow, mapped, named_in
from longshore.model import source_names
from longshore.model.concern import Concern
from longshore.model.inventory import SourceNetwork
from longshore.model.machine import Machine
from longshore.model.plan import Plan, PlannedMachine, PlannedVolume
from longshore.model.selection import MachineFilter
from longshore.model.target import Flavor
from longshore.planning import planfile
from longshore.planning.entry_words import name_volumes
from longshore.planning.mappings import unused_of_plan
from longshore.planning.plan_kinds import FLAVOR_MADE
from longshore.planning.plan_validation import refuse_past
from longshore.planning.proposal import Offer, gaps, propose
from longshore.providers.contract import LooseVolumes
from longshore.service.opened_plan import readable
from longshore.service.parts import TheCaller, TheClouds, TheStore, judged_router
from longshore.service.plan_flavors import made_flavors, remove_abandoned
from longshore.service.remote import refuse_unsafe, refuse_unsafe_plan
from longshore.service.shapes import shown_concern
from longshore.store import PlanRecord, Store
from longshore.store.tables import utc_now

router = judged_router("/v1")

_FORGOTTEN_AFTER = timedelta(days=30)  # without a change of a draft


@router.post("/plans", status_code=201)
def create(body: NewPlan, store: TheStore, clouds: TheClouds, caller: TheCaller) -> PlanAnswer:
    """Propose a plan for machines of the source, and keep it. What could not be decided is said.

    As a draft it may be proposed again: what was decided stays, where it is still about something.
    """
    before = _there(store, body)
    refuse_unsafe(caller, body.defaults)
    if body.create_flavors:
        store.providers.own(body.target)  # with what others share nobody makes flavors in their name
        remove_abandoned(store, clouds)
    wanted = MachineFilter(body.folder, body.cluster, body.tag, name=body.match)
    # What can be refused without asking a cloud comes first, and all of it before a flavor is made
    for provider in (body.source, body.target):
        store.providers.get(provider)
    servers = _servers(body.workloads)
    if not body.machines and not wanted and not servers and not body.volumes:
        raise InvalidInput(
            "No machine was named.",
            advice="Name machines, or a --folder, --cluster, --tag or --name that has some; or volumes (--volume).",
        )
    asked = planfile.from_plain(
        {
            "name": body.name,
            "description": body.description,
            "source": body.source,
            "target": body.target,
            "mappings": {"networks": body.networks, "storage": body.storage},
            "defaults": body.defaults,
        }
    )
    refuse_past(asked)
    with clouds.source(body.source) as source:
        of_servers = _found(look_up(source, named_in(servers)))
        named = look_up(source, [PlannedMachine(name) for name in body.machines])
        machines = [*of_servers, *_found(named), *(select(source, wanted) if wanted else [])]
        volumes = _volumes_called(source, body.volumes)
        vlans = _vlans(source.inventory().networks)
    machines = list({m.ref: m for m in machines}.values())
    if not machines and not volumes:
        raise InvalidInput(
            f"No machine of {body.source} fits.", advice="Name a --folder, --cluster, --tag or --name that has some."
        )
    with clouds.target(body.target) as target:
        networks, types, zones = target.networks(), target.volume_types(), target.choices().zones
        flavors = target.flavors()
    earlier = _decided(before, body, machines)
    networks_given = earlier.mappings.networks | body.networks
    storage_given = earlier.mappings.storage | body.storage
    own = replace(earlier.mappings, networks=networks_given, storage=storage_given)
    given = mapped(of_servers, servers, own)
    missing = gaps(machines, flavors) if body.create_flavors else []
    plan_id, target_id = str(uuid.uuid4()), store.providers.get(body.target).id
    with made_flavors(store, clouds, target_id, plan_id, missing) as made:
        offer = Offer(networks, types, [*flavors, *made], zones, vlans)
        proposal = propose(body.name, body.source, body.target, machines, offer, given)
        plan, unfollowed = follow(proposal.plan, of_servers, servers)
        defaults = {**earlier.defaults, **asked.defaults}
        plan = replace(plan, description=body.description, defaults=defaults, volumes=volumes, limits=earlier.limits)
        plan = replace(plan, machines=_as_before(plan.machines, earlier.machines))
        content = planfile.plain(plan)
        planfile.from_plain(content)  # what couldn't be read again isn't kept
        refuse_unsafe_plan(caller, content)
        if before is not None:
            record = store.plans.replace(before.id, content, before.version, called=plan.name)
        else:
            record = store.plans.add(plan.name, content, plan_id=plan_id, draft=body.draft)
    unused = [] if volumes else unused_of_plan(asked, machines)
    said = [*map(_made, made), *proposal.open, *unfollowed, *unused]
    return PlanAnswer(plan=record.content, open=[shown_concern(c) for c in said])


@router.post("/plans/{name}/keep")
def keep(name: str, store: TheStore) -> PlanChanged:
    """Make a plan of a draft. Starting it does that, too. Once more changes nothing."""
    before = store.plans.get(name)
    record = store.plans.keep(before.id)
    return PlanChanged(changed=before.draft is not None, version=record.version, changed_at=record.changed_at)


# Parts


def _there(store: Store, body: NewPlan) -> PlanRecord | None:
    """Return the draft that is to be proposed again, if there is one.

    Raises Conflict where another plan has the name.
    """
    if body.draft and body.create_flavors:
        raise InvalidInput("A draft makes nothing at the target.", advice="Keep the plan, or leave out its flavors.")
    own = [p for p in store.plans.all() if p.project_id == store.scope.project_id]
    if body.draft:
        for plan in own:
            if plan.draft not in (None, body.draft) and utc_now() - plan.changed_at > _FORGOTTEN_AFTER:
                store.plans.remove(plan.id)
    before = next((p for p in own if body.draft is not None and p.draft == body.draft), None)
    if any(p.name == body.name and p != before for p in own):
        raise Conflict(f"A plan named {body.name} is there already.", advice="Choose another name or delete it.")
    return before


def _decided(before: PlanRecord | None, body: NewPlan, machines: Sequence[Machine]) -> Plan:
    """Return the decisions of a draft that are about these machines and these clouds."""
    nothing = Plan(name=body.name, source=body.source, target=body.target)
    if before is None:
        return nothing
    plan = readable(before) or nothing
    if plan.source != body.source:
        return nothing
    if plan.target != body.target:
        return replace(nothing, defaults=plan.defaults, limits=plan.limits)
    used = {word for place in source_names.networks_of(machines) for word in place.words}
    stored = {word for place in source_names.storage_of(machines) for word in place.words}
    mappings = replace(
        plan.mappings,
        networks={name: value for name, value in plan.mappings.networks.items() if name in used},
        subnets={name: value for name, value in plan.mappings.subnets.items() if name in used},
        storage={name: value for name, value in plan.mappings.storage.items() if name in stored},
    )
    return replace(plan, mappings=mappings)


def _vlans(networks: Sequence[SourceNetwork]) -> dict[str, str]:
    """Return the VLANs of networks by their references, and by names that only one network has."""
    named = Counter(network.name for network in networks)
    by_name = {network.name: network.vlan for network in networks if network.vlan and named[network.name] == 1}
    return by_name | {network.ref: network.vlan for network in networks if network.vlan}


def _as_before(machines: Sequence[PlannedMachine], earlier: Sequence[PlannedMachine]) -> tuple[PlannedMachine, ...]:
    """Return the machines with the waves and options that they had."""
    had = {entry.ref: entry for entry in earlier if entry.ref}
    return tuple(
        replace(entry, wave=old.wave, options={**old.options, **entry.options})
        if (old := had.get(entry.ref or "")) is not None
        else entry
        for entry in machines
    )


def _found(looked_up: Sequence[Machine | LongshoreError]) -> list[Machine]:
    missing = [one for one in looked_up if isinstance(one, LongshoreError)]
    if missing:
        raise InvalidInput(" ".join(str(one) for one in missing), code="machine-not-found")
    return [one for one in looked_up if isinstance(one, Machine)]


def _volumes_called(source: LooseVolumes, patterns: Sequence[str]) -> tuple[PlannedVolume, ...]:
    """Return the volumes without a server whose id this is, or whose name fits a pattern. Raises InvalidInput."""
    if not patterns:
        return ()
    loose = source.volumes()
    meant: dict[str, Machine] = {}
    for pattern in patterns:
        found = [v for v in loose if v.disks[0].key == pattern or fnmatchcase(v.name, pattern)]
        if not found:
            raise InvalidInput(
                f"The source has no volume without a server that is called {pattern}.",
                advice="longshore volume list shows those that it has.",
            )
        meant |= {volume.ref: volume for volume in found}
    return name_volumes(list(meant.values()), loose)


def _servers(given: Sequence[Workload]) -> list[Any]:
    if not given:
        return []
    from longshore.tenancy import workload

    return [workload(each.params, each.info, each.how) for each in given]


def _made(flavor: Flavor) -> Concern:
    text = f"Flavor {flavor.name} was made, with {flavor.cpus} CPU(s) and {flavor.memory_mib} MiB, for this project."
    return FLAVOR_MADE(flavor.name, text)
