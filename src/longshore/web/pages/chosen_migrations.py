"""Verbs for several migrations at once: asked first, and each answers for itself."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.schemas import ChosenAnswer, Migration
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.web.addresses import back_to
from longshore.web.asking import ApiClient
from longshore.web.forms import said_in
from longshore.web.page import Handler, Page
from longshore.web.pages.migrations import cutover_time, named, of_its_time
from longshore.web.rendering import TIMES, confirm, render
from longshore.wording.states import may_cut_over
from longshore.wording.texts import _, marked

_BACK = "/ui/migrations"
_LATER = "later"  # a field with those that are cut over only if that is said of them


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
        if verb == "cutover":
            return await _asks_to_cut_over(request, chosen, None)
        found = await _found(request.state.asking, chosen)
        return _confirmed(request, verb, [_only(found), *map(_, said.told)], button=_(said.said), some=_meant(chosen))

    return ask


async def _asks_to_cut_over(request: Request, chosen: list[str], trouble: LongshoreError | None) -> Response:
    """Ask about those that wait for it. A button of its own has the others cut over as soon as they are copied."""
    found = await _found(request.state.asking, chosen)
    said, later = _VERBS["cutover"], [one for one in found if may_cut_over(one) and not one.waits_for_cutover]
    if not later:
        return _confirmed(
            request,
            "cutover",
            [_only(found), *map(_, said.told)],
            button=_(said.said),
            some=_meant(chosen),
            trouble=trouble,
        )
    names, ids = named([one.machine_name for one in later]), {one.id for one in later}
    apart = _("Not meant, since they are queued or still copied: %(names)s.") % {"names": names}
    ahead = _("Cut each over as soon as it is copied, without asking again")
    now = [one for one in chosen if one not in ids]
    if not now:
        told = [_("Nothing waits for its cutover."), apart]
        return _confirmed(request, "cutover", told, button=ahead, some=_meant(chosen), trouble=trouble)
    told = [_only([one for one in found if one.id not in ids]), *map(_, said.told), apart]
    some = _meant(now) + [(_LATER, one.id) for one in later]
    return _confirmed(request, "cutover", told, button=_(said.said), some=some, other=(ahead, "ahead"), trouble=trouble)


def _confirmed(
    request: Request,
    verb: str,
    told: list[str],
    *,
    button: str,
    some: list[tuple[str, str]],
    other: tuple[str, str] | None = None,
    trouble: LongshoreError | None = None,
) -> Response:
    said, does = _VERBS[verb], f"/ui/chosen-migrations/{verb}"
    return confirm(
        request,
        _(said.heading),
        told=told,
        does=does,
        said=button,
        back=_BACK,
        kind=said.kind,
        some=some,
        other=other,
        timed=said_in(request) if verb == "cutover" else None,
        trouble=trouble,
    )


def _meant(ids: list[str]) -> list[tuple[str, str]]:
    return [("migration", one) for one in ids]


def _only(found: list[Migration]) -> str:
    return _("Only of these: %(names)s.") % {"names": named([one.machine_name for one in found])}


async def _found(asking: ApiClient, ids: list[str]) -> list[Migration]:
    """Return those of these migrations that are there."""

    async def one(id_: str) -> Migration | None:
        try:
            return await asking.get(Migration, f"/v1/migrations/{part(id_)}")
        except LongshoreError:  # forgotten meanwhile: the answer says so
            return None

    return [found for found in await asyncio.gather(*map(one, ids)) if found is not None]


def _does(verb: str) -> Handler:
    async def act(request: Request) -> Response:
        form = request.state.form
        body: dict[str, Any] = {"ids": form.all("migration") + (form.all(_LATER) if form["ahead"] else [])}
        if time := cutover_time(form):
            body["time"] = time
        try:
            answers = await request.state.asking.post(list[ChosenAnswer], f"/v1/migrations/{verb}", body)
            _refuse_their_time(answers)
        except LongshoreError as error:
            return await _asks_to_cut_over(request, form.all("migration") + form.all(_LATER), of_its_time(error))
        if any(answer.error is not None for answer in answers):
            return _answered(request, answers, 200)
        return RedirectResponse(back_to(form["back"] or _BACK), 303)

    return act


def _refuse_their_time(answers: Sequence[ChosenAnswer]) -> None:
    """Raise InvalidInput for a time that can't be meant of any of them."""
    refused = [one.error for one in answers if one.error is not None and one.error.field in TIMES]
    if refused and len(refused) == len(answers):
        said = refused[0]
        raise InvalidInput(said.message.removesuffix(said.advice).rstrip(), advice=said.advice, field=said.field)


def _answered(request: Request, answers: list[ChosenAnswer], status: int) -> Response:
    """Return a page with what was refused, and why, and how many were done."""
    refused = [answer for answer in answers if answer.error is not None]
    return render(request, "migrations/chosen.html", status, done=len(answers) - len(refused), refused=refused)


ROUTES = [
    Page(f"/chosen-migrations/{verb}", handler(verb), method, said.rule)
    for verb, said in _VERBS.items()
    for handler, method in ((_asks, "GET"), (_does, "POST"))
]
