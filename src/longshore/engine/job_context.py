"""The things that the steps of one job share: its record, its ledger, its events, and whether it is to go on.

A step is durable: it does something outside of the job, and what came of it is recorded, so that a restart doesn't do
it again. It is at-least-once: one that was in flight when the process died runs again, so each finds what an earlier
run of it made. What a step returns, or the error it ended with, is kept as plain JSON; a restarted job is given exactly
the same again, and so takes the same turns.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints, overload

from longshore.engine.parking import PARKS_FOR, Parked
from longshore.engine.retry import retry
from longshore.errors import Cancelled, LongshoreError
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.target import Owner
from longshore.processes.installed import missing_module
from longshore.store import EntryState, LedgerRecord, MigrationRecord, Store, ThingKind

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger("longshore.engine")
_CANCEL_POLL = 0.5  # seconds between looks for a cancel while something long runs


class Cancels:
    """Cancel requests, looked up for all migrations in one query, since many may be waiting to hear of theirs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._asked = -math.inf
        self._found: set[str] = set()

    def has(self, migration_id: str) -> bool:
        """Tell whether a cancel of this migration was requested, as of half a second ago.

        When the answer is older than that, one caller asks the database; the others are given the older answer at once.
        """
        if time.monotonic() - self._asked >= _CANCEL_POLL and self._lock.acquire(blocking=False):
            try:
                self._asked = time.monotonic()
                self._found = self._store.migrations.cancels_requested()
            finally:
                self._lock.release()
        return migration_id in self._found


@dataclass
class JobContext:
    store: Store
    id: str  # of the record, which is what everything made for it is marked with
    job_id: str = ""  # none where something is only cleaned up
    cancels: Cancels | None = None  # shared with others, if there are any
    _record: MigrationRecord | None = None
    _stopped: bool = False
    _ignoring_cancel: bool = False
    _only_ending: bool = False

    # Not cached_property: in Python 3.11 its lock is one for all of them, and would have them read one after another

    @property
    def record(self) -> MigrationRecord:
        """Return the record as it was when first read: use it for what never changes (machine, providers, request)."""
        if self._record is None:
            self._record = self.store.migrations.get(self.id)
        return self._record

    def read_record_again(self) -> None:
        """Forget the record that was read: its machine has another reference by now."""
        self._record = None

    @overload
    async def step(
        self, name: str, do: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    async def step(self, name: str, do: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def step(self, name: str, do: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run `do(*args, **kwargs)` once for good, in a thread unless it is a coroutine function.

        Its result is recorded and read again as the type that its annotation says it returns. Raises LongshoreError,
        also for unforeseen errors; Parked where the job is to go on with this step another time.
        """
        # Loading it takes tenths of a second, which commands that run no steps needn't wait
        from dbos import DBOS

        result = form(get_type_hints(do)["return"])

        async def recorded() -> dict[str, Any]:
            try:
                if iscoroutinefunction(do):
                    value = await do(*args, **kwargs)
                else:
                    value = await asyncio.to_thread(do, *args, **kwargs)
                return {"value": result.dump_python(value, mode="json")}
            except Exception as fault:  # a bug must end in a roll-back, not in a workflow nobody finishes
                error = missing_module(fault) or fault if isinstance(fault, ModuleNotFoundError) else fault
                if isinstance(error, LongshoreError):
                    if self.parks_for(error):
                        raise Parked(error) from fault
                    return {"error": {"code": error.code, "message": error.message, "advice": error.advice}}
                _log.exception("step %s failed unexpectedly", name)
                return {
                    "error": {
                        "code": "internal",
                        "message": f"Step {name} failed in a way Longshore didn't foresee: {type(error).__name__}.",
                        "advice": "The engine's log has the details; please report it.",
                    }
                }

        outcome: dict[str, Any] = await DBOS.run_step_async({"name": name}, recorded)
        if "error" in outcome:
            error = outcome["error"]
            raise LongshoreError(error["message"], advice=error["advice"], code=error["code"])
        return result.validate_python(outcome["value"])

    def phase(self, phase: str, text: str) -> None:
        self.store.events.enter(self.id, phase, text)

    def begin_phase(self, phase: str, text: str) -> None:
        """Put the record into a phase. Raises Cancelled instead once the user has asked for that."""
        self.raise_if_cancelled()
        self.phase(phase, text)

    def say(self, text: str, level: str = "information", *, phase: str | None = None) -> None:
        """Tell the user something, as an event. `phase`: None for the one that the job is in."""
        self.store.events.say(self.id, phase, text, level)

    def say_each(self, sentences: Iterable[str], level: str) -> None:
        for sentence in sentences:
            self.say(sentence, level)

    def directory(self, *names: str) -> Path:
        """Return the directory of the record's files, or one below it, which is made unless it is there."""
        directory = self.store.state.migration(self.id).joinpath(*names)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return directory

    def end(self, *, next_kind: JobKind | None = None, due_at: datetime | None = None, **fields: Any) -> None:
        """End the job, with these columns of its record, and queue the next one, as `end_job` of migrations says."""
        self.store.migrations.end_job(self.id, self.job_id, next_kind=next_kind, due_at=due_at, **fields)

    def begin_together(self) -> None:
        """Forget an earlier `stop`: several things are about to run side by side, of which one may stop the others."""
        self._stopped = False

    def ignore_cancel(self) -> None:
        """Ignore cancels from here on: everything is put back to the end, whatever was cancelled or failed before."""
        self._ignoring_cancel = True

    def only_end(self) -> None:
        """Never park from here on: what fails is told, and the rest is done."""
        self._only_ending = True

    def parks_for(self, error: LongshoreError) -> bool:
        """Tell whether the job is to wait, keeping all it has, until the cause of this error has gone."""
        return error.code in PARKS_FOR and not (self._ignoring_cancel or self._only_ending)

    def stop(self) -> None:
        """Have what else runs in this migration end soon: one of several things side by side has failed."""
        self._stopped = True

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled once the user has asked for it, or once something that runs beside this has failed."""
        if self._ignoring_cancel:
            return
        if self._stopped:
            raise Cancelled("Stopped because another part of the migration failed.")
        if self.store.migrations.cancel_requested(self.id):
            raise Cancelled("The migration was cancelled.")

    async def retry(self, work: Callable[[], Awaitable[T]], about: str = "") -> T:
        """Return what `work` answers, tried again as `longshore.engine.retry` does. Each error that isn't the last is
        told, with `about` before it. Raises Cancelled, and what the last try raised."""

        def again(error: LongshoreError) -> None:
            self.raise_if_cancelled()
            self.say(f"{about}{error} It is tried again.", "warning")

        return await retry(work, before_again=again)

    async def cancellable(self, work: "asyncio.Task[T]") -> T:
        """Wait for work, and cancel it when the user cancels the migration. Raises Cancelled then."""
        while True:
            done, _ = await asyncio.wait({work}, timeout=_CANCEL_POLL)
            if done:
                return work.result()
            try:
                await self._still_wanted()
            except Cancelled:
                work.cancel()
                await asyncio.wait({work})
                raise

    async def _still_wanted(self) -> None:
        if self._stopped or self.cancels is None or await asyncio.to_thread(self.cancels.has, self.id):
            await asyncio.to_thread(self.raise_if_cancelled)

    def make(
        self,
        kind: ThingKind,
        step: str,
        make: Callable[[Owner], T],
        *,
        provider_id: str,
        parent: str | None = None,
        ref: Callable[[T], str],
    ) -> T:
        """Make one thing outside. It is in the ledger before it exists, and its id is noted as soon as it is known."""
        self.raise_if_cancelled()
        entry: LedgerRecord = self.store.ledger.intend(Owner(self.id, step), provider_id, kind, parent)
        thing = make(entry.owner)
        self.store.ledger.settle(entry.id, EntryState.MADE, ref=ref(thing))
        return thing

    def settle(self, kind: ThingKind, state: EntryState) -> None:
        """Note that every entry of a kind that isn't removed has come to this state."""
        self.store.ledger.settle_kind(self.id, kind, state)
