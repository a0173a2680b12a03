"""A plan as its file has it, and what single machines of it are given: whatever the other pages don't ask."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

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
from longshore.web.forms import Form, whole
from longshore.web.page import OF_MANY, Page, declare_form
from longshore.web.pages.new_replicas import LANDINGS
from longshore.web.pages.plans import change_plan, types_from
from longshore.web.rendering import show_form
from longshore.web.sheets import as_text
from longshore.web.things import PLAN
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


async def opened(request: Request) -> Form:
    view = await PLAN.read(request)
    return Form({"plan": [await to_thread.run_sync(_written, view.plan)], "version": [view.version]})


async def keep_yaml(request: Request, said: Form) -> str:
    """Replace the version of a plan that the page was made from, and no later one, by what was typed."""
    try:
        plan = await _read(request, said.exact("plan"))
        await change_plan(request, "PUT", PLAN.path_of(request), plan, said["version"])
    except LongshoreError as error:
        error.field = "plan" if error.code in _UNREADABLE else ""  # all of it is one field
        raise
    return PLAN.page_of(request)


async def _shown(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    name, text = PLAN.called(await PLAN.read(request)), said.exact("plan")
    return show_form(
        request, "plans/yaml.html", said, trouble, ("plan",), name=name, text=text, version=said["version"]
    )


async def download(request: Request) -> Response:
    view = await PLAN.read(request)
    return as_text(f"{view.plan['name']}.yaml", partial(_written, view.plan))


async def code(request: Request) -> Response:
    """Answer what has landed of a plan as code for the tool that the address names."""
    form = request.path_params["format"]
    found: PlanCode = await request.state.asking.get(PlanCode, f"{PLAN.path_of(request)}/iac", format=form)
    return as_text(found.file_name, lambda: found.text)


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


async def opened_to_duplicate(request: Request) -> Form:
    view = await PLAN.read(request)
    return Form({"name": [f"{view.plan['name']}-2"], "description": [view.plan.get("description", "")]})


async def duplicate(request: Request, said: Form) -> str:
    body = {name: said[name] for name in ("name", "description")}
    answer = await request.state.asking.post(PlanAnswer, f"{PLAN.path_of(request)}/duplicate", body)
    return PLAN.at(name=answer.plan["name"])


async def _duplicated(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    name = PLAN.called(await PLAN.read(request))
    return show_form(request, "plans/duplicate.html", said, trouble, ("name", "description"), name=name)


# One machine


async def opened_of_one(request: Request) -> Form:
    view, entry = await _entry(request)
    said = {name: [str(entry.get(name) or "")] for name in ("wave", *_OPTIONS)}
    return Form(said | {"version": [view.version]})


async def keep_one(request: Request, said: Form) -> str:
    await _entry(request)
    if (wave := whole(said["wave"] or "1")) is None:
        raise InvalidInput(_("A wave is a number: 1 goes first."), field="wave")
    options = {name: said[name] or None for name in _OPTIONS if name in said.fields}
    where = f"{PLAN.path_of(request)}/machines/{part(request.path_params['machine'])}"
    await change_plan(request, "PATCH", where, {"wave": wave, **options}, said["version"])
    return PLAN.page_of(request)


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    view, _before = await _entry(request)
    offer, fault = await asking.tried(TargetOffer, f"/v1/providers/{part(view.plan['target'])}/offer")
    return show_form(
        request,
        "plans/machine.html",
        said,
        trouble or fault,
        ("wave", *_OPTIONS),
        name=PLAN.called(view),
        machine=request.path_params["machine"],
        of_volume=request.path_params["machine"].startswith(VOLUME),
        version=said["version"] or view.version,
        types=[("", _("As the plan says")), *await types_from(asking, view.plan["source"])],
        flavors=[("", _("As the plan's rules say"))] + (flavor_choices(offer) if offer else []),
        zones=[("", _("As the plan says")), *((zone, zone) for zone in (offer.choices.zones if offer else ()))],
        landings=[("", _("As the plan says")), *((value, _(text)) for value, text in LANDINGS)],
        powers=[("", _("As the plan says")), *((value, _(text)) for value, text in POWERS)],
    )


async def _entry(request: Request) -> tuple[PlanView, dict[str, Any]]:
    """Return the plan, and the machine or volume as the plan has it. Raises NotFound."""
    view = await PLAN.read(request)
    called = request.path_params["machine"]
    kind, key = ("volumes", "volume") if called.startswith(VOLUME) else ("machines", "machine")
    for entry in view.plan.get(kind) or []:
        if entry.get(key) == called.removeprefix(VOLUME):
            return view, dict(entry)
    raise NotFound(_("The plan has no such machine."))


_CHANGES = "migration:plan:create"
ROUTES = [
    *declare_form(PLAN.route_of("yaml"), _CHANGES, _shown, keep_yaml, opened, OF_MANY, seen_by_all=True),
    Page(PLAN.route_of("yaml/file"), download, "GET"),
    Page(PLAN.route_of("iac/{format}"), code, "GET"),
    *declare_form(PLAN.route_of("duplicate"), _CHANGES, _duplicated, duplicate, opened_to_duplicate),
    *declare_form(PLAN.route_of("machines/{machine:path}"), _CHANGES, _asked, keep_one, opened_of_one),
]
