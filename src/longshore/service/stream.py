"""A migration's events as they happen: server-sent events, for those who would otherwise ask again and again."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse

from longshore.api.schemas import Event
from longshore.errors import NotFound
from longshore.service.caller import Access, Forbidden, IdentityUnavailable, Unauthenticated
from longshore.service.parts import TheCaller, TheStore, judged_router
from longshore.service.streams import OF_A_PROJECT, Streams
from longshore.service.turns import Busy
from longshore.store import EventRecord, Store

router = judged_router("/v1")

_LOOK = 0.5  # seconds between looks for what is new
_ALIVE = 15.0  # seconds without a word after which one is sent: proxies end connections that are silent
_JUDGE = 10.0  # seconds between looks whether the token is still valid
_LONGEST = 240.0  # seconds; the client comes back with its token, which is judged anew then


@router.get(
    "/migrations/{migration}/events/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events"}},
)
def stream(
    migration: str,
    *,
    request: Request,
    store: TheStore,
    caller: TheCaller,
    after: Annotated[int, Query(ge=0, le=(1 << 63) - 1)] = 0,
    last_event_id: Annotated[str | None, Header(description="Sent by a client that comes back.")] = None,
) -> StreamingResponse:
    """What happens in it, as server-sent events: `migration` with an Event each, and `ended` with its status.

    A client that loses the connection, as every few minutes, comes back with the id of the last event it had.
    """
    record = store.migrations.get(migration)
    streams: Streams = request.app.state.streams
    if streams.full(caller.project_id):
        raise Busy(
            f"Your project follows {OF_A_PROJECT} migrations already.", advice="End a stream, or ask for the events."
        )
    known = int(last_event_id) if last_event_id and re.fullmatch("[0-9]{1,18}", last_event_id) else after
    access: Access | None = request.app.state.access
    if access is None:
        told = _told(store, record.id, known)
    else:
        judge = partial(access.tokens.caller_now, "GET", request.scope["path"], dict(request.headers))
        told = streams.counted(caller.project_id, _told(store, record.id, known, judge))
    return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _told(
    store: Store, migration_id: str, after: int, judge: Callable[[], object] | None = None
) -> AsyncIterator[str]:
    """`judge` raises when the token that it was asked for with is no longer valid."""
    now = asyncio.get_running_loop().time
    until, judged = now() + _LONGEST, now()
    silent = 0.0
    while now() < until:
        if judge is not None and now() - judged >= _JUDGE:
            judged = now()
            if not await asyncio.to_thread(_is_valid, judge):
                return  # the client comes back, and is told what is wrong
        try:  # its state first: what was said before it ended is then among the events
            record = await asyncio.to_thread(store.migrations.get, migration_id)
        except NotFound:
            return
        events = await asyncio.to_thread(store.events.of, migration_id, after)
        for event in events:
            after = event.id
            yield _event(event)
        if record.status.ended and not events:
            yield f"event: ended\ndata: {json.dumps({'status': record.status})}\n\n"
            return
        silent = 0.0 if events else silent + _LOOK
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


def _event(event: EventRecord) -> str:
    body = Event(id=event.id, at=event.at, level=event.level, phase=event.phase, text=event.text)
    return f"id: {event.id}\nevent: migration\ndata: {body.model_dump_json()}\n\n"
