"""Links that show a project's overview on a wall, as they go over the wire."""

from pydantic import BaseModel, ConfigDict

from longshore.api.backups import Name
from longshore.api.schemas import Moment


class NewWallLink(BaseModel):
    """A link that is to be made: in at most 31 days it ends."""

    model_config = ConfigDict(extra="forbid")

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
