"""The decision after a restore in the place of a server: for good, or back to that server, as its user says."""

from longshore.errors import LongshoreError
from longshore.flows.flow import Flow
from longshore.flows.moves.source_side import power_on_again
from longshore.flows.undo import LASTING, undo
from longshore.model.job import JobKind
from longshore.model.machine import PowerState
from longshore.model.status import Status
from longshore.store import EntryState, ThingKind
from longshore.store.jobs import NEVER


class Deciding(Flow):
    async def _forward(self) -> None:
        await self._job.step("decide", self._decide)

    def _fail(self, error: LongshoreError) -> None:
        """Raise the error. Nothing is taken back unasked: the server was seen up, and somebody may work with it."""
        self._job.ignore_cancel()
        raise error

    def _decide(self) -> None:
        job = self._job
        job.ignore_cancel()
        record = job.store.migrations.get(job.id)
        if record.cancel_requested:
            self._go_back()
        elif record.cutover_requested:
            self._keep()
        else:
            self._wait_on(None)

    def _go_back(self) -> None:
        """Remove the new server, give the one before its ports again, and power it on if it ran.

        While the new server can't be removed, the other one stays off, and this can be asked for again.
        """
        job = self._job
        name = job.record.machine_name
        job.phase("undoing", f"Going back to {name} as it was before.")
        left = undo(job.store, job.clouds, job.id)
        if any(e.kind is ThingKind.SERVER and not e.state.settled for e in job.store.ledger.entries(job.id)):
            self._wait_on(" ".join(left))
            return
        if job.store.migrations.get(job.id).source_power == PowerState.ON.value:
            left.extend(power_on_again(job))
        for sentence in left:
            job.say(sentence, "error")
        job.say("The restore is undone.", phase="undone")
        job.store.migrations.end_job(
            job.id,
            job.job_id,
            status=Status.CANCELLED,
            phase="undone",
            error=" ".join(left) or None,
            error_code="undo-failed" if left else None,
        )

    def _keep(self) -> None:
        job = self._job
        job.phase("committing", f"Keeping {job.record.machine_name} as it is now.")
        for kind in (ThingKind.HOME_PORT, *LASTING):
            job.settle(kind, EntryState.HANDED_OVER)
        self._remove_made()
        job.say(
            f"The server that it was before ({job.replaced.machine_ref}) is yours: off, and without its ports. Delete "
            "it when nothing of it is needed any more."
        )
        self._done({})

    def _wait_on(self, error: str | None) -> None:
        """Queue the next decision, which waits for the user. `error`: why the restore couldn't be undone."""
        job = self._job
        if error is not None:
            job.say(f"The restore isn't undone: {error}", "error")
        job.store.migrations.end_job(
            job.id,
            job.job_id,
            next_kind=JobKind.DECISION,
            due_at=NEVER,
            phase="up",
            cancel_requested=False,
            error=error,
            error_code="undo-failed" if error is not None else None,
        )
