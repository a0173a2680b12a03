"""Channels: by which people are told what can't wait, and how that has gone."""

import uuid
from typing import Any

from longshore.api.channels import Channel, ChannelChange, Mail, NewChannel
from longshore.engine import embedded
from longshore.errors import InvalidInput, LongshoreError, ProviderError
from longshore.flows.telling.sending import TROUBLES, check_address, send, why
from longshore.model.channel import ChannelKind, MailServer, Notice, Tls, read_quiet
from longshore.service.paging import ThePage
from longshore.service.parts import TheStore, Turn, judged_router
from longshore.service.shapes import shaped
from longshore.store.channels import ChannelRecord
from longshore.store.channels import NewChannel as Added
from longshore.store.rows import filled
from longshore.store.tables import utc_now, with_zone

router = judged_router("/v1")
_TRIED = "This is a test. Whoever reads it is told what can't wait by this channel."


@router.get("/channels")
def channels(store: TheStore, page: ThePage) -> list[Channel]:
    """List the project's channels, and how telling has gone."""
    return [_shown(record) for record in page.of(store.channels.all(), lambda record: record.id)]


@router.post("/channels", status_code=201)
def create(body: NewChannel, store: TheStore) -> Channel:
    """Make a channel. From now on it tells what happens on its occasions, and what stands already of replicas, vaults
    and what waits.
    """
    secrets = {name: text for name, text in body.secrets().items() if text}
    mail = _server(body.mail)
    _refuse_unfit(body.kind, secrets, mail)
    if body.quiet is not None:
        read_quiet(body.quiet)
    occasions = tuple(dict.fromkeys(body.occasions))
    new = filled(Added, body, occasions=occasions, mail=mail, secrets=secrets)
    return _shown(store.channels.add(new))


@router.get("/channels/{channel}")
def channel(channel: str, store: TheStore) -> Channel:
    """Show a channel, by its name or id."""
    return _shown(store.channels.get(channel))


@router.patch("/channels/{channel}")
def change(channel: str, body: ChannelChange, store: TheStore) -> Channel:
    """Change a channel. What waits to go by it is tried again at once. A password is of its server and user: for others
    it has to be given anew.
    """
    was = store.channels.get(channel)
    fields: dict[str, Any] = {
        name: getattr(body, name) for name in ("waits_after", "digest") if getattr(body, name) is not None
    }
    if body.occasions is not None:
        fields["occasions"] = [one.value for one in dict.fromkeys(body.occasions)]
    if body.quiet is not None:
        fields["quiet"] = body.quiet or None
        if body.quiet:
            read_quiet(body.quiet)
    given = body.secrets()
    mail = _server(body.mail)
    if mail is not None and was.mail is not None and _who(mail) != _who(was.mail) and not given.get("password"):
        # Else whoever may change it would be handed it by a server of their own
        given["password"] = ""
    kept = {name: text for name, text in (store.channels.secrets(was.id) | given).items() if text}
    _refuse_unfit(was.kind, kept, mail or was.mail)
    record = store.channels.change(was.id, fields, mail, given)
    if record.waiting:
        embedded.ensure_running(store.state)
    return _shown(record)


@router.delete("/channels/{channel}", status_code=204)
def remove(channel: str, store: TheStore) -> None:
    """Delete a channel, with what waits to go by it."""
    store.channels.remove(channel)


@router.post("/channels/{channel}/test", status_code=204, dependencies=[Turn])
def test(channel: str, store: TheStore) -> None:
    """Have a test told by a channel at once, whatever its hours, and say what went wrong if its receiver hasn't taken
    it. What waits stays as it is.
    """
    record = store.channels.get(channel)
    now = with_zone(utc_now()).isoformat(timespec="seconds")
    told = {"occasion": "test", "state": "begins", "text": _TRIED, "at": now}
    message = {**told, "kind": "channel", "id": record.id, "name": record.name}
    try:
        send(store, record, Notice(str(uuid.uuid4()), record.name, (message,)))
    except LongshoreError:
        raise
    except TROUBLES as error:
        raise ProviderError(why(error), code="not-told") from None


def _refuse_unfit(kind: ChannelKind, secrets: dict[str, str], mail: MailServer | None) -> None:
    """Raise InvalidInput where a channel of that kind lacks something, or has what it can't use."""
    if kind is ChannelKind.COMMAND:
        raise InvalidInput(
            "A command is the operator's alone.", advice="It is alert_command in the configuration.", field="kind"
        )
    if kind.posts:
        if "address" not in secrets:
            raise InvalidInput(f"A channel of kind {kind} needs an address.", field="address")
        check_address(secrets["address"])
    elif mail is None:
        raise InvalidInput("A channel of kind mail needs a mail server.", field="mail")
    elif mail.tls is Tls.NONE and (mail.user or "password" in secrets):
        raise InvalidInput("Without TLS neither user nor password go over the network.", field="tls")
    elif bool(mail.user) != ("password" in secrets):
        raise InvalidInput("A user and a password are given together, or neither.", field="password")
    usable = {"address", "key"} if kind is ChannelKind.WEBHOOK else {"address"} if kind.posts else {"password"}
    for name in secrets.keys() - usable:
        raise InvalidInput(f"A channel of kind {kind} has no {name}.", field=name)
    if kind.posts and mail is not None:
        raise InvalidInput(f"A channel of kind {kind} has no mail server.", field="mail")


def _who(mail: MailServer) -> tuple[object, ...]:
    """Return what a password is for."""
    return mail.host, mail.port, mail.tls, mail.user


def _server(mail: Mail | None) -> MailServer | None:
    return MailServer(**mail.model_dump()) if mail is not None else None


def _shown(record: ChannelRecord) -> Channel:
    mail = shaped(Mail, record.mail) if record.mail is not None else None
    return shaped(Channel, record, occasions=list(record.occasions), mail=mail)
