"""A link that shows a project's overview on a wall, to whoever has it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WallLink:
    """A link, without its key. Moments are in UTC, and say so."""

    id: str
    project_id: str
    name: str
    user_id: str  # who made it
    created_at: datetime
    ends_at: datetime
