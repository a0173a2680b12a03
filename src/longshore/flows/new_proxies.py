"""A proxy is made at a source, of the relay's image. What was made of it goes again when anything fails."""

from pathlib import Path
from typing import Any

from longshore.flows.flow import Flow, JobFigures
from longshore.model.request import ProxyRequest
from longshore.model.target import Owner
from longshore.store import EntryState, ThingKind

STEP = "proxy"
_SAID_EVERY = 20  # per cent


class MakingProxy(Flow):
    async def _forward(self) -> dict[str, Any]:
        await self._job.step("start", self._start)
        return await self._job.step(STEP, self._make)

    def _make(self) -> dict[str, Any]:
        """Return the reference of the machine. Whoever runs it again after it was handed over has nothing to do."""
        job, asked, owner = self._job, self._job.asked, Owner(self._job.id, STEP)
        assert isinstance(asked, ProxyRequest)
        ledger, provider = job.store.ledger, job.record.source_id
        entry = ledger.intend(owner, provider, ThingKind.PROXY, parent=asked.proxy.name)
        if entry.state is EntryState.HANDED_OVER:
            return {"reference": entry.ref}
        job.begin_phase("deploying", f"Making the proxy {asked.proxy.name}.")
        show, said = JobFigures(job, by_itself=True), ("", 0)

        def told(percent: int, doing: str) -> None:
            nonlocal said
            if (now := (doing, percent // _SAID_EVERY)) != said:
                said = now
                job.say(f"{doing} ({percent} %)" if 0 < percent < 100 else doing)
            show(percent, 100, doing)

        with job.clouds.source(provider) as source:
            reference = source.create_proxy(asked.proxy, Path(asked.image), owner, told)
        ledger.settle(entry.id, EntryState.HANDED_OVER, ref=reference)
        return {"reference": reference}
