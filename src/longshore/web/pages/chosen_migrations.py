"""Verbs for several migrations at once: asked first, and each answers for itself."""

import asyncio
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.schemas import ChosenAnswer, Migration
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.addresses import back_to
from longshore.web.asking import Asking
from longshore.web.page import Handler, Page
from longshore.web.rendering import confirm, render
from longshore.wording.texts import _, marked

_BACK = "/ui/migrations"


class _Verb(NamedTuple):
    heading: str
    told: tuple[str, ...]
    said: str  # on the button
    rule: str
    kind: str = "primary"


_VERBS = {
    "cancel": _Verb(
        marked("Cancel the chosen migrations?"),
        (
            marked("They are stopped, and what they made at the target is removed."),
            marked("Machines that were shut down for it are powered on again. What is done stays."),
        ),
        marked("Cancel them"),
        "migration:migration:cancel",
        "danger",
    ),
    "cutover": _Verb(
        marked("Cut the chosen migrations over?"),
        (marked("Their machines are shut down now, the last changes are copied, and they boot on the target."),),
        marked("Cut them over now"),
        "migration:migration:cutover",
    ),
    "resume": _Verb(
        marked("Resume the chosen migrations?"),
        (marked("Those that are parked or were broken off go on from their last step."),),
        marked("Resume"),
        "migration:migration:resume",
    ),
    "retry": _Verb(
        marked("Start the chosen migrations again?"),
        (marked("Those that have failed are started again, as their plans say now."),),
        marked("Start them again"),
        "migration:plan:start",
    ),
}


def _asks(verb: str) -> Handler:
    async def ask(request: Request) -> Response:
        said, chosen = _VERBS[verb], request.query_params.getlist("migration")
        if not chosen:
            return _answered(request, [], 400)
        found = await _named(request.state.asking, chosen)
        return confirm(
            request,
            _(said.heading),
            told=[_("Only of these: %(names)s.") % {"names": ", ".join(found)}, *map(_, said.told)],
            does=f"/ui/chosen-migrations/{verb}",
            said=_(said.said),
            back=_BACK,
            kind=said.kind,
            some=[("migration", one) for one in chosen],
        )

    return ask


async def _named(asking: Asking, ids: list[str]) -> list[str]:
    """Return the names of the machines of those of these migrations that are there."""

    async def name(id_: str) -> str | None:
        try:
            return (await asking.get(Migration, f"/v1/migrations/{part(id_)}")).machine_name
        except LongshoreError:  # forgotten meanwhile: the answer says so
            return None

    return [one for one in await asyncio.gather(*map(name, ids)) if one is not None]


def _does(verb: str) -> Handler:
    async def act(request: Request) -> Response:
        body = {"ids": request.state.form.all("migration")}
        answers = await request.state.asking.post(list[ChosenAnswer], f"/v1/migrations/{verb}", body)
        if any(answer.error is not None for answer in answers):
            return _answered(request, answers, 200)
        return RedirectResponse(back_to(request.state.form["back"] or _BACK), 303)

    return act


def _answered(request: Request, answers: list[ChosenAnswer], status: int) -> Response:
    """Return a page with what was refused, and why, and how many were done."""
    refused = [answer for answer in answers if answer.error is not None]
    return render(request, "migrations/chosen.html", status, done=len(answers) - len(refused), refused=refused)


ROUTES = [
    Page(f"/chosen-migrations/{verb}", handler(verb), method, said.rule)
    for verb, said in _VERBS.items()
    for handler, method in ((_asks, "GET"), (_does, "POST"))
]
