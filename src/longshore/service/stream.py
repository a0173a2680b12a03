"""Events of a migration, or of all of a plan, as server-sent events: for those who would otherwise ask again and
again."""

import asyncio
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from longshore.api.schemas import Event, PlanEvent
from longshore.errors import Busy, NotFound
from longshore.service.caller import Access, Forbidden, IdentityUnavailable, Unauthenticated
from longshore.service.opened_plan import counted, open_plans, states_of
from longshore.service.parts import TheCaller, TheStore, judged_router
from longshore.service.turns import OF_STREAMS, Streams
from longshore.store import Store

Look = Callable[[], tuple[list[str], str | None]]  # what is to be sent now; and the last word, when nothing more comes
Said = tuple[int, Event]  # an event's number, and what is told of it

router = judged_router("/v1")

_LOOK = 0.5  # seconds between looks for what is new
_ALIVE = 15.0  # seconds without a word after which one is sent: proxies end connections that are silent
_JUDGE = 10.0  # seconds between looks whether the token is still valid
_COMMITS_WITHIN = 3.0  # seconds: an event that was numbered before another may be there later by as much
_AT_ONCE = 1000  # events that are read
_LONGEST = 240.0  # seconds; the client comes back with its token, which is judged anew then


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events"}
}


@dataclass(frozen=True, slots=True)
class _Listener:
    """Somebody who follows events, and which they know already."""

    request: Request
    caller: TheCaller
    after: Annotated[int, Query(ge=0, le=(1 << 63) - 1)] = 0
    last_event_id: Annotated[str | None, Header(description="Sent by a client that comes back.")] = None

    @property
    def known(self) -> int:
        id_ = self.last_event_id
        return int(id_) if id_ and re.fullmatch("[0-9]{1,18}", id_) else self.after

    def streamed(self, look: Look) -> StreamingResponse:
        """Return a stream of what `look` finds. Raises Busy."""
        streams: Streams = self.request.app.state.streams
        if streams.full(self.caller.project_id):
            raise Busy(
                f"Your project follows {OF_STREAMS} migrations and plans already.",
                advice="End a stream, or ask for the events.",
            )
        access: Access | None = self.request.app.state.access
        if access is None:
            told = _told(look)
        else:
            asked = self.request.scope["path"], dict(self.request.headers)
            told = streams.counted(
                self.caller.project_id, _told(look, partial(access.tokens.caller_now, "GET", *asked))
            )
        return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


_TheListener = Annotated[_Listener, Depends(_Listener)]


@router.get("/migrations/{migration}/events/stream", response_class=StreamingResponse, responses=_STREAM)
def stream(migration: str, store: TheStore, listener: _TheListener) -> StreamingResponse:
    """Stream what happens in a migration, as server-sent events: `migration` with an Event each, and `ended` with its
    status.

    A client that loses the connection, as every few minutes, comes back with the id that came last: it misses nothing,
    and may be told again what it was told in the last seconds. The `id` within each event says which it is.
    """
    record = store.migrations.get(migration)
    return listener.streamed(_OfMigration(store, record.id, listener.known).look)


@router.get("/plans/{name}/events/stream", response_class=StreamingResponse, responses=_STREAM)
def plan_stream(name: str, store: TheStore, listener: _TheListener) -> StreamingResponse:
    """Stream what happens in all migrations of a plan, as server-sent events: `migration` with a PlanEvent each, and
    `ended` with how many of its machines are in which state, when nothing of it is under way.

    A client that loses the connection, as every few minutes, comes back with the id that came last: it misses nothing,
    and may be told again what it was told in the last seconds. The `id` within each event says which it is.
    """
    record = store.plans.get(name)
    return listener.streamed(_OfPlan(store, record.id, listener.known).look)


async def _told(look: Look, judge: Callable[[], object] | None = None) -> AsyncIterator[str]:
    """Yield what `look` finds. `judge` raises when the token that it was asked for with is no longer valid."""
    now = asyncio.get_running_loop().time
    until, judged = now() + _LONGEST, now()
    silent = 0.0
    while now() < until:
        if judge is not None and now() - judged >= _JUDGE:
            judged = now()
            if not await asyncio.to_thread(_is_valid, judge):
                return  # the client comes back, and is told what is wrong
        try:
            said, last = await asyncio.to_thread(look)
        except NotFound:
            return
        for one in said:
            yield one
        if last is not None:
            yield last
            return
        silent = 0.0 if said else silent + _LOOK
        if silent >= _ALIVE:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK)


def _is_valid(judge: Callable[[], object]) -> bool:
    try:
        judge()
    except IdentityUnavailable:
        return True  # nobody can know; the stream is short enough
    except (Unauthenticated, Forbidden):
        return False
    return True


class _Followed(ABC):
    """The events of a migration, or of all of a plan.

    Many write at once, and who was numbered first isn't always there first. So what is after what was told lately is
    read again, and only what was told before that counts as known to a client that comes back.
    """

    def __init__(self, store: Store, id_: str, after: int) -> None:
        self._store, self._id, self._settled = store, id_, after
        self._told: dict[int, float] = {}  # when; those after what is settled

    def look(self) -> tuple[list[str], str | None]:
        """Return what is to be sent, and the last event once nothing more comes.

        Whether it has ended is asked first: what was said before that is then among the events.
        """
        end = self._end()
        said, more = self._fresh()
        return said, None if end is None or more else f"event: ended\ndata: {json.dumps(end)}\n\n"

    def _fresh(self) -> tuple[list[str], bool]:
        """Return what is to be sent of events, and whether there may be more."""
        now, before = time.monotonic(), self._settled
        self._settle(now)
        found = self._read()
        new = [(number, body) for number, body in found if number not in self._told]
        self._told |= dict.fromkeys([number for number, _ in new], now)
        said = [f"id: {self._settled}\n\n"] if self._settled > before else []  # of itself that tells a client nothing
        said += [f"id: {self._settled}\nevent: migration\ndata: {body.model_dump_json()}\n\n" for _, body in new]
        return said, bool(new) or len(found) == _AT_ONCE

    def _settle(self, now: float) -> None:
        old = [number for number, at in self._told.items() if now - at >= _COMMITS_WITHIN]
        self._settled = max([self._settled, *old])
        self._told = {number: at for number, at in self._told.items() if number > self._settled}

    @abstractmethod
    def _end(self) -> dict[str, object] | None:
        """Return what is told at last; None while anything is under way. Raises NotFound."""

    @abstractmethod
    def _read(self) -> list[Said]:
        """Return the events after those that are settled."""


class _OfMigration(_Followed):
    def _end(self) -> dict[str, object] | None:
        record = self._store.migrations.get(self._id)
        return {"status": record.status} if record.status.ended else None

    def _read(self) -> list[Said]:
        return [(one.id, Event(**asdict(one))) for one in self._store.events.of(self._id, self._settled, _AT_ONCE)]


class _OfPlan(_Followed):
    def _end(self) -> dict[str, object] | None:
        record = self._store.plans.get(self._id)
        if self._store.outlines.has_under_way(self._id):
            return None
        return {"states": counted(states_of(open_plans(self._store, [record])[0]))}

    def _read(self) -> list[Said]:
        return [
            (one.event.id, PlanEvent(**asdict(one.event), migration=one.migration_id, machine=one.machine_name))
            for one in self._store.events.of_plan(self._id, self._settled, _AT_ONCE)
        ]
