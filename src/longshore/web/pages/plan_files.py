"""A plan as its file has it, and what single machines of it are given: whatever the other pages don't ask."""

from collections.abc import Mapping
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.inventories import TargetOffer
from longshore.api.schemas import PlanAnswer, PlanView
from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.model.machine import VOLUME
from longshore.web.asking import Asking, part
from longshore.web.choices import flavor_choices
from longshore.web.forms import Form
from longshore.web.page import Page
from longshore.web.pages.new_replicas import LANDINGS
from longshore.web.rendering import render
from longshore.web.sheets import as_text
from longshore.web.texts import _

_OPTIONS = ("type", "flavor", "server_name", "availability_zone", "landing", "power")  # that the form of one asks
_TYPES = ("dry-run", "cold", "warm")
_POWERS = ("as-before", "on", "off")


async def as_yaml(request: Request) -> Response:
    view = await request.state.asking.get(PlanView, _path(request))
    return _shown(request, view, _written(view.plan), None)


async def keep_yaml(request: Request) -> Response:
    """In the place of what the page was of, and of nothing that was kept since."""
    said = request.state.form
    view = await request.state.asking.get(PlanView, _path(request))
    try:
        _refuse_other(view, said)
        plan = _read(said.exact("plan"))
        await request.state.asking.ask(PlanAnswer, "PUT", _path(request), plan)
    except LongshoreError as error:
        return _shown(request, view, said.exact("plan"), error, said["version"])
    return _back(request)


async def download(request: Request) -> Response:
    view = await request.state.asking.get(PlanView, _path(request))
    return as_text(f"{view.plan['name']}.yaml", _written(view.plan))


def _shown(request: Request, view: PlanView, text: str, trouble: LongshoreError | None, version: str = "") -> Response:
    return render(
        request,
        "plans/yaml.html",
        200 if trouble is None else 400,
        name=view.plan["name"],
        text=text,
        version=version or view.changed_at.isoformat(),
        keeps=not request.app.state.door.inside,  # another program's frame takes nothing but pages
        trouble=trouble,
    )


def _written(plan: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(plan), sort_keys=False, allow_unicode=True, width=110)


def _read(text: str) -> dict[str, Any]:
    """Raises InvalidInput."""
    try:
        plan = yaml.safe_load(text)
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        where = _(" (line %(line)s)") % {"line": at.line + 1} if at else ""
        raise InvalidInput(_("This can't be read as YAML%(where)s.") % {"where": where}) from None
    if not isinstance(plan, dict):
        raise InvalidInput(_("That is no plan: it begins with its name, source, target and machines."))
    return plan


# One machine


async def one(request: Request) -> Response:
    view, entry = await _entry(request)
    said = {name: [str(entry.get(name) or "")] for name in ("wave", *_OPTIONS)}
    return await _asked(request, view, Form(said), None)


async def keep_one(request: Request) -> Response:
    said = request.state.form
    view, entry = await _entry(request)
    try:
        _refuse_other(view, said)
        wave = said["wave"] or "1"
        if not (wave.isascii() and wave.isdecimal()) or len(wave) > 6:
            raise InvalidInput(_("A wave is a number: 1 goes first."), field="wave")
        options = {name: said[name] for name in _OPTIONS if said[name] and name in said.fields}
        kept = {name: value for name, value in entry.items() if name not in (*_OPTIONS, "wave")}
        changed = {**kept, "wave": int(wave), **options}
        await request.state.asking.ask(PlanAnswer, "PUT", _path(request), _with(view.plan, entry, changed))
    except LongshoreError as error:
        return await _asked(request, view, said, error)
    return _back(request)


async def _asked(request: Request, view: PlanView, said: Form, trouble: LongshoreError | None) -> Response:
    asking: Asking = request.state.asking
    offer: TargetOffer | None = None
    try:
        offer = await asking.get(TargetOffer, f"/v1/providers/{part(view.plan['target'])}/offer")
    except LongshoreError as error:
        trouble = trouble or error
    at = trouble.field if trouble and trouble.field in ("wave", *_OPTIONS) else ""
    return render(
        request,
        "plans/machine.html",
        200 if trouble is None else 400,
        name=view.plan["name"],
        machine=request.path_params["machine"],
        of_volume=request.path_params["machine"].startswith(VOLUME),
        said=said,
        version=said["version"] or view.changed_at.isoformat(),
        types=[("", _("As the plan says")), *((one, one) for one in _TYPES)],
        flavors=[("", _("As the plan's rules say"))] + (flavor_choices(offer) if offer else []),
        zones=[("", _("As the plan says")), *((zone, zone) for zone in (offer.choices.zones if offer else ()))],
        landings=[("", _("As the plan says")), *((value, _(text)) for value, text in LANDINGS)],
        powers=[("", _("As the plan says")), *((one, one) for one in _POWERS)],
        wrong={at: trouble.message} if trouble and at else {},
        trouble=None if at else trouble,
    )


async def _entry(request: Request) -> tuple[PlanView, dict[str, Any]]:
    """The machine, or volume, as the plan has it. Raises NotFound."""
    view = await request.state.asking.get(PlanView, _path(request))
    called = request.path_params["machine"]
    kind, key = ("volumes", "volume") if called.startswith(VOLUME) else ("machines", "machine")
    for entry in view.plan.get(kind) or []:
        if entry.get(key) == called.removeprefix(VOLUME):
            return view, dict(entry)
    raise NotFound(_("The plan has no such machine."))


def _with(plan: Mapping[str, Any], before: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """The plan with one of its entries as it has become; what isn't asked of it stays."""
    lists = {
        kind: [dict(changed) if entry == before else entry for entry in plan.get(kind) or []]
        for kind in ("machines", "volumes")
        if kind in plan
    }
    return {**plan, **lists}


def _refuse_other(view: PlanView, said: Form) -> None:
    if said["version"] != view.changed_at.isoformat():
        raise InvalidInput(_("The plan was changed meanwhile, in another window or by a command."), code="conflict")


def _back(request: Request) -> RedirectResponse:
    return RedirectResponse(f"/ui/plans/{part(request.path_params['name'])}", 303)


def _path(request: Request) -> str:
    return f"/v1/plans/{part(request.path_params['name'])}"


_CHANGES = "migration:plan:create"
ROUTES = [
    Page("/plans/{name}/yaml", as_yaml, "GET"),
    Page("/plans/{name}/yaml", keep_yaml, "POST", _CHANGES),
    Page("/plans/{name}/yaml/file", download, "GET"),
    Page("/plans/{name}/machines/{machine:path}", one, "GET", _CHANGES),
    Page("/plans/{name}/machines/{machine:path}", keep_one, "POST", _CHANGES),
]
