"""A plan as its file has it, and what single machines of it are given: whatever the other pages don't ask."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.inventories import TargetOffer
from longshore.api.landed import PlanCode
from longshore.api.schemas import PlanAnswer, PlanView
from longshore.border.documents import as_yaml as yaml_of
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.model.machine import VOLUME
from longshore.model.strict_reading import Misread
from longshore.model.strict_yaml import plain, read_yaml
from longshore.processes.apart import Work
from longshore.web.asking import ApiClient
from longshore.web.choices import flavor_choices
from longshore.web.forms import Form, told_of
from longshore.web.page import OF_MANY, Page
from longshore.web.pages.changed_plans import change_plan
from longshore.web.pages.new_replicas import LANDINGS
from longshore.web.pages.plans import types_from
from longshore.web.rendering import render
from longshore.web.sheets import as_text
from longshore.wording.texts import _, marked

_OPTIONS = ("type", "flavor", "server_name", "availability_zone", "landing", "power")  # that the form of one asks
_UNREADABLE = ("invalid-input", "plan-refused")
_SHORT = 8 << 10  # bytes of a plan, read where everybody waits: within some milliseconds
_HEAVIEST = 100_000  # values of a plan in a form; of 10,000 machines it has some 40,000
POWERS = [
    ("as-before", marked("As it was at the source")),
    ("on", marked("Left running")),
    ("off", marked("Shut down once it was seen up")),
]


async def as_yaml(request: Request) -> Response:
    view = await request.state.asking.get(PlanView, _path(request))
    return _shown(request, view, await to_thread.run_sync(_written, view.plan), None)


async def keep_yaml(request: Request) -> Response:
    """Replace the version of a plan that the page was made from, and no later one, by what was typed."""
    said = request.state.form
    view = await request.state.asking.get(PlanView, _path(request))
    try:
        plan = await _read(request, said.exact("plan"))
        await change_plan(request, "PUT", _path(request), plan, said["version"])
    except LongshoreError as error:
        error.field = "plan" if error.code in _UNREADABLE else ""  # all of it is one field
        return _shown(request, view, said.exact("plan"), error, said["version"])
    return _back(request)


async def download(request: Request) -> Response:
    view = await request.state.asking.get(PlanView, _path(request))
    return as_text(f"{view.plan['name']}.yaml", partial(_written, view.plan))


async def code(request: Request) -> Response:
    """Answer what has landed of a plan as code for the tool that the address names."""
    form = request.path_params["format"]
    found: PlanCode = await request.state.asking.get(PlanCode, f"{_path(request)}/iac", format=form)
    return as_text(found.file_name, lambda: found.text)


def _shown(request: Request, view: PlanView, text: str, trouble: LongshoreError | None, version: str = "") -> Response:
    return render(
        request,
        "plans/yaml.html",
        200 if trouble is None else 400,
        name=view.plan["name"],
        text=text,
        version=version or view.version,
        **told_of(trouble, ("plan",)),
    )


def _written(plan: Mapping[str, Any]) -> str:
    return yaml_of(dict(plan))


async def _read(request: Request, text: str) -> dict[str, Any]:
    """Return the plan that a text in YAML says. Raises InvalidInput, Busy, Overstepped."""
    given = text.encode()
    if len(given) <= _SHORT:
        told = _told(given)
    else:
        async with request.app.state.reading.turn(request.state.visit.project_id):
            told = await request.app.state.apart.do(_READING, given)
    said = json.loads(told)
    if "why" in said:
        raise InvalidInput(_("This can't be read as YAML. %(why)s") % said)
    if not isinstance(said["plan"], dict):
        raise InvalidInput(_("That is no plan: it begins with its name, source, target and machines."))
    plan: dict[str, Any] = said["plan"]
    return plan


def _told(given: bytes) -> bytes:
    """Return the `plan` in a form, or `why` it can't be read, as JSON."""
    try:
        return json.dumps({"plan": plain(read_yaml(given, heaviest=_HEAVIEST))}).encode()
    except Misread as error:
        return json.dumps({"why": str(error)}).encode()


_READING = "plan in a form"
WORKS = {_READING: Work(_told)}


async def ask_to_duplicate(request: Request) -> Response:
    view = await request.state.asking.get(PlanView, _path(request))
    said = {"name": [f"{view.plan['name']}-2"], "description": [view.plan.get("description", "")]}
    return _duplicated(request, view, Form(said), None)


async def duplicate(request: Request) -> Response:
    asking, said = request.state.asking, request.state.form
    try:
        body = {name: said[name] for name in ("name", "description")}
        answer = await asking.post(PlanAnswer, f"{_path(request)}/duplicate", body)
    except LongshoreError as error:
        return _duplicated(request, await asking.get(PlanView, _path(request)), said, error)
    return RedirectResponse(f"/ui/plans/{part(answer.plan['name'])}", 303)


def _duplicated(request: Request, view: PlanView, said: Form, trouble: LongshoreError | None) -> Response:
    status = 200 if trouble is None else 400
    name, wrong = view.plan["name"], told_of(trouble, ("name", "description"))
    return render(request, "plans/duplicate.html", status, name=name, said=said, **wrong)


# One machine


async def one(request: Request) -> Response:
    view, entry = await _entry(request)
    said = {name: [str(entry.get(name) or "")] for name in ("wave", *_OPTIONS)}
    return await _asked(request, view, Form(said), None)


async def keep_one(request: Request) -> Response:
    said = request.state.form
    view, _before = await _entry(request)
    try:
        wave = said["wave"] or "1"
        if not (wave.isascii() and wave.isdecimal()) or len(wave) > 6:
            raise InvalidInput(_("A wave is a number: 1 goes first."), field="wave")
        options = {name: said[name] or None for name in _OPTIONS if name in said.fields}
        where = f"{_path(request)}/machines/{part(request.path_params['machine'])}"
        await change_plan(request, "PATCH", where, {"wave": int(wave), **options}, said["version"])
    except LongshoreError as error:
        return await _asked(request, view, said, error)
    return _back(request)


async def _asked(request: Request, view: PlanView, said: Form, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    offer: TargetOffer | None = None
    try:
        offer = await asking.get(TargetOffer, f"/v1/providers/{part(view.plan['target'])}/offer")
    except LongshoreError as error:
        trouble = trouble or error
    return render(
        request,
        "plans/machine.html",
        200 if trouble is None else 400,
        name=view.plan["name"],
        machine=request.path_params["machine"],
        of_volume=request.path_params["machine"].startswith(VOLUME),
        said=said,
        version=said["version"] or view.version,
        types=[("", _("As the plan says")), *await types_from(asking, view.plan["source"])],
        flavors=[("", _("As the plan's rules say"))] + (flavor_choices(offer) if offer else []),
        zones=[("", _("As the plan says")), *((zone, zone) for zone in (offer.choices.zones if offer else ()))],
        landings=[("", _("As the plan says")), *((value, _(text)) for value, text in LANDINGS)],
        powers=[("", _("As the plan says")), *((value, _(text)) for value, text in POWERS)],
        **told_of(trouble, ("wave", *_OPTIONS)),
    )


async def _entry(request: Request) -> tuple[PlanView, dict[str, Any]]:
    """Return the plan, and the machine or volume as the plan has it. Raises NotFound."""
    view = await request.state.asking.get(PlanView, _path(request))
    called = request.path_params["machine"]
    kind, key = ("volumes", "volume") if called.startswith(VOLUME) else ("machines", "machine")
    for entry in view.plan.get(kind) or []:
        if entry.get(key) == called.removeprefix(VOLUME):
            return view, dict(entry)
    raise NotFound(_("The plan has no such machine."))


def _back(request: Request) -> RedirectResponse:
    return RedirectResponse(f"/ui/plans/{part(request.path_params['name'])}", 303)


def _path(request: Request) -> str:
    return f"/v1/plans/{part(request.path_params['name'])}"


_CHANGES = "migration:plan:create"
ROUTES = [
    Page("/plans/{name}/yaml", as_yaml, "GET"),
    Page("/plans/{name}/yaml", keep_yaml, "POST", _CHANGES, OF_MANY),
    Page("/plans/{name}/yaml/file", download, "GET"),
    Page("/plans/{name}/iac/{format}", code, "GET"),
    Page("/plans/{name}/duplicate", ask_to_duplicate, "GET", _CHANGES),
    Page("/plans/{name}/duplicate", duplicate, "POST", _CHANGES),
    Page("/plans/{name}/machines/{machine:path}", one, "GET", _CHANGES),
    Page("/plans/{name}/machines/{machine:path}", keep_one, "POST", _CHANGES),
]
