"""Channels, by which people are told of what can't wait: where they lead, and what goes by them."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from longshore.errors import InvalidInput

WAITS_AFTER = 1800.0  # seconds that something waits for a person before that is told
LONGEST_DIGEST = 86400.0  # seconds
OPERATORS = "operator"  # id and name of the channel that is the operator's command

_QUIET = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d) ([A-Za-z0-9_+/-]{1,64})")


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"  # JSON to an address, signed where there is a key
    MAIL = "mail"  # by an SMTP server
    SLACK = "slack"  # JSON as Slack, Mattermost and Rocket.Chat take it
    TEAMS = "teams"  # a card as Microsoft Teams' workflows take it
    COMMAND = "command"  # a program of the operator's, of the configuration alone

    @property
    def posts(self) -> bool:
        """Tell whether it is told by a POST to an address."""
        return self in (ChannelKind.WEBHOOK, ChannelKind.SLACK, ChannelKind.TEAMS)


class Occasion(StrEnum):
    """The rules of a channel: on which occasions something goes by it."""

    WAVE_ENDED = "wave-ended"
    FAILED = "failed"
    WAITS = "waits"  # for a person, for longer than a time that is set
    PARKED = "parked"
    WINDOW = "window"  # a cutover's window is in danger, or has passed
    RPO = "rpo"  # of a replica, missed
    REPLICA = "replica"  # one has drifted, is suspect or can't land
    VAULT = "vault"  # one doesn't answer, or what was done about it failed


class Tls(StrEnum):
    """The way in which a mail server is spoken to."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"  # in clear, so without a password


@dataclass(frozen=True, slots=True)
class MailServer:
    host: str
    port: int
    sender: str
    to: str  # one address: whoever is refused alone couldn't be told without telling others twice
    tls: Tls = Tls.STARTTLS
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that stands, and is told once it has stood for `after` seconds."""

    occasion: Occasion
    kind: str  # of what it is about: migration, plan, replica, vault
    id: str
    name: str
    text: str
    after: float = 0.0
    over: str | None = None  # what is told when it is over; None: nothing is


@dataclass(frozen=True, slots=True)
class Notice:
    """One delivery, which is the same at each try: receivers know one that they have had by its id."""

    id: str
    channel: str
    messages: tuple[dict[str, str], ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of each day in which nothing is sent. Those that end before they begin go past midnight."""

    begin: time
    end: time
    zone: ZoneInfo

    def over_at(self, now: datetime) -> datetime:
        """Return when what is to be told `now` may be: `now` itself outside of the hours. `now` has its zone."""
        there = now.astimezone(self.zone)
        clock = there.time().replace(tzinfo=None)
        if self.begin <= self.end:
            within, days = self.begin <= clock < self.end, 0
        else:
            within, days = clock >= self.begin or clock < self.end, int(clock >= self.begin)
        if not within:
            return now
        return datetime.combine(there.date() + timedelta(days=days), self.end, self.zone).astimezone(UTC)


def read_quiet(text: str) -> QuietHours:
    """Return quiet hours as people write them: "22:00-07:00 Europe/Berlin". Raises InvalidInput."""
    wrong = InvalidInput(
        "Those are no quiet hours.", advice='Write them as "22:00-07:00 Europe/Berlin".', field="quiet"
    )
    found = _QUIET.fullmatch(text)
    if found is None or found[1] == found[2]:
        raise wrong
    try:
        return QuietHours(time.fromisoformat(found[1]), time.fromisoformat(found[2]), ZoneInfo(found[3]))
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise wrong from None
