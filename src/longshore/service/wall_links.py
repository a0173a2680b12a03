"""Links that show a project's overview on a wall, until they end: read-only, and without a log-in."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from longshore.api.wall_links import MadeWallLink, NewWallLink, WallLink
from longshore.errors import Conflict, InvalidInput
from longshore.service.paging import ThePage
from longshore.service.parts import TheCaller, TheStore, judged_router
from longshore.service.shapes import shaped
from longshore.store.tables import with_zone

LONGEST = timedelta(days=31)
router = judged_router("/v1")


@router.get("/wall-links")
def wall_links(store: TheStore, page: ThePage) -> list[WallLink]:
    """List the project's links for walls that haven't ended."""
    return [shaped(WallLink, one) for one in page.of(store.wall_links.all(), lambda one: one.id)]


@router.post("/wall-links", status_code=201)
def create(body: NewWallLink, store: TheStore, caller: TheCaller) -> MadeWallLink:
    """Make a link that shows the project's overview to whoever has it, until it ends. What is secret in it is told in
    this answer alone.
    """
    if not caller.remote:
        raise Conflict("Only a server has links for walls: these pages are yours alone.", code="not-a-server")
    now, ends_at = datetime.now(UTC), with_zone(body.ends_at)
    if not now < ends_at <= now + LONGEST:
        raise InvalidInput(f"A wall link ends in the future, in at most {LONGEST.days} days.", field="ends_at")
    made, key = store.wall_links.add(body.name, caller.user_id, ends_at)
    return shaped(MadeWallLink, made, path=f"/ui/wall/open?key={quote(key)}")


@router.delete("/wall-links/{wall_link}", status_code=204)
def remove(wall_link: str, store: TheStore) -> None:
    """Take a link back, by its name or id. What it shows stands still at once."""
    store.wall_links.remove(wall_link)
