"""The end of a test whose server was to stay for a while: its time has come, or somebody wants it to end now."""

from typing import Any

from longshore.engine.steps import step
from longshore.flows.moves.migration import Migration
from longshore.flows.undo import undo


class CleaningUp(Migration):
    async def run(self) -> None:
        await step("clean-up", type(None), self._clean_up)

    async def _forward(self) -> dict[str, Any] | None:
        raise AssertionError("its machine was seen up already")

    def _clean_up(self) -> None:
        """All that was made for it goes, cancelled or not: it has been seen up, and so it is done."""
        job = self._job
        job.ignore_cancel()
        job.phase("cleaning-up", "Removing what was made for the test.")
        for sentence in undo(job.store, job.clouds, job.id):
            job.say(sentence, "warning")
        self._done({})
