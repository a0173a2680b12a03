"""Channels: by which people are told what can't wait, and how that has gone."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.channels import Channel
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.model.channel import ChannelKind, Occasion, Tls
from longshore.web.forms import Form, whole
from longshore.web.page import Page, declare_form
from longshore.web.rendering import confirm, show_form
from longshore.web.things import one_of
from longshore.web.visit import Visit
from longshore.wording.texts import _, marked

AT = "/ui/channels"
_SETS = "migration:channel:set"
_EVERYBODYS = "migration:all_projects"
_KINDS = {
    ChannelKind.WEBHOOK: marked("Webhook"),
    ChannelKind.MAIL: marked("Mail"),
    ChannelKind.SLACK: marked("Slack, Mattermost"),
    ChannelKind.TEAMS: marked("Microsoft Teams"),
    ChannelKind.COMMAND: marked("The operator's command"),
}
_OCCASIONS = {
    Occasion.WAVE_ENDED: marked("A plan's wave has ended"),
    Occasion.FAILED: marked("Something has failed"),
    Occasion.WAITS: marked("Something waits for you"),
    Occasion.PARKED: marked("Something is parked"),
    Occasion.WINDOW: marked("A cutover's window is in danger"),
    Occasion.RPO: marked("An RPO isn't kept"),
    Occasion.REPLICA: marked("A replica needs somebody"),
    Occasion.VAULT: marked("A vault needs somebody"),
}
_TLS = {
    Tls.STARTTLS: marked("STARTTLS"),
    Tls.IMPLICIT: marked("From the first byte"),
    Tls.NONE: marked("None, and no password"),
}
_SECRETS = ("address", "key", "password")
_TEXTS = ("name", "kind", "waits_after", "quiet", "digest")
_SERVER = ("host", "port", "sender", "to", "tls", "user")
_FIELDS = (*_TEXTS, *_SECRETS, *_SERVER, "occasions")


async def opened(_request: Request) -> Form:
    on = [one.value for one in Occasion]
    return Form({"kind": ["webhook"], "waits_after": ["30m"], "occasions": on, "tls": ["starttls"]})


async def create(request: Request, said: Form) -> str:
    await request.state.asking.ask(Channel, "POST", "/v1/channels", _body(said))
    return AT


async def opened_to_change(request: Request) -> Form:
    channel = await _one(request, request.query_params.get("channel", ""))
    texts = {"name": channel.name, "kind": channel.kind.value, "quiet": channel.quiet or ""}
    texts |= {
        "waits_after": f"{channel.waits_after:.0f}s",
        "digest": f"{channel.digest:.0f}s" if channel.digest else "",
    }
    if channel.mail is not None:
        texts |= {name: str(value) for name, value in channel.mail.model_dump(mode="json").items() if value is not None}
    was = {name: [text] for name, text in texts.items()} | {"channel": [channel.id]}
    return Form({**was, "occasions": [one.value for one in channel.occasions]})


async def change(request: Request, said: Form) -> str:
    """Change a channel as its form says. Of its secrets those that are given; the others stay."""
    channel = await _one(request, said["channel"])
    body = _body(Form({**said.fields, "kind": [channel.kind.value]}))
    body |= {"quiet": said["quiet"], "digest": said["digest"] or 0}
    changed = {name: value for name, value in body.items() if name not in ("name", "kind")}
    await request.state.asking.ask(Channel, "PATCH", f"/v1/channels/{part(channel.id)}", changed, **_more(request))
    return AT


async def test(request: Request) -> Response:
    """Have a test told, and say how that went."""
    channel = await _one(request, request.state.form["channel"])
    path = f"/v1/channels/{part(channel.id)}/test"
    try:
        await request.state.asking.ask(type(None), "POST", path, None, **_more(request))
    except LongshoreError as error:
        return await _shown(request, Form(), error)
    return RedirectResponse(f"{AT}?tested=yes", 303)


async def ask_to_remove(request: Request) -> Response:
    channel = await _one(request, request.query_params.get("channel", ""))
    told = [_("What waits to go by it isn't told any more: %(count)s messages.") % {"count": channel.waiting}]
    return confirm(
        request,
        _("Delete the channel %(name)s?") % {"name": channel.name},
        told=told,
        does=f"{AT}/remove",
        said=_("Delete it"),
        back=AT,
        kind="danger",
        hidden={"channel": channel.id},
    )


async def remove(request: Request) -> Response:
    channel = await _one(request, request.state.form["channel"])
    await request.state.asking.ask(type(None), "DELETE", f"/v1/channels/{part(channel.id)}", **_more(request))
    return RedirectResponse(AT, 303)


async def _one(request: Request, id_: str) -> Channel:
    return one_of(await _all(request), id_, _("There is no such channel any more."))


async def _all(request: Request) -> list[Channel]:
    found: list[Channel] = await request.state.asking.get(list[Channel], "/v1/channels", **_more(request))
    return found


def _more(request: Request) -> dict[str, Any]:
    visit: Visit = request.state.visit
    return {"all_projects": True} if visit.everything and visit.may(_EVERYBODYS) else {}


async def _shown_to_change(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    return await _shown(request, said, trouble, await _one(request, said["channel"]))


async def _shown(
    request: Request, said: Form, trouble: LongshoreError | None, changed: Channel | None = None
) -> Response:
    """Show the channels, how telling has gone, and a form: of a new one, or of the one that is changed."""
    return show_form(
        request,
        "channels/listed.html",
        said,
        trouble,
        _FIELDS,
        channels=await _all(request),
        changed=changed,
        chosen=said.all("occasions"),
        kind_of={kind: _(text) for kind, text in _KINDS.items()},
        occasion_of={one: _(text) for one, text in _OCCASIONS.items()},
        kinds=[(kind.value, _(text)) for kind, text in _KINDS.items() if kind is not ChannelKind.COMMAND],
        ways=[(tls.value, _(text)) for tls, text in _TLS.items()],
        tested=request.query_params.get("tested") == "yes",
    )


def _body(said: Form) -> dict[str, Any]:
    """Return the request that a form makes. Raises InvalidInput."""
    body: dict[str, Any] = {name: said[name] for name in _TEXTS if said[name]}
    body |= {name: said.exact(name) for name in _SECRETS if said.exact(name)}
    if not said.all("occasions"):
        raise InvalidInput(_("Choose what is told."), field="occasions")
    body["occasions"] = said.all("occasions")
    if said["kind"] == ChannelKind.MAIL.value:
        server: dict[str, Any] = {name: said[name] for name in _SERVER if said[name]}
        if "port" in server:
            server["port"] = whole(said["port"])
            if server["port"] is None:
                raise InvalidInput(_("That isn't a port."), field="port")
        body["mail"] = server
    return body


ROUTES = [
    *declare_form("/channels", _SETS, _shown, create, opened, seen_by_all=True),
    *declare_form("/channels/change", _SETS, _shown_to_change, change, opened_to_change),
    Page("/channels/test", test, "POST", _SETS),
    Page("/channels/remove", ask_to_remove, "GET", _SETS),
    Page("/channels/remove", remove, "POST", _SETS),
]
