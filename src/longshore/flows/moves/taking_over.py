"""Warm migrations that an earlier release has begun: it did all of one in a single job.

What that job's steps have answered says how far it is. The record is told, and it goes on in jobs of today's kind; what
a sync was broken off in is found by the names that it still has.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from longshore.flows.moves.copying import Copied
from longshore.flows.moves.look import Choice
from longshore.flows.moves.syncing import State, after
from longshore.flows.moves.syncs import Sync, next_moment
from longshore.flows.moves.target_side import Prepared
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.machine import Snapshot
from longshore.model.request import MigrationRequest
from longshore.model.target import Port, Volume
from longshore.store import JobRecord, Store
from longshore.store.tables import without_zone

T = TypeVar("T")


def take_over(store: Store, job: JobRecord, answers: Mapping[str, Any]) -> bool:
    """Whether it goes on: one that was about to stop its machine, or hasn't copied anything yet, can't."""
    record = store.migrations.get(job.record_id)
    if record.shutdown_requested_at is not None:
        return False
    try:
        state = _state_of(answers)
    except (KeyError, ValidationError):
        return False
    if not state.number:
        return False
    cutover = form(MigrationRequest).validate_python(record.request).cutover
    due = without_zone(next_moment(cutover, state.history, datetime.now(UTC)))
    store.migrations.end_job(record.id, job.id, next_kind=JobKind.SYNC, due_at=due, state=state.kept())
    store.events.say(record.id, None, "It was begun by an earlier release, and goes on in this one.")
    return True


def _state_of(answers: Mapping[str, Any]) -> State:
    prepared = _answer(answers, "prepare", Prepared)
    disks = prepared.machine.disks
    volumes = [_answer(answers, f"volume-{disk.key}", Volume) for disk in disks]
    state = State(prepared, volumes, _answer(answers, "ports", list[Port]))
    while f"sync-{state.number}-record" in answers:
        name = f"sync-{state.number}"
        began, ended = (_answer(answers, f"{name}-{what}", datetime) for what in ("moment", "end"))
        copies = tuple(_answer(answers, f"{name}-{disk.key}", Copied) for disk in disks)
        snapshot = _answer(answers, f"{name}-snapshot", Snapshot)
        state = after(state, Sync(state.number, began, ended, copies), snapshot)
    if "judge" not in answers:
        return state  # it is looked into after the next sync
    return replace(state, choice=_answer(answers, "judge", Choice))


def _answer(answers: Mapping[str, Any], name: str, kind: type[T]) -> T:
    return form(kind).validate_python(answers[name]["value"])
