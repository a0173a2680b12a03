"""Plans changed, as a whole or in parts, and never over what somebody else has changed meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Response

from longshore.api.schemas import PlanAnswer, PlanChanged, PlanCopy
from longshore.engine.limits import keep_limits
from longshore.errors import ChangedMeanwhile, InvalidInput, NotFound
from longshore.model.machine import VOLUME
from longshore.model.merging import merged
from longshore.model.plan import Plan
from longshore.planning import planfile
from longshore.planning.plan_validation import refuse_past
from longshore.service.opened_plan import readable
from longshore.service.parts import DryRun, TheCaller, TheStore, judged_router
from longshore.service.remote import refuse_unsafe_plan
from longshore.store import PlanRecord

router = judged_router("/v1")
_TRIES = 10  # to change what others change at the same moment


@dataclass(frozen=True, slots=True)
class _Asked:
    """A change of a plan: who asks for it, and on which conditions."""

    store: TheStore
    response: Response
    caller: TheCaller
    if_match: Annotated[str | None, Header(description="The `ETag` that the plan was read with.")] = None
    dry_run: DryRun = False

    @property
    def version(self) -> str | None:
        """Return the version that the plan has to have; None: any."""
        return None if self.if_match in (None, "*") else str(self.if_match).strip().removeprefix("W/").strip('"')

    def content_of(self, plan: Plan) -> dict[str, Any]:
        """Return a plan as it is kept. Raises InvalidInput for what this caller may not have in one."""
        content = planfile.plain(plan)
        refuse_unsafe_plan(self.caller, content)
        return content


_TheAsked = Annotated[_Asked, Depends(_Asked)]


@router.put("/plans/{name}")
def apply(name: str, body: dict[str, Any], asked: _TheAsked) -> PlanAnswer:
    """Keep this plan under its name: a new one (201), or in the place of what was there.

    A draft is one no more. The same again changes nothing. With `If-Match` only if it is still as the answer with that
    `ETag` had it (412). The body is a plan as its file has it: see plan.schema.json.
    """
    plan = planfile.from_plain(body)
    if plan.name != name:
        raise InvalidInput(f"The plan is called {plan.name}, not {name}.")
    content, store = asked.content_of(plan), asked.store
    try:
        before = store.plans.get(name)
    except NotFound:
        if asked.if_match is not None:
            raise ChangedMeanwhile(f"There is no plan {name} any more.", advice="It was deleted meanwhile.") from None
        refuse_past(plan)
        record = store.plans.add(name, content, dry_run=asked.dry_run)
        if not asked.dry_run:
            asked.response.status_code, asked.response.headers["ETag"] = 201, etag_of(record)
        return PlanAnswer(plan=record.content, changed=True)
    refuse_past(plan, readable(before))
    record = store.plans.replace(name, content, asked.version, dry_run=asked.dry_run)
    if not asked.dry_run:
        record = store.plans.keep(record.id)
        keep_limits(store, record.id, plan.limits)
        asked.response.headers["ETag"] = etag_of(record)
    return PlanAnswer(plan=record.content, changed=before.draft is not None or record.content != before.content)


@router.patch("/plans/{name}")
def change(name: str, body: dict[str, Any], asked: _TheAsked) -> PlanChanged:
    """Change parts of a plan, as JSON Merge Patch (RFC 7396) does it.

    What isn't named stays, what is null goes, lists are replaced as a whole. With `If-Match` as when all of it is kept.
    """
    return _changed(name, lambda plan: merged(plan, body), asked)


@router.patch("/plans/{name}/machines/{machine:path}")
def change_machine(name: str, machine: str, body: dict[str, Any], asked: _TheAsked) -> PlanChanged:
    """Change one machine of a plan likewise, named as the plan calls it, or by its reference; a volume as
    `volume:NAME`.
    """
    kind, key = ("volumes", "volume") if machine.startswith(VOLUME) else ("machines", "machine")
    called = machine.removeprefix(VOLUME)

    def with_machine(plan: dict[str, Any]) -> dict[str, Any]:
        entries = list(plan.get(kind) or ())
        for number, entry in enumerate(entries):
            if called in (entry.get(key), entry.get("ref")):
                entries[number] = merged(entry, body)
                return {**plan, kind: entries}
        raise NotFound(f"Plan {name} has no machine {machine}.", advice=f"See: longshore plan show {name}.")

    return _changed(name, with_machine, asked)


@router.post("/plans/{name}/duplicate", status_code=201)
def duplicate(name: str, body: PlanCopy, store: TheStore, response: Response) -> PlanAnswer:
    """Make a new plan that says the same, with nothing started yet. Flavors made for the first stay its own."""
    content = {**store.plans.with_texts(name), "name": body.name}
    if body.description is not None:
        content["description"] = body.description
    record = store.plans.add(body.name, planfile.plain(planfile.from_store(content)))
    response.headers["ETag"] = etag_of(record)
    return PlanAnswer(plan=record.content)


def etag_of(record: PlanRecord) -> str:
    return f'"{record.version}"'


def _changed(name: str, change: Callable[[dict[str, Any]], dict[str, Any]], asked: _Asked) -> PlanChanged:
    store, wanted = asked.store, asked.version
    for turn in range(_TRIES):
        before = store.plans.get(name)
        old = readable(before)
        plan = planfile.from_plain(change(planfile.plain(old) if old else before.content))
        if plan.name != before.name:
            raise InvalidInput("A plan keeps its name.", advice="Duplicate it, and delete the first.", field="name")
        content = asked.content_of(plan)
        refuse_past(plan, old)
        try:
            version = before.version if wanted is None else wanted
            record = store.plans.replace(before.id, content, version, dry_run=asked.dry_run)
        except ChangedMeanwhile:
            if wanted is not None or turn == _TRIES - 1:
                raise
            continue
        changed = record.revision != before.revision
        if asked.dry_run:
            version, moment = before.version, before.changed_at
            return PlanChanged(changed=changed, version=version, changed_at=moment, plan=record.content)
        keep_limits(store, record.id, plan.limits)
        asked.response.headers["ETag"] = etag_of(record)
        return PlanChanged(changed=changed, version=record.version, changed_at=record.changed_at)
    raise AssertionError("the last try returns or raises")
