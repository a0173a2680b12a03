"""Limits of places: shown, set and changed while work goes on."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.schemas import Limit, PlanSummary, Provider
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.model.limit import LimitOf
from longshore.model.quantities import parse_rate, write_size
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, whole
from longshore.web.page import Page, declare_form
from longshore.web.rendering import confirm, show_form
from longshore.web.things import one_of
from longshore.web.visit import Visit
from longshore.wording.texts import _, marked

AT = "/ui/administration/limits"
_SETS = "migration:limit:set"
_EVERYBODYS = "migration:all_projects"
_OF = {
    LimitOf.SOURCE: marked("A source: what moves from there"),
    LimitOf.TARGET: marked("A target: what moves to there"),
    LimitOf.HOST: marked("A host of a source"),
    LimitOf.DATASTORE: marked("A datastore of a source"),
    LimitOf.PLAN: marked("A plan"),
    LimitOf.PROJECT: marked("The project"),
}
_SHORT = {
    LimitOf.SOURCE: marked("Source"),
    LimitOf.TARGET: marked("Target"),
    LimitOf.HOST: marked("Host"),
    LimitOf.DATASTORE: marked("Datastore"),
    LimitOf.PLAN: marked("Plan"),
    LimitOf.PROJECT: marked("Project"),
}
_FIELDS = ("of", "provider", "name", "plan", "at_once", "bytes_per_second")


async def opened(request: Request) -> Form:
    """Return the form for a new limit, or for the one that is to be changed."""
    if not (id_ := request.query_params.get("limit", "")):
        return Form()
    limit = await _one(request, id_)
    plans = {one.name: one.id for one in await request.state.asking.get(list[PlanSummary], "/v1/plans")}
    rate = write_size(limit.bytes_per_second) if limit.bytes_per_second else ""
    figures = {"at_once": str(limit.at_once or ""), "bytes_per_second": rate}
    said = {"of": limit.of.value, "provider": limit.provider_id or "", "name": limit.name or "", **figures}
    said |= {"plan": plans.get(limit.plan or "", ""), "everybodys": "yes" if limit.project_id is None else ""}
    return Form({name: [value] for name, value in said.items()})


async def put(request: Request, said: Form) -> str:
    """Set a new limit, or other figures of one that is there: what is left empty doesn't limit."""
    of = said["of"]
    body: dict[str, Any] = {
        "of": of,
        "at_once": _count(said["at_once"]),
        "bytes_per_second": _rate(said["bytes_per_second"].strip()),
    }
    named = {"provider": of not in ("plan", "project"), "name": of in ("host", "datastore"), "plan": of == "plan"}
    body |= {name: said[name] or None for name, meant in named.items() if meant}
    more = {"all_projects": True} if said["everybodys"] else {}
    await request.state.asking.ask(Limit, "PUT", "/v1/limits", body, **more)
    return AT


async def ask_to_remove(request: Request) -> Response:
    limit = await _one(request, request.query_params.get("limit", ""))
    heading = _("Take this limit away?")
    told = [
        f"{_(_SHORT[limit.of])}: {_called(limit)}",
        _("What waited because of it begins within seconds, and copies go as fast as other limits let them."),
    ]
    hidden = {"limit": limit.id}
    return confirm(request, heading, told=told, does=f"{AT}/remove", said=_("Take it away"), back=AT, hidden=hidden)


async def remove(request: Request) -> Response:
    limit = await _one(request, request.state.form["limit"])
    more = {} if limit.project_id == request.state.visit.project_id else {"all_projects": True}
    await request.state.asking.ask(type(None), "DELETE", f"/v1/limits/{part(limit.id)}", **more)
    return RedirectResponse(AT, 303)


async def _one(request: Request, id_: str) -> Limit:
    return one_of(await _all(request), id_, _("There is no such limit any more."))


async def _all(request: Request) -> list[Limit]:
    """Return the limits of the project and those for all projects; for an administrator, those of every project."""
    visit: Visit = request.state.visit
    more = {"all_projects": True} if visit.may(_EVERYBODYS) else {}
    found: list[Limit] = await request.state.asking.get(list[Limit], "/v1/limits", **more)
    return found


async def _shown(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    limits, providers, plans = await asyncio.gather(
        _all(request), asking.get(list[Provider], "/v1/providers"), asking.get(list[PlanSummary], "/v1/plans")
    )
    plain = {
        "at_once": _("That isn't a number of jobs: 1 or more."),
        "bytes_per_second": _("That is too slow, or no rate: 64K or more."),
        "name": _("Name the host or the datastore."),
    }
    visit: Visit = request.state.visit
    return show_form(
        request,
        "administration/limits.html",
        said,
        trouble,
        _FIELDS,
        plain,
        limits=limits,
        may_change=lambda one: one.project_id is None if visit.everything else one.project_id in _changes(visit),
        may_remove=lambda one: visit.may(_EVERYBODYS) or one.project_id == visit.project_id,
        changing="limit" in request.query_params,
        of={of: _(text) for of, text in _SHORT.items()},
        which=_called,
        kinds=[(of.value, _(text)) for of, text in _OF.items()],
        providers=[("", _("Not decided")), *((one.id, one.name) for one in providers if "vault" not in one.sides)],
        plans=[("", _("Not decided")), *((one.id, one.name) for one in plans)],
        may_for_all=not request.app.state.door.alone and visit.may(_EVERYBODYS),
    )


def _changes(visit: Visit) -> tuple[str | None, ...]:
    """Return whose jobs the limits count that the viewer may change; None: those of all projects."""
    return (visit.project_id, None) if visit.may(_EVERYBODYS) else (visit.project_id,)


def _called(limit: Limit) -> str:
    return "/".join(one for one in (limit.provider, limit.name, limit.plan) if one)


def _count(text: str) -> int | None:
    if not text:
        return None
    if (count := whole(text)) is None:
        raise InvalidInput(_("That isn't a number of jobs: 1 or more."), field="at_once")
    return count


def _rate(text: str) -> int | None:
    """Return a rate in bytes per second; None when nothing was typed. Raises InvalidInput."""
    try:
        return parse_rate(text) if text else None
    except InvalidInput:
        raise InvalidInput(_("That isn't a rate: write it as 800K, 50M or 1G."), field="bytes_per_second") from None


ROUTES = [
    *declare_form("/administration/limits", _SETS, _shown, put, opened, seen_by_all=True),
    Page("/administration/limits/remove", ask_to_remove, "GET", _SETS),
    Page("/administration/limits/remove", remove, "POST", _SETS),
]
