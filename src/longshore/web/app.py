"""The pages as an application: their routes, who may open them, and what is shown when something is refused."""

from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from longshore.api.me import Me
from longshore.errors import LongshoreError
from longshore.processes.apart import Apart
from longshore.service.turns import turns_of_pages, turns_of_reading
from longshore.web.accepted_language import COOKIE as LANGUAGE_COOKIE
from longshore.web.accepted_language import InTheirLanguage
from longshore.web.addresses import back_to
from longshore.web.advices import on_page
from longshore.web.asking import ApiClient, unforeseen
from longshore.web.forms import FOREIGN, WORKS, read_form
from longshore.web.page import Handler, Page
from longshore.web.pages import (
    administration,
    backup_policies,
    backups,
    channels,
    chosen_migrations,
    conversions,
    failbacks,
    group_forms,
    groups,
    holds,
    kept_plans,
    limits,
    machines,
    migrations,
    new_replicas,
    overview,
    plan_files,
    plans,
    point_files,
    provider_changes,
    providers,
    replica_changes,
    replica_points,
    replicas,
    reports,
    restores,
    tenants,
    vault_keys,
    vaults,
    wall_links,
    wizard,
)
from longshore.web.rendering import STATIC, THEMES, render
from longshore.web.visit import Door, Visit, not_allowed
from longshore.wording.texts import LANGUAGES, _

SUBJECTS = (
    *(overview, machines, providers, provider_changes, plans, plan_files, wizard),
    *(migrations, chosen_migrations, conversions),
    *(groups, group_forms, new_replicas, reports, replicas),  # in this order: a group's address isn't a replica's
    *(replica_changes, replica_points, failbacks),
    *(backups, backup_policies, restores, point_files, holds, vaults, vault_keys, kept_plans),
    *(administration, limits, channels, tenants, wall_links),
)
_STATUS = {"not-found": 404, "conflict": 409, "invalid-input": 400, FOREIGN: 403, "forbidden": 403, "unreachable": 502}
_STATUS |= {"identity-unavailable": 503, "too-many-requests": 429, "unforeseen": 500}
_CHOICE_LASTS = 365 * 86400  # seconds


def create_pages(api: ASGIApp, door: Door, apart: Apart | None = None) -> Starlette:
    """Return the application that serves the pages. `apart`: where large plans in forms are read, once it has begun."""

    async def visit_of(request: Request, *, anywhere: bool = False) -> Visit | Response:
        entered = await door.enter(request, anywhere=anywhere)
        if isinstance(entered, Visit):
            request.state.visit = entered
            if request.headers.get("x-longshore-place", entered.place) != entered.place:
                return Response(status_code=204, headers={"HX-Refresh": "true"})
        return entered

    def subject(page: Page) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                visit = await visit_of(request)
                if isinstance(visit, Response):
                    return visit
                request.state.asking = asking = ApiClient(api, visit)
                rules = (await asking.get(Me, "/v1/me")).rules
                request.state.visit = replace(visit, rules=frozenset(rules))
                if page.rule and page.rule not in rules:
                    raise not_allowed()
                if request.method == "POST":
                    request.state.form = await read_form(request, visit.form_token, page.largest)
                return await page.handler(request)
            except LongshoreError as error:
                return await door.ended(request) if error.code == "unauthenticated" else refused(request, error)

        return Route(f"/ui{page.path}", guarded, methods=[page.method])

    def of_the_frame(path: str, handler: Handler) -> Route:
        """Return the route of a form that every page has, whatever roles somebody has."""

        async def guarded(request: Request) -> Response:
            try:
                visit = await visit_of(request, anywhere=True)
                if isinstance(visit, Response):
                    return visit
                request.state.form = await read_form(request, visit.form_token)
                return await handler(request)
            except LongshoreError as error:
                return refused(request, error)

        return Route(f"/ui{path}", guarded, methods=["POST"])

    def of_the_door(path: str, handler: Handler, method: str) -> Route:
        async def explained(request: Request) -> Response:
            try:
                return await handler(request)
            except LongshoreError as error:
                return refused(request, error)

        return Route(f"/ui{path}", explained, methods=[method])

    frame = [
        of_the_frame("/theme", choose_theme),
        of_the_frame("/language", choose_language),
        of_the_frame("/close", door.leave),
    ]
    app = Starlette(
        routes=[
            Mount("/ui/static", _Kept(directory=STATIC)),
            *(of_the_door(*described) for described in door.routes),
            *([] if door.inside else frame),
            *(subject(page) for module in SUBJECTS for page in module.ROUTES),
        ],
        exception_handlers={HTTPException: _missing, Exception: _unforeseen},
    )
    app.state.door, app.state.api = door, api
    app.state.rendering, app.state.reading = turns_of_pages(), turns_of_reading()
    app.state.apart = apart or Apart()
    app.state.apart.works |= WORKS | plan_files.WORKS
    app.add_middleware(InTheirLanguage)
    return app


async def choose_theme(request: Request) -> Response:
    """Keep the choice of light, dark, or as the browser is."""
    wanted = request.state.form["theme"]
    answer = RedirectResponse(back_to(request.state.form["back"]), 303)
    if wanted in THEMES:
        answer.set_cookie("longshore_theme", wanted, _CHOICE_LASTS, path="/ui", httponly=True, samesite="lax")
    return answer


async def choose_language(request: Request) -> Response:
    wanted = request.state.form["language"]
    answer = RedirectResponse(back_to(request.state.form["back"]), 303)
    if wanted in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, wanted, _CHOICE_LASTS, path="/ui", httponly=True, samesite="lax")
    return answer


def refused(request: Request, error: LongshoreError) -> Response:
    """Return the page that says why something was refused, and the way back.

    What a command line would do about it isn't said there.
    """
    status = _STATUS.get(error.code, 400)
    return _told(request, status, _(error.message), on_page(error.advice, error.code))


async def _missing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: _("There is no such page."), 405: _("This can't be asked for like that.")}
    return _told(request, status, words.get(status, _("That isn't possible.")))


async def _unforeseen(request: Request, error: Exception) -> Response:
    return refused(request, unforeseen(request.url.path, error, alone=request.app.state.door.alone))


def _told(request: Request, status: int, message: str, advice: str = "") -> Response:
    return render(request, "refused.html", status, message=message, advice=advice, missing=status == 404)


class _Kept(StaticFiles):
    """Files whose addresses change with their content; those of a version's folder never do."""

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
