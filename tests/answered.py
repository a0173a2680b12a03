"""Jobs for whose answer somebody waits, done at once by threads of the tests: no engine has to begin for them."""

import asyncio
from contextlib import suppress
from threading import Lock, Thread

from longshore.engine import embedded
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.workflows import KINDS
from longshore.store import WHOLE


class _Direct(MoveContext):
    """Runs its steps without recording them."""

    async def step(self, _name, do, /, *args, **kwargs):
        return await asyncio.to_thread(do, *args, **kwargs)


def answer(monkeypatch, store):
    """Have whatever somebody waits for the answer of begin as soon as an engine is asked for."""
    store, begun, lock = store.scoped(WHOLE), set(), Lock()

    def run(job):
        context = _Direct(store, job.record_id, job.id, kind=job.kind, clouds=Clouds(store))
        context.clouds = Clouds(store, project_id=context.record.project_id)
        with suppress(Exception):  # of a database that is closed when the test is over
            asyncio.run(KINDS[job.kind](context).run())

    def ensure_running(_state):
        with lock:
            new = [one for one in store.queue.records() if one.kind.awaited and one.id not in begun]
            begun.update(one.id for one in new)
        for one in new:
            Thread(target=run, args=(one,), daemon=True).start()

    monkeypatch.setattr(embedded, "ensure_running", ensure_running)
