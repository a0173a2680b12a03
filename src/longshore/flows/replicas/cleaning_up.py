"""The end of a test whose server was to stay for a while: its time has come, or somebody wants it to end now."""

from longshore.errors import LongshoreError
from longshore.flows.flow import Flow


class CleaningUp(Flow):
    async def _forward(self) -> None:
        await self._job.step("clean-up", self._clean_up)

    def _fail(self, error: LongshoreError) -> None:
        """Raise the error. The test itself has succeeded: what is left of it is in the ledger, for a
        further clean-up."""
        self._job.ignore_cancel()
        raise error

    def _clean_up(self) -> None:
        """Remove all that was made for the test, cancelled or not: it has been seen up, and so it is done."""
        job = self._job
        job.ignore_cancel()
        job.phase("cleaning-up", "Removing what was made for the test.")
        self._remove_made()
        self._done({})
