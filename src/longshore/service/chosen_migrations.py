"""Verbs for many migrations at once, by their ids: each answers for itself."""

from collections.abc import Callable, Sequence

from longshore.api.schemas import ChosenAnswer, ChosenCutover, ChosenMigrations, ErrorBody, Migration
from longshore.errors import Conflict, LongshoreError
from longshore.flows.clouds import Clouds
from longshore.model.status import Status
from longshore.service import migrations
from longshore.service.opened_plan import Opened, open_plan
from longshore.service.parts import TheCaller, TheClouds, TheStore, Turn, judged_router, store_of_plan
from longshore.service.plan_start import start_again
from longshore.service.refusals import body_of
from longshore.store import MigrationRecord, Store
from longshore.store.standing import waits_after_failure

router = judged_router("/v1")


@router.post("/migrations/cancel", status_code=202)
def cancel(body: ChosenMigrations, store: TheStore) -> list[ChosenAnswer]:
    """Cancel each of these migrations, and take back what it made."""
    return _each(body.ids, lambda id_: migrations.cancel(id_, store))


@router.post("/migrations/cutover", status_code=202)
def cutover(body: ChosenCutover, store: TheStore) -> list[ChosenAnswer]:
    """Stop the machine of each of these warm migrations, now or at a time, and end it."""
    return _each(body.ids, lambda id_: migrations.cutover(id_, store, body.time))


@router.post("/migrations/resume", status_code=202)
def resume(body: ChosenMigrations, store: TheStore) -> list[ChosenAnswer]:
    """Go on at once with each of these that is parked or was broken off."""
    return _each(body.ids, lambda id_: migrations.resume(id_, store))


@router.post("/migrations/retry", status_code=202, dependencies=[Turn])
def retry(body: ChosenMigrations, store: TheStore, clouds: TheClouds, caller: TheCaller) -> list[ChosenAnswer]:
    """Start each of these that has failed again, as its plan says now; those of one plan start together, or none. One
    that kept its copy tries again with that, and one without a plan is asked for as it was."""
    answers: dict[str, ChosenAnswer] = {}
    of_plans: dict[str, dict[str, MigrationRecord]] = {}
    for id_ in dict.fromkeys(body.ids):
        try:
            record = store.migrations.get(id_)
            if waits_after_failure(record):
                answers[id_] = ChosenAnswer(id=id_, migration=migrations.retry(id_, store))
                continue
            if record.plan_id is None:
                answers[id_] = ChosenAnswer(id=id_, migration=migrations.begin_again(record, store, clouds, caller))
                continue
            of_plans.setdefault(record.plan_id, {})[id_] = record
        except LongshoreError as error:
            answers[id_] = _refused(id_, error)
    for plan_id, asked in of_plans.items():
        answers |= _started_again(store_of_plan(plan_id, store), plan_id, asked)
    return [answers[id_] for id_ in dict.fromkeys(body.ids)]


def _started_again(store: Store, plan_id: str, asked: dict[str, MigrationRecord]) -> dict[str, ChosenAnswer]:
    """Start these migrations of a plan again, and return the answer to each, by the id that was asked for."""
    answers: dict[str, ChosenAnswer] = {}
    try:
        opened = open_plan(store, store.plans.get(plan_id))
    except LongshoreError as error:
        return {id_: _refused(id_, error) for id_ in asked}
    entries = {}
    for id_, record in asked.items():
        try:
            entries[id_] = _failed_entry(opened, record)
        except Conflict as error:
            answers[id_] = _refused(id_, error)
    if not entries:
        return answers
    try:
        started = start_again(store, Clouds(store), opened, list(entries.values()))
    except LongshoreError as error:
        return answers | {id_: _refused(id_, error) for id_ in entries}
    by_ref = {migration.machine_ref: migration for migration in started}
    return answers | {id_: ChosenAnswer(id=id_, migration=by_ref.get(asked[id_].machine_ref)) for id_ in entries}


def _failed_entry(opened: Opened, record: MigrationRecord) -> str:
    """Return the plan's name for a migration's machine.

    Raises Conflict when the migration isn't the last of its machine, or hasn't failed.
    """
    for called, last in opened.latest.items():
        if last is not None and last.id == record.id:
            if last.status is not Status.FAILED:
                raise Conflict(f"{record.machine_name} hasn't failed: it is {last.status}.")
            return called
    raise Conflict(f"{record.machine_name} was started again already, or isn't in its plan any more.")


def _each(ids: Sequence[str], work: Callable[[str], Migration]) -> list[ChosenAnswer]:
    answers = []
    for id_ in dict.fromkeys(ids):
        try:
            answers.append(ChosenAnswer(id=id_, migration=work(id_)))
        except LongshoreError as error:
            answers.append(_refused(id_, error))
    return answers


def _refused(id_: str, error: LongshoreError) -> ChosenAnswer:
    return ChosenAnswer(id=id_, error=ErrorBody(**body_of(error)))
