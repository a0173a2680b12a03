"""Plans: made, kept, checked, started, watched over."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import TypeAdapter

from longshore.api.reports import Attempt, PlanReport, ReportedMachine
from longshore.api.schemas import (
    FoundMachine,
    Migration,
    NewPlan,
    PlanAnswer,
    PlanConcern,
    PlanStart,
    PlanSummary,
    PlanView,
    Workload,
)
from longshore.engine import embedded
from longshore.engine.stranded import crew_of
from longshore.errors import Conflict, InvalidInput, LongshoreError
from longshore.flows.plans.check import look_up, look_up_volumes, select
from longshore.flows.plans.workloads import follow, mapped, named_in
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.plan import Mappings, PlannedMachine, PlannedVolume
from longshore.model.request import MigrationType
from longshore.model.selection import MachineFilter
from longshore.model.status import Status
from longshore.model.target import Flavor
from longshore.planning import planfile
from longshore.planning.catalogue import refuse_unknown
from longshore.planning.mappings import unused_of_plan
from longshore.planning.plan_kinds import FLAVOR_MADE
from longshore.planning.plan_validation import refuse_past
from longshore.planning.proposal import Offer, gaps, propose
from longshore.providers.contract import LooseVolumes
from longshore.service.migrations_shown import MIGRATIONS, shown
from longshore.service.opened_plan import (
    counted,
    entries_of,
    is_moved_or_moving,
    latest_of,
    open_plan,
    open_plans,
    speaking_of,
    started_with,
    states_of,
    under_way,
)
from longshore.service.paging import ThePage
from longshore.service.parts import TheCaller, TheClouds, ThePlansClouds, ThePlansStore, TheStore, judged_router
from longshore.service.plan_changes import etag_of
from longshore.service.plan_flavors import made_flavors, remove_abandoned
from longshore.service.plan_start import begin, examine_plan
from longshore.service.remote import refuse_unsafe, refuse_unsafe_plan
from longshore.service.reports import plan_report, reports_of
from longshore.service.shared_reads import TheReads, answered
from longshore.store import PlanRecord, Store

router = judged_router("/v1")
_VIEW = TypeAdapter(PlanView)
Some = Annotated[tuple[str, ...], Query(description="Only these machines, as the plan calls them; none: all.")]


@router.post("/plans", status_code=201)
def create(body: NewPlan, store: TheStore, clouds: TheClouds, caller: TheCaller) -> PlanAnswer:
    """Propose a plan for machines of the source, and keep it. What could not be decided is said."""
    if any(p.name == body.name and p.project_id == store.scope.project_id for p in store.plans.all()):
        raise Conflict(f"A plan named {body.name} is there already.", advice="Choose another name or delete it.")
    if caller.remote:
        refuse_unsafe(body.defaults)
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
        vlans = {network.name: network.vlan for network in source.inventory().networks if network.vlan}
    machines = list({m.ref: m for m in machines}.values())
    if not machines and not volumes:
        raise InvalidInput(
            f"No machine of {body.source} fits.", advice="Name a --folder, --cluster, --tag or --name that has some."
        )
    with clouds.target(body.target) as target:
        networks, types, zones = target.networks(), target.volume_types(), target.choices().zones
        flavors = target.flavors()
    given = mapped(of_servers, servers, Mappings(networks=body.networks, storage=body.storage))
    missing = gaps(machines, flavors) if body.create_flavors else []
    plan_id, target_id = str(uuid.uuid4()), store.providers.get(body.target).id
    with made_flavors(store, clouds, target_id, plan_id, missing) as made:
        offer = Offer(networks, types, [*flavors, *made], zones, vlans)
        proposal = propose(body.name, body.source, body.target, machines, offer, given)
        plan, unfollowed = follow(proposal.plan, of_servers, servers)
        plan = replace(plan, description=body.description, defaults=asked.defaults, volumes=volumes)
        content = planfile.plain(plan)
        if caller.remote:
            refuse_unsafe_plan(content)
        record = store.plans.add(plan.name, content, plan_id=plan_id)
    unused = [] if volumes else unused_of_plan(asked, machines)
    said = [*map(_made, made), *proposal.open, *unfollowed, *unused]
    return PlanAnswer(plan=record.content, open=[_concern(c) for c in said])


@router.get("/plans")
def plans(store: TheStore, page: ThePage, machine: str | None = None) -> list[PlanSummary]:
    """All of them, by name; or those that have a machine of this name, path or reference. Markers are names."""
    records = store.plans.all()
    if machine is not None:
        records = speaking_of(store, records, machine)
    shown_now = page.of(records, lambda record: record.name)
    answer = []
    for record, opened in zip(shown_now, open_plans(store, shown_now), strict=True):
        plan = opened.plan
        answer.append(
            PlanSummary(
                id=record.id,
                name=plan.name,
                project_id=record.project_id,
                description=plan.description,
                source=plan.source,
                target=plan.target,
                machines=len(plan.machines),
                volumes=len(plan.volumes),
                waves=len(plan.waves),
                states=counted(opened),
                changed_at=record.changed_at,
            )
        )
    return answer


@router.get("/plans/{name}", response_model=PlanView)
async def plan(name: str, store: TheStore, reads: TheReads) -> Response:
    """One, with how far each of its machines is."""

    def read() -> tuple[bytes, str]:
        record = store.plans.get(name)
        return _VIEW.dump_json(_view(record, store)), etag_of(record)

    body, etag = await reads.read(("plan", name, store.scope), read)
    return answered(body, {"ETag": etag})


def _view(record: PlanRecord, store: Store) -> PlanView:
    states = states_of(open_plan(store, record), crew_of(store))
    return PlanView(
        plan=record.content,
        project_id=record.project_id,
        created_at=record.created_at,
        changed_at=record.changed_at,
        version=record.version,
        machines=states,
        flavors=[flavor.name for flavor in store.plan_flavors.of_plan(record.id)],
    )


@router.delete("/plans/{name}", status_code=204)
def remove(name: str, store: TheStore) -> None:
    """Forget a plan; refused while one of its migrations hasn't ended. Their records stay, and flavors made for it."""
    store.plans.remove(name)


@router.get("/plans/{name}/machines")
def machines(name: str, store: ThePlansStore, clouds: ThePlansClouds) -> list[FoundMachine]:
    """Its machines, and volumes, as the source has them now."""
    plan = planfile.from_store(store.plans.get(name).content)
    with clouds.source(plan.source) as source:
        found = [*look_up(source, plan.machines), *look_up_volumes(source, plan.volumes)]
    return [
        FoundMachine(entry=entry.machine, wave=entry.wave, machine=one, error=None)
        if isinstance(one, Machine)
        else FoundMachine(entry=entry.machine, wave=entry.wave, machine=None, error=str(one))
        for entry, one in zip(plan.entries, found, strict=True)
    ]


@router.post("/plans/{name}/check")
def check(name: str, body: PlanStart, store: ThePlansStore, clouds: ThePlansClouds) -> list[PlanConcern]:
    """Everything that stands against starting it so, or might: nothing is made."""
    opened = open_plan(store, store.plans.get(name))
    refuse_unknown(body.accept)
    entries = started_with(
        entries_of(opened.plan, body.wave, body.machines), body.type or opened.plan.defaults.get("type")
    )
    examined = examine_plan(store, clouds, opened, entries, body)
    names = {p.machine.ref: p.entry.machine for p in examined.prospects}
    return [_concern(c, names.get(c.machine, "")) for c in examined.concerns]


@router.post("/plans/{name}/start", status_code=202)
def start(name: str, body: PlanStart, store: ThePlansStore, clouds: ThePlansClouds) -> list[Migration]:
    """Migrations for all its machines, or a wave of them, that aren't moved or on their way yet."""
    opened = open_plan(store, store.plans.get(name))
    latest = opened.latest
    entries = started_with(
        entries_of(opened.plan, body.wave, body.machines), body.type or opened.plan.defaults.get("type")
    )
    todo = [e for e in entries if not is_moved_or_moving(latest[e.machine])]
    if not todo:
        raise Conflict(
            f"Nothing of plan {name} is left to start: its machines are moved or on their way.",
            advice=f"See: longshore plan show {name}.",
        )
    refuse_unknown(body.accept)
    return begin(store, opened, [examine_plan(store, clouds, opened, todo, body)])


@router.post("/plans/{name}/retry", status_code=202)
def retry(name: str, store: ThePlansStore, clouds: ThePlansClouds, machine: Some = ()) -> list[Migration]:
    """Start again what has failed, and nothing else; with the type and what was accepted as before."""
    opened = open_plan(store, store.plans.get(name))
    latest = opened.latest
    entries = {
        m.id: e
        for e in entries_of(opened.plan, None, machine)
        if (m := latest[e.machine]) is not None and m.status is Status.FAILED
    }
    failed = [(entries[m.id], m) for m in store.migrations.several(list(entries))]
    if not failed:
        raise Conflict(f"Nothing of plan {name} has failed.", advice=f"See: longshore plan show {name}.")
    examined = []
    for kind in dict.fromkeys(m.request["type"] for _, m in failed):
        same = [(e, m) for e, m in failed if m.request["type"] == kind]
        accepted = list(dict.fromkeys(code for _, m in same for code in m.request.get("accept", ())))
        asked = PlanStart(type=None if kind == MigrationType.VOLUME else kind, accept=accepted)
        examined.append(examine_plan(store, clouds, opened, [e for e, _ in same], asked))
    return begin(store, opened, examined)


@router.post("/plans/{name}/cutover", status_code=202)
def cutover(name: str, store: TheStore, wave: int | None = None, machine: Some = ()) -> list[Migration]:
    """Let its warm migrations, or those of a wave, stop their machines now."""
    opened = open_plan(store, store.plans.get(name))
    waves = {e.wave for e in entries_of(opened.plan, wave)}
    meant = latest_of(opened, machine)
    warm = [m for m in opened.own if not m.status.ended and m.type == MigrationType.WARM.value and m.wave in waves]
    warm = [m for m in warm if not machine or m.id in meant]
    if not warm:
        raise Conflict(f"No warm migration of plan {name} is under way.", advice=f"See: longshore plan show {name}.")
    asked = [store.migrations.request_cutover(m.id) for m in warm]
    embedded.ensure_running(store.state)
    return shown(store, asked)


@router.post("/plans/{name}/resume", status_code=202)
def resume(name: str, store: TheStore) -> list[Migration]:
    """Go on where a broken-off engine stopped. Nothing to do when one is running."""
    opened = open_plan(store, store.plans.get(name))
    going_on = under_way(opened)
    embedded.ensure_running(store.state)
    return shown(store, store.migrations.several([m.id for m in going_on]))


@router.post("/plans/{name}/cancel", status_code=202)
def cancel(name: str, store: TheStore, machine: Some = ()) -> list[Migration]:
    """Stop all that is under way or waits, and take back what it made."""
    opened = open_plan(store, store.plans.get(name))
    asked = [store.migrations.request_cancel(m.id) for m in under_way(opened, machine)]
    embedded.ensure_running(store.state)
    return shown(store, asked)


@router.get("/plans/{name}/migrations", response_model=list[Migration])
async def migrations(name: str, store: TheStore, reads: TheReads) -> Response:
    """The latest migration of each of its machines, in the plan's order."""
    what = "plan's migrations", name, store.scope
    return answered(await reads.read(what, lambda: MIGRATIONS.dump_json(_latest(name, store))))


def _latest(name: str, store: Store) -> list[Migration]:
    opened = open_plan(store, store.plans.get(name))
    return shown(store, store.migrations.several([m.id for m in opened.latest.values() if m is not None]))


@router.get("/plans/{name}/report")
def report(name: str, store: TheStore, *, events: bool = True) -> PlanReport:
    """What became of each machine, and of all of them together. Without `events` what happened in each migration is
    left out: of a thousand machines that is most of it."""
    opened = open_plan(store, store.plans.get(name))
    latest = opened.latest
    of_latest = store.migrations.several([m.id for m in latest.values() if m is not None])
    reported = reports_of(store, of_latest)
    reports = {one.id: one if events else replace(one, events=[]) for one in reported}
    tries: dict[str, list[Attempt]] = {}
    for m in opened.own:
        tries.setdefault(m.machine_ref, []).append(Attempt(m.id, m.status.value, m.error))
    machines = []
    for entry in opened.plan.entries:
        last = latest[entry.machine]
        machines.append(
            ReportedMachine(
                entry.machine,
                entry.wave,
                reports.get(last.id) if last else None,
                tries[last.machine_ref][:-1] if last else [],
            )
        )
    plan = opened.plan
    return plan_report(plan.name, plan.description, plan.source, plan.target, machines, counted(opened))


# Parts


def _found(looked_up: Sequence[Machine | LongshoreError]) -> list[Machine]:
    missing = [one for one in looked_up if isinstance(one, LongshoreError)]
    if missing:
        raise InvalidInput(" ".join(str(one) for one in missing), code="machine-not-found")
    return [one for one in looked_up if isinstance(one, Machine)]


def _volumes_called(source: LooseVolumes, patterns: Sequence[str]) -> tuple[PlannedVolume, ...]:
    """Those without a server that are called like this, or have this id. Raises InvalidInput."""
    if not patterns:
        return ()
    loose = source.volumes()
    meant: dict[str, PlannedVolume] = {}
    named = Counter(volume.name for volume in loose)
    for pattern in patterns:
        found = [v for v in loose if v.disks[0].key == pattern or fnmatchcase(v.name, pattern)]
        if not found:
            raise InvalidInput(
                f"The source has no volume without a server that is called {pattern}.",
                advice="longshore volume list shows those that it has.",
            )
        for volume in found:
            id_ = volume.disks[0].key
            meant[id_] = PlannedVolume(volume.name if named[volume.name] == 1 else id_, ref=id_)
    return tuple(meant.values())


def _servers(given: Sequence[Workload]) -> list[Any]:
    if not given:
        return []
    from longshore.tenancy import workload

    return [workload(each.params, each.info, each.how) for each in given]


def _made(flavor: Flavor) -> Concern:
    text = f"Flavor {flavor.name} was made, with {flavor.cpus} CPU(s) and {flavor.memory_mib} MiB, for this project."
    return FLAVOR_MADE(flavor.name, text)


def _concern(concern: Concern, called: str = "") -> PlanConcern:
    fields = asdict(concern)
    return PlanConcern(**{**fields, "machine": called or concern.machine})
