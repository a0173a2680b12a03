"""Routes that may be asked without a token: which versions there are, and whether the service lives and can work."""

from typing import Any, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from longshore.service.parts import judged_router
from longshore.store import Store

router = judged_router()


class Health(BaseModel):
    status: Literal["ok", "unavailable"]
    detail: str = ""


@router.get("/")
async def versions(request: Request) -> dict[str, Any]:
    """Return which versions of the API there are, and where."""
    href = str(request.base_url.replace(path="/v1"))
    return {"versions": [{"id": "v1.0", "status": "CURRENT", "links": [{"rel": "self", "href": href}]}]}


@router.get("/healthz")
async def healthz() -> Health:
    """Answer that the process lives."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Health}})
async def readyz(request: Request, response: Response) -> Health:
    """Answer whether the service can work: that its database answers."""
    # In a thread of its own: those of requests may all be waiting for something
    if not await to_thread.run_sync(_answers, request.app.state.store, limiter=CapacityLimiter(1)):
        response.status_code = 503
        return Health(status="unavailable", detail="The database doesn't answer.")
    return Health(status="ok")


def _answers(store: Store) -> bool:
    try:
        with store.database.session() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True
