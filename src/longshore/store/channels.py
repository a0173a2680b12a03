"""Channels, and the outbox of what is to go by them.

What stands is compared with what was told in one transaction with the messages that this makes. A channel's messages go
in their order, some of them in one delivery, by one process at a time: it claims the channel for as long as a delivery
may take. A delivery keeps its id until its receiver has taken it.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from longshore.errors import Conflict
from longshore.model.channel import (
    OPERATORS,
    WAITS_AFTER,
    ChannelKind,
    MailServer,
    Message,
    Notice,
    Occasion,
    read_quiet,
)
from longshore.model.status import Status
from longshore.store.clock import clock
from longshore.store.database import Database, through_outages
from longshore.store.part import EVERY_PROJECT, NamedPart, Scope, unique_name
from longshore.store.quota import refuse_more
from longshore.store.rows import filled, in_json, new_row
from longshore.store.tables import (
    BackupPolicyRow,
    ChannelRow,
    MessageRow,
    MigrationRow,
    ProviderRow,
    StandingRow,
    utc_now,
    with_zone,
    without_zone,
)
from longshore.store.texts import Texts

CLAIMED_FOR = 300.0  # seconds, more than a delivery takes at most
KEPT_FOR = timedelta(days=3)  # a message that nobody takes
_AT_ONCE = 100  # messages of one delivery
_PAUSES = (30.0, 3600.0)  # seconds until another try: after the first failure, and at most


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """A channel. Moments are in UTC without a zone, lengths of time in seconds."""

    id: str
    project_id: str
    name: str
    kind: ChannelKind
    occasions: tuple[Occasion, ...]
    waits_after: float
    quiet: str | None
    digest: float
    mail: MailServer | None
    signed: bool
    created_at: datetime
    failures: int
    error: str | None
    retry_at: datetime | None
    told_at: datetime | None
    lost: int
    waiting: int  # messages

    @property
    def of_all(self) -> bool:
        return self.project_id == EVERY_PROJECT


@dataclass(frozen=True, slots=True)
class NewChannel:
    name: str
    kind: ChannelKind
    occasions: tuple[Occasion, ...]
    waits_after: float
    quiet: str | None
    digest: float
    mail: MailServer | None
    secrets: Mapping[str, str]  # in clear: address, key, password


@dataclass(frozen=True, slots=True)
class Delivery:
    channel: ChannelRecord
    claim: str
    notice: Notice


@through_outages
class Channels(NamedPart[ChannelRow]):
    _rows = ChannelRow

    def __init__(self, database: Database, texts: Texts) -> None:
        super().__init__(database)
        self._texts = texts

    def all(self) -> list[ChannelRecord]:
        """Return the channels that the scope sees, by name."""
        with self._database.session() as session:
            return _records(session, session.scalars(self._listed()).all())

    def get(self, name_or_id: str) -> ChannelRecord:
        """Return a channel. Raises NotFound, or Conflict when several others are called so."""
        with self._database.session() as session:
            return _record(session, self._find(session, name_or_id))

    def add(self, new: NewChannel) -> ChannelRecord:
        """Add a channel to the scope's project. Raises Conflict when the name is taken, or there are as many as there
        may be."""
        with self._database.alone() as session:
            if (there := self._made_before(session, new.name)) is not None:
                return _record(session, there)
            unique = self._unique(session, new.name)
            refuse_more(session, self._scope, ChannelRow)
            id_ = str(uuid.uuid4())
            sealed = self._sealed(session, id_, new.secrets)
            own = {"id": id_, "project_id": self._scope.project_id, "unique_name": unique, "secrets": sealed}
            row = new_row(ChannelRow, new, **own)
            session.add(row)
            session.flush()
            return _record(session, row)

    def change(
        self,
        name_or_id: str,
        fields: Mapping[str, Any],
        mail: MailServer | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> ChannelRecord:
        """Set columns of a channel, its mail server if one is given, and those of its secrets that are given, in clear;
        an empty one is forgotten. What waits is tried again at once.

        Raises NotFound, Conflict.
        """
        with self._database.alone() as session:
            _refuse_operators(row := self._find(session, name_or_id))
            for name, value in fields.items():
                setattr(row, name, value)
            if mail is not None:
                row.mail = in_json(mail)
            if secrets:
                added = self._sealed(session, row.id, {name: text for name, text in secrets.items() if text})
                row.secrets = {name: mark for name, mark in row.secrets.items() if name not in secrets} | added
                self._texts.of(session, row.id).forget(but=row.secrets)
            row.retry_at, row.failures = None, 0
            session.flush()
            return _record(session, row)

    def remove(self, name_or_id: str) -> None:
        """Remove a channel with what waits to go by it. Raises NotFound, or Conflict for the operator's."""
        with self._database.alone() as session:
            if (row := self._find_to_remove(session, name_or_id)) is not None:
                _refuse_operators(row)
                self._texts.of(session, row.id).forget()
                session.delete(row)

    def secrets(self, channel_id: str) -> dict[str, str]:
        """Return a channel's secrets in clear: hand them to whoever is told and to nobody else."""
        with self._database.session() as session:
            row = self._find(session, channel_id)
            texts = self._texts.of(session, row.id)
            return {name: texts.opened(mark) for name, mark in row.secrets.items()}

    # For whoever watches and tells

    def keep_operators(self, *, there: bool) -> None:
        """Have the channel of the operator's command be there, or not, as the configuration says."""
        with self._database.session() as session:
            if (session.get(ChannelRow, OPERATORS) is not None) == there:
                return
        with self._database.alone() as session:
            row = session.get(ChannelRow, OPERATORS)
            if row is not None and not there:
                session.delete(row)
            elif row is None and there:
                session.add(
                    ChannelRow(
                        id=OPERATORS,
                        project_id=EVERY_PROJECT,
                        name=OPERATORS,
                        unique_name=unique_name(Scope(EVERY_PROJECT), OPERATORS),
                        kind=ChannelKind.COMMAND.value,
                        occasions=[one.value for one in Occasion],
                        waits_after=WAITS_AFTER,
                        digest=0.0,
                        secrets={},
                    )
                )

    def note(self, channel_id: str, standing: Mapping[str, Message], now: datetime) -> None:
        """Compare what stands, by its key, with what was told, and add the messages that this makes. `now` is in UTC
        without a zone. Nothing happens when the channel is gone."""
        with self._database.session() as session:
            if not _differs(_known(session, channel_id), standing, now):
                return
        with self._database.alone() as session:
            channel = session.get(ChannelRow, channel_id)
            if channel is None:
                return
            known = _known(session, channel_id)
            for key, one in standing.items():
                row = known.get(key)
                if row is None:
                    row = StandingRow(channel_id=channel_id, key=key, since=now, told=False)
                    session.add(row)
                if not row.told and now >= row.since + timedelta(seconds=one.after):
                    session.add(MessageRow(channel_id=channel_id, body=_message(one, one.text, "begins", now)))
                    row.told = True
                    row.over = _message(one, one.over, "ends", now) if one.over else None
            for key, row in known.items():
                if key not in standing:
                    # What it is not to tell any more isn't over
                    if row.over is not None and row.over["occasion"] in channel.occasions:
                        over = {**row.over, "at": _said_at(now)}
                        if not _is_there(session, over["kind"], over["id"]):
                            over["text"] = f"The {over['kind']} of {over['name']} is gone: no more is told of it."
                        session.add(MessageRow(channel_id=channel_id, body=over))
                    session.delete(row)

    def due(self) -> list[ChannelRecord]:
        """Return the channels that have something to tell now, and that nobody is telling."""
        now = utc_now()
        with self._database.session() as session:
            first = select(MessageRow.channel_id, func.min(MessageRow.made_at)).group_by(MessageRow.channel_id)
            oldest: dict[str, datetime] = {channel_id: made_at for channel_id, made_at in session.execute(first)}
            if not oldest:
                return []
            free = ChannelRow.claimed_until.is_(None) | (ChannelRow.claimed_until < clock(self._database.engine))
            rows = session.scalars(select(ChannelRow).where(ChannelRow.id.in_(oldest), free))
            return _records(session, [row for row in rows if _due_at(row, oldest[row.id], now) <= now])

    def has_waiting(self) -> bool:
        """Tell whether any message waits to be told."""
        with self._database.session() as session:
            return session.scalar(select(MessageRow.id).limit(1)) is not None

    def claim(self, channel_id: str, claim: str) -> Delivery | None:
        """Claim a channel's next delivery for this `claim`, which no other process makes. Return None when another one
        has the channel, or nothing waits any more."""
        with self._database.alone() as session:
            now = session.scalar(select(clock(self._database.engine)))
            row = session.get(ChannelRow, channel_id)
            if row is None or now is None or (row.claim != claim and (row.claimed_until or 0.0) > now):
                return None
            waiting = select(MessageRow).where(MessageRow.channel_id == channel_id).order_by(MessageRow.id)
            first = session.scalars(waiting.limit(1)).first()
            if first is None:
                return None
            if first.delivery_id is None:
                messages = session.scalars(waiting.limit(_AT_ONCE)).all()
                delivery_id = str(uuid.uuid4())
                for message in messages:
                    message.delivery_id = delivery_id
            else:
                delivery_id = first.delivery_id
                messages = session.scalars(waiting.where(MessageRow.delivery_id == delivery_id)).all()
            row.claim, row.claimed_until = claim, now + CLAIMED_FOR
            notice = Notice(delivery_id, row.name, tuple(message.body for message in messages))
            session.flush()
            return Delivery(_record(session, row), claim, notice)

    def told(self, delivery: Delivery) -> None:
        """Note that a delivery's receiver has taken it."""
        with self._database.alone() as session:
            sent = MessageRow.delivery_id == delivery.notice.id
            session.execute(delete(MessageRow).where(MessageRow.channel_id == delivery.channel.id, sent))
            free = {"claim": None, "claimed_until": None}
            well = {"failures": 0, "error": None, "retry_at": None, "told_at": utc_now()}
            own = ChannelRow.id == delivery.channel.id
            session.execute(update(ChannelRow).where(own).values(**well))
            session.execute(update(ChannelRow).where(own, ChannelRow.claim == delivery.claim).values(**free))

    def missed(self, delivery: Delivery, why: str) -> None:
        """Note that a delivery wasn't taken, and why: it is tried again later. What is too old is given up, and
        counted. `why` names no secret."""
        now = utc_now()
        with self._database.alone() as session:
            row = session.get(ChannelRow, delivery.channel.id)
            if row is None or row.claim != delivery.claim:
                return
            row.failures += 1
            row.error = why
            row.retry_at = now + timedelta(seconds=min(_PAUSES[0] * 2 ** min(row.failures - 1, 10), _PAUSES[1]))
            row.claim = row.claimed_until = None
            old = MessageRow.channel_id == row.id, MessageRow.made_at < now - KEPT_FOR
            row.lost += session.scalar(select(func.count()).select_from(MessageRow).where(*old)) or 0
            session.execute(delete(MessageRow).where(*old))

    def release(self, channel_id: str, claim: str) -> None:
        """Let go of a channel that was claimed so, without having tried anything."""
        with self._database.session() as session:
            own = ChannelRow.id == channel_id, ChannelRow.claim == claim
            session.execute(update(ChannelRow).where(*own).values(claim=None, claimed_until=None))

    def _sealed(self, session: Session, channel_id: str, secrets: Mapping[str, str]) -> dict[str, str]:
        texts = self._texts.of(session, channel_id)
        return {name: texts.kept(text) for name, text in secrets.items()}


def _refuse_operators(row: ChannelRow) -> None:
    if row.id == OPERATORS:
        raise Conflict(
            "This channel is the operator's command, as the configuration has it.",
            advice="Change alert_command there.",
        )


def _known(session: Session, channel_id: str) -> dict[str, StandingRow]:
    return {row.key: row for row in session.scalars(select(StandingRow).where(StandingRow.channel_id == channel_id))}


def _differs(known: Mapping[str, StandingRow], standing: Mapping[str, Message], now: datetime) -> bool:
    """Tell whether anything has begun, has ended, or is to be told by now."""
    if known.keys() != standing.keys():
        return True
    return any(not row.told and now >= row.since + timedelta(seconds=standing[key].after) for key, row in known.items())


def _message(one: Message, text: str, state: str, now: datetime) -> dict[str, str]:
    said = {"occasion": one.occasion.value, "state": state, "text": text, "at": _said_at(now)}
    return {**said, "kind": one.kind, "id": one.id, "name": one.name}


def _is_there(session: Session, kind: str, id_: str) -> bool:
    """Tell whether what a message is about is there still, of the kinds of which it is told that something is over."""
    if kind == "replica":
        row = session.get(MigrationRow, id_)
        return row is not None and not Status(row.status).ended
    if kind == "vault":
        return session.get(ProviderRow, id_) is not None
    return kind != "backup policy" or session.get(BackupPolicyRow, id_) is not None


def _said_at(now: datetime) -> str:
    return with_zone(now).isoformat(timespec="seconds")


def _due_at(row: ChannelRow, oldest: datetime, now: datetime) -> datetime:
    """Return when a channel's next delivery may be sent; `now` or before: at once."""
    due = oldest + timedelta(seconds=row.digest) if row.retry_at is None else row.retry_at
    if due > now or row.quiet is None:
        return due
    return without_zone(read_quiet(row.quiet).over_at(with_zone(now)))


def _record(session: Session, row: ChannelRow) -> ChannelRecord:
    return _records(session, [row])[0]


def _records(session: Session, rows: Sequence[ChannelRow]) -> list[ChannelRecord]:
    ids = [row.id for row in rows]
    count = select(MessageRow.channel_id, func.count()).where(MessageRow.channel_id.in_(ids))
    waiting: dict[str, int] = {id_: number for id_, number in session.execute(count.group_by(MessageRow.channel_id))}
    return [
        filled(
            ChannelRecord,
            row,
            signed="key" in row.secrets,
            waiting=waiting.get(row.id, 0),
        )
        for row in rows
    ]
