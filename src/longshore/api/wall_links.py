"""Links that show a project's overview on a wall, as they go over the wire."""

from pydantic import BaseModel

from longshore.api.schemas import Moment, Name, Strict


class NewWallLink(Strict):
    """A link that is to be made: in at most 31 days it ends."""

    name: Name
    ends_at: Moment


class WallLink(BaseModel):
    """A link, without what is secret in it."""

    id: str
    project_id: str
    name: str
    user_id: str  # who made it
    created_at: Moment
    ends_at: Moment


class MadeWallLink(WallLink):
    """A link that was just made. `path`: below the server's address; it is told this once."""

    path: str
