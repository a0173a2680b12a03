"""The course of any job of the engine, whether it moves something or not: it goes forward, hands over or rolls back."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Collection, Sequence
from threading import Event
from typing import Any, ClassVar, TypeVar

from longshore.errors import Cancelled, ChangedMeanwhile, LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.undo import undo
from longshore.model.job import JobKind
from longshore.model.status import Status
from longshore.store import ThingKind

T = TypeVar("T")

_FIGURES_EVERY = 0.5  # seconds


class Flow(ABC):
    """One run of a job. Whatever it does outside of itself is in a step; between steps it only decides."""

    _failure_step: ClassVar[str] = "roll-back"  # takes what `_fail` does

    def __init__(self, job: MoveContext) -> None:
        self._job = job

    async def run(self) -> None:
        try:
            result = await self._forward()
        except LongshoreError as error:
            await self._job.step(self._failure_step, self._fail, error)
        else:  # it is done: whatever fails from here on, nothing of it is taken back
            if result is not None:
                self._job.only_end()
                await self._job.step("hand-over", self._hand_over, result)

    async def end_unknown(self) -> None:
        """End a cancelled one whose order of steps this version doesn't know, by its record and the ledger alone."""
        self._job.only_end()
        await self._job.step("end", self._end_unknown)

    def _end_unknown(self) -> None:
        self._roll_back(Cancelled("The migration was cancelled."))

    @abstractmethod
    async def _forward(self) -> dict[str, Any] | None:
        """Do the work. Return its result, for the record; None where the job has ended, or a further one is queued.

        Raise LongshoreError.
        """

    def _start(self) -> None:
        self._job.store.migrations.update(self._job.id, status=Status.RUNNING)
        self._job.store.migrations.stamp(self._job.id, "started_at")

    # The end

    def _hand_over(self, result: dict[str, Any]) -> None:
        """Remove what was made on the way, and end the job."""
        self._remove_made()
        self._done(result)

    def _remove_made(self, kinds: Collection[ThingKind] | None = None) -> None:
        """Remove what was made and isn't handed over, or of that these kinds alone. Say what couldn't be removed."""
        job = self._job
        wanted = None if kinds is None else lambda entry: entry.kind in kinds
        job.say_each(undo(job.store, job.clouds, job.id, wanted), "warning")

    def _done(self, result: dict[str, Any]) -> None:
        job = self._job
        found = job.store.migrations.get(job.id).result or {}  # in the guest
        job.say("Done.", phase="done")
        job.end(
            next_kind=self._followed_by(),
            status=Status.DONE,
            phase="done",
            result={**found, **result},
        )

    def _followed_by(self) -> JobKind | None:
        """Return the kind of the job that its record has next, once this one is done; None: there is none."""
        return None

    def _fail(self, error: LongshoreError) -> None:
        """End the job after this error, or after a cancel. Unless a kind of job does otherwise, it is rolled back."""
        self._roll_back(error)

    def _roll_back(self, error: LongshoreError) -> None:
        job = self._job
        cancelled = error.code == "cancelled"
        # A target that was up before something failed after all isn't the user's: it is taken back like the rest
        job.store.migrations.update(job.id, status=Status.ROLLING_BACK, phase="rolling-back", target_up_at=None)
        job.say("Taking back everything that was made.")
        if not cancelled:
            job.say(str(error), "error")
        job.ignore_cancel()
        left = self._take_back()
        job.say_each(left, "error")
        job.end(
            status=Status.CANCELLED if cancelled else Status.FAILED,
            phase="rolled-back",
            error=" ".join([str(error), *left]),
            error_code=error.code,
        )

    def _take_back(self) -> list[str]:
        """Take back what it has made. Return a sentence for each thing that isn't as it was before."""
        return undo(self._job.store, self._job.clouds, self._job.id)

    async def _side_by_side(self, steps: Sequence[Awaitable[T]]) -> list[T]:
        """Return the results of all steps, in their order.

        Every step ends before any error is raised, so that nothing is taken back under a step that still runs. Of
        several errors one that isn't a cancel is raised.
        """
        outcomes = await asyncio.gather(*steps, return_exceptions=True)
        errors = [o for o in outcomes if isinstance(o, BaseException)]
        for error in sorted(errors, key=lambda e: isinstance(e, LongshoreError) and e.code == "cancelled"):
            raise error
        return [o for o in outcomes if not isinstance(o, BaseException)]


class AnsweringFlow(Flow):
    """The course of a job for whose answer somebody waits. Whatever ends it, what it has done stays."""

    def _fail(self, error: LongshoreError) -> None:
        job = self._job
        given_up = error.code in (Cancelled.code, ChangedMeanwhile.code)
        job.say(str(error), "information" if given_up else "error", phase="cancelled")
        job.end(
            status=Status.CANCELLED if given_up else Status.FAILED,
            phase="cancelled",
            error=str(error),
            error_code=error.code,
        )


class JobFigures:
    """The figures of a job, kept for those who ask how far it is. Each call looks whether the job is to end, too.

    `by_itself`: it raises Cancelled then. Otherwise it sets `stop`, and what is under way ends.
    """

    def __init__(self, job: MoveContext, *, by_itself: bool) -> None:
        self.stop = Event()
        self.figures: dict[str, Any] = {}
        self._job = job
        self._by_itself = by_itself
        self._written = -_FIGURES_EVERY

    def __call__(self, done: int, total: int, doing: str) -> None:
        self.figures = {"done": done, "total": total, "doing": doing}
        if self._by_itself:
            self._job.raise_if_cancelled()
        elif self._job.store.migrations.cancel_requested(self._job.id):
            self.stop.set()
        if time.monotonic() - self._written >= _FIGURES_EVERY:
            self._written = time.monotonic()
            self._job.store.migrations.update(self._job.id, result=self.figures)
