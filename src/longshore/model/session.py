"""The session of somebody who has logged in to the pages of a server."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from longshore.errors import LongshoreError


class SessionKind(StrEnum):
    """The kind of session that a browser's key opens: a key of one kind is none of another."""

    OPEN = "open"
    HALF = "half"  # its password was right, and its passcode is missing
    WAITING = "waiting"  # Keystone has sent it, and its user hasn't said yet that it is theirs


@dataclass(frozen=True, slots=True)
class Session:
    """`bound`: its token is of one project, and none of another can be had with it. `everything`: things of all
    projects are shown. `token`: of the project; `identity`: by which Keystone gives those of projects.
    `lent`: that is a token which somebody has brought."""

    user_id: str
    user_name: str
    project_id: str | None  # None: not chosen yet
    project_name: str
    bound: bool
    everything: bool
    ends_at: datetime  # in UTC, whatever is done meanwhile
    form_token: str = field(repr=False)  # every form that changes has it
    identity: str = field(repr=False)
    token: str = field(repr=False)
    lent: bool = False


class PasscodeWanted(LongshoreError):
    """Somebody's password was right, and a passcode has to follow. `key`: for the browser, by which it is taken."""

    code = "passcode-wanted"

    def __init__(self, key: str) -> None:
        super().__init__("Keystone asks for a passcode besides the password.")
        self.key = key
