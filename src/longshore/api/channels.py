"""Channels, as they go over the wire. Lengths of time are in seconds."""

from typing import Annotated

from pydantic import Field, SecretStr

from longshore.api.schemas import ONE_LINE, Moment, Name, Strict
from longshore.model.channel import LONGEST_DIGEST, WAITS_AFTER, ChannelKind, Occasion, Tls
from longshore.model.quantity_fields import Seconds

_SECRETS = ("address", "key", "password")
_Secret = Annotated[SecretStr, Field(max_length=4096)]
ADDRESS = r"^[!-?A-~]+@[!-?A-~]+$"  # of mail
_Line = Annotated[str, Field(min_length=1, max_length=255, pattern=ONE_LINE)]
_Address = Annotated[str, Field(max_length=254, pattern=ADDRESS)]
_Waits = Annotated[Seconds, Field(ge=0, le=30 * 86400)]
_Digest = Annotated[Seconds, Field(ge=0, le=LONGEST_DIGEST)]
_Occasions = Annotated[list[Occasion], Field(min_length=1, max_length=len(Occasion))]


class Mail(Strict):
    """The mail server of a channel, and whom it writes to."""

    host: _Line
    port: int = Field(default=587, ge=1, le=65535)
    sender: _Address
    to: _Address
    tls: Tls = Tls.STARTTLS  # "none": in clear, without user and password
    user: _Line | None = None


class _WithSecrets(Strict):
    address: _Secret | None = None  # of a webhook or chat: https://…
    key: _Secret | None = None  # that a webhook's messages are signed with
    password: _Secret | None = None  # of a mail server's user

    def secrets(self) -> dict[str, str]:
        """Return those secrets that were given, in clear."""
        found = {name: getattr(self, name) for name in _SECRETS}
        return {name: text.get_secret_value() for name, text in found.items() if text is not None}


class NewChannel(_WithSecrets):
    """A channel that is to be made."""

    name: Name
    kind: ChannelKind
    occasions: _Occasions = Field(default_factory=lambda: list(Occasion))
    waits_after: _Waits = WAITS_AFTER  # that something waits for a person before that is told
    quiet: _Line | None = None  # hours in which nothing is sent: "22:00-07:00 Europe/Berlin"
    digest: _Digest = 0.0  # that messages are collected, and sent as one
    mail: Mail | None = None


class ChannelChange(_WithSecrets):
    """Changes to a channel. A field that isn't given stays as it is; an empty key or password is forgotten."""

    occasions: _Occasions | None = None
    waits_after: _Waits | None = None
    quiet: Annotated[str, Field(max_length=255)] | None = None  # empty: none any more
    digest: _Digest | None = None
    mail: Mail | None = None


class Channel(Strict):
    """A channel, and how telling has gone. Its secrets are never shown."""

    id: str
    project_id: str
    name: str
    kind: ChannelKind
    occasions: list[Occasion]
    waits_after: float
    quiet: str | None
    digest: float
    mail: Mail | None
    signed: bool
    created_at: Moment
    waiting: int  # messages that its receiver hasn't taken yet
    failures: int  # tries in a row that it hasn't
    error: str | None  # of the last one
    retry_at: Moment | None
    told_at: Moment | None  # last
    lost: int  # messages that were given up, after three days
