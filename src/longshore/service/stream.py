"""A migration's events as they happen: server-sent events, for those who would otherwise ask again and again."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from longshore.service.parts import TheStore
from longshore.service.schemas import Event
from longshore.store import EventRecord, Store

router = APIRouter(prefix="/v1")

_LOOK = 0.5  # seconds between looks for what is new
_ALIVE = 15.0  # seconds without a word after which one is sent: proxies end connections that are silent
_LONGEST = 240.0  # seconds; the client comes back with its token, which is judged anew then


@router.get(
    "/migrations/{migration}/events/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events"}},
)
def stream(
    migration: str,
    store: TheStore,
    after: Annotated[int, Query(ge=0, le=(1 << 63) - 1)] = 0,
    last_event_id: Annotated[str | None, Header(description="Sent by a client that comes back.")] = None,
) -> StreamingResponse:
    """What happens in it, as server-sent events: `migration` with an Event each, and `ended` with its status.

    A client that loses the connection, as every few minutes, comes back with the id of the last event it had.
    """
    record = store.migrations.get(migration)
    known = int(last_event_id) if last_event_id and re.fullmatch("[0-9]{1,18}", last_event_id) else after
    return StreamingResponse(
        _told(store, record.id, known), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _told(store: Store, migration_id: str, after: int) -> AsyncIterator[str]:
    until = asyncio.get_running_loop().time() + _LONGEST
    silent = 0.0
    while asyncio.get_running_loop().time() < until:
        # Its state first: what was said before it ended is then among the events
        record = await asyncio.to_thread(store.migrations.get, migration_id)
        events = await asyncio.to_thread(store.migrations.events, migration_id, after)
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


def _event(event: EventRecord) -> str:
    body = Event(id=event.id, at=event.at, level=event.level, phase=event.phase, text=event.text)
    return f"id: {event.id}\nevent: migration\ndata: {body.model_dump_json()}\n\n"
