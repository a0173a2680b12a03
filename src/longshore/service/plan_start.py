"""Starting migrations of a plan: all that was asked for, or none."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from longshore.api.schemas import Migration
from longshore.engine.limits import keep_limits
from longshore.errors import Conflict, InvalidInput
from longshore.flows.clouds import Clouds
from longshore.flows.plans.check import Examined, entries_of, examine_plan, together
from longshore.model.job import JobKind
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.service.migrations_shown import shown
from longshore.service.opened_plan import Opened, latest_of
from longshore.service.queued import added, going_on
from longshore.store import NewMigration, Store
from longshore.store.standing import waits_after_failure
from longshore.store.tables import utc_now

LONGEST = timedelta(days=366)  # that a start may be ahead


def refuse_unfit_start(at: datetime | None) -> None:
    """Raise InvalidInput for a moment, in UTC without a zone, that is past or too far off."""
    now = utc_now()
    if at is not None and not now < at <= now + LONGEST:
        raise InvalidInput(f"A start is in the future, in at most {LONGEST.days} days.", field="at")


def begin(store: Store, opened: Opened, examined: Sequence[Examined], at: datetime | None = None) -> list[Migration]:
    """Start migrations for all that was examined, or for none of it. `at`: in UTC without a zone, when they begin by
    themselves; None: now.

    Raises InvalidInput while a blocker stands against one, NotInstalled where this machine would do it and lacks what
    that takes.
    """
    plan = opened.plan
    blockers = [c for part in examined for c in part.blockers]
    if blockers:
        count = f"{len(blockers)} blocker{'s' if len(blockers) > 1 else ''}"
        raise InvalidInput(
            f"Plan {plan.name} has {count}. The first: {blockers[0]}",
            advice=f"See them all: longshore plan check {plan.name}.",
            code=blockers[0].code if len({c.code for c in blockers}) == 1 else "preflight-failed",
        )
    source_id, target_id = store.providers.get(plan.source).id, store.providers.get(plan.target).id
    of_plan = {"plan_id": opened.id, "due_at": at}
    wanted = [
        NewMigration.of_machine(one.machine, source_id, target_id, one.request, wave=one.entry.wave, **of_plan)
        for part in examined
        for one in part.prospects
    ]
    store.database.refuse_undoable({JobKind.COLD})  # or any other that a plan begins
    store.plans.keep(opened.id)  # what was a draft has become serious
    keep_limits(store, opened.id, plan.limits)
    return shown(store, added(store, wanted))


def start_again(store: Store, clouds: Clouds, opened: Opened, machines: Sequence[str] = ()) -> list[Migration]:
    """Start again what has failed of all of a plan's machines, or of these; with type and accepted blockers as before.

    Raises Conflict when there is none, InvalidInput as `begin` and `entries_of`.
    """
    name, latest = opened.plan.name, opened.latest
    entries = {
        m.id: e
        for e in entries_of(opened.plan, None, machines)
        if (m := latest[e.machine]) is not None and m.status is Status.FAILED
    }
    failed = [(entries[m.id], m) for m in store.migrations.several(list(entries))]
    if not failed:
        raise Conflict(f"Nothing of plan {name} has failed.", advice=f"See: longshore plan show {name}.")
    examined = []
    for kind in dict.fromkeys(m.request["type"] for _, m in failed):
        same = [(e, m) for e, m in failed if m.request["type"] == kind]
        accepted = list(dict.fromkeys(code for _, m in same for code in m.request.get("accept", ())))
        as_type = None if kind == MigrationType.VOLUME else kind
        examined.append(
            together(examine_plan(store, clouds, opened.id, [e for e, _ in same], accept=accepted, started_as=as_type))
        )
    return begin(store, opened, examined)


def try_again(store: Store, clouds: Clouds, opened: Opened, machines: Sequence[str] = ()) -> list[Migration]:
    """Start again what has failed, and let those that kept their copies try again. Raises as `start_again`."""
    meant = latest_of(opened, machines)
    own = [m for m in opened.own if m.id in meant]
    unfinished = store.migrations.several([m.id for m in own if not m.status.ended])
    waiting = [record for record in unfinished if waits_after_failure(record)]
    if waiting and not any(m.status is Status.FAILED for m in own):
        started = []
    else:
        started = start_again(store, clouds, opened, machines)
    tried = [store.migrations.request_retry(record.id, {}) for record in waiting]
    return [*started, *going_on(store, tried)]
