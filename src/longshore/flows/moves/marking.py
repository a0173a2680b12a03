"""A machine that has moved is marked at its source as its user wants it, so that nobody starts it a second time.

Some marks are made as soon as the migration is done, others once the time of grace is over. What is wanted is compared
with what the ledger has, so the same job makes marks and takes them away. The migration stays done whatever becomes of
them: a mark that can't be made is told.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Concatenate, ParamSpec

from longshore.errors import LongshoreError, NotFound
from longshore.flows.flow import Flow
from longshore.flows.moves.source_side import follow_source
from longshore.flows.undo import MARK_STEP, mark_of
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.model.source_marks import MarkKind
from longshore.model.status import Status
from longshore.model.target import Owner
from longshore.providers.contract import Source
from longshore.store import EntryState, LedgerRecord, ThingKind
from longshore.store.tables import with_zone, without_zone

P = ParamSpec("P")


class SourceMarking(Flow):
    async def _forward(self) -> dict[str, Any] | None:
        await self._job.step("mark", self._mark)
        await self._job.step("go-on", self._go_on)
        return None

    def _mark(self) -> None:
        job = self._job
        wanted = marks_due(job.request, self._done_at, datetime.now(UTC))
        told = (job.record.result or {}).get("machine")
        known = None if told is None else form(Machine).validate_python(told)
        standing = _standing(job.store.ledger.entries(job.id))
        gone = {kind: entry for kind, entry in standing.items() if wanted.get(kind) != mark_of(entry)[1]}
        if gone:
            with job.clouds.to_put_back().source(job.record.source_id) as source:
                for kind, entry in gone.items():
                    self._tell(source, kind, known, self._take_away, kind, entry)
        standing = _standing(job.store.ledger.entries(job.id))
        missing = [kind for kind in wanted if kind not in standing or standing[kind].state is EntryState.INTENDED]
        if missing:
            with job.clouds.source(job.record.source_id) as source:
                for kind in missing:
                    self._tell(source, kind, known, self._put, kind, wanted[kind])

    def _tell(
        self,
        source: Source,
        kind: MarkKind,
        known: Machine | None,
        do: Callable[Concatenate[Source, P], str],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Do it to the machine, wherever it is by now. What may pass is raised, what doesn't is told."""
        job = self._job
        try:
            follow_source(job, source, known)
            job.say(do(source, *args, **kwargs))
        except NotFound:
            job.say(f"{job.record.machine_name} is gone at its source: no {kind} of it is changed.", "warning")
        except LongshoreError as error:
            if job.parks_for(error):
                raise
            job.say(f"The {kind} of {job.record.machine_name} at its source couldn't be changed: {error}", "warning")

    def _put(self, source: Source, kind: MarkKind, text: str) -> str:
        job, ref = self._job, self._job.record.machine_ref
        words = text or self._note()
        owner = Owner(job.id, f"{MARK_STEP}{kind}")
        entry = job.store.ledger.intend(owner, job.record.source_id, ThingKind.SOURCE_MARK, ref)
        if entry.ref is None:
            before = source.before_mark(ref, kind, words)
            if before is None:
                job.store.ledger.settle(entry.id, EntryState.REMOVED, note="it was there before")
                return f"{job.record.machine_name} is marked at its source already ({kind})."
            known = json.dumps([text, words, before])  # as `mark_of` reads it
            job.store.ledger.settle(entry.id, EntryState.INTENDED, ref=known)
        else:
            _, _, words, before = mark_of(entry)
        source.mark(ref, kind, words, before)
        job.store.ledger.settle(entry.id, EntryState.HANDED_OVER)
        return f"{job.record.machine_name} is marked at its source: {kind}{f' {text}' if text else ''}."

    def _take_away(self, source: Source, kind: MarkKind, entry: LedgerRecord) -> str:
        _, _, words, before = mark_of(entry)
        there = bool(words) and source.unmark(self._job.record.machine_ref, kind, words, before)
        self._job.store.ledger.settle(entry.id, EntryState.REMOVED)
        name = self._job.record.machine_name
        return f"The {kind} is gone from {name} at its source." if there else f"{name} hasn't this {kind} any more."

    def _note(self) -> str:
        server = self._job.record.server_id
        return f"Moved to OpenStack on {self._done_at:%Y-%m-%d}, as server {server}. Don't start it here."

    @property
    def _done_at(self) -> datetime:
        record = self._job.record
        return with_zone(record.finished_at or record.created_at)

    def _go_on(self) -> None:
        job = self._job
        due = mark_due(job.request, self._done_at, datetime.now(UTC))
        job.end(
            next_kind=JobKind.MARK if due else None,
            due_at=without_zone(due) if due else None,
            status=Status.DONE,
        )

    def _fail(self, error: LongshoreError) -> None:
        job = self._job
        again = f"Try it again: longshore migration mark-source {job.id}."
        job.say(f"{job.record.machine_name} couldn't be marked at its source: {error} {again}", "error")
        job.end(status=Status.DONE)


def marks_due(request: MigrationRequest, done_at: datetime, now: datetime) -> dict[MarkKind, str]:
    """Return the marks that the machine is to have at this moment, each with its text."""
    later = request.mark_source_later.each() if now >= done_at + timedelta(seconds=request.grace) else {}
    return request.mark_source.each() | later


def mark_due(request: MigrationRequest, done_at: datetime, now: datetime) -> datetime | None:
    """Return when the time of grace is over. None: nothing is to be done then, or it is over."""
    over = done_at + timedelta(seconds=request.grace)
    return over if request.mark_source_later.each() and over > now else None


def _standing(entries: list[LedgerRecord]) -> dict[MarkKind, LedgerRecord]:
    """Return the marks that the machine has, or may have, by their kinds."""
    marks = [e for e in entries if e.kind is ThingKind.SOURCE_MARK and e.state is not EntryState.REMOVED]
    return {mark_of(entry)[0]: entry for entry in marks}
