"""Plans: listed, looked at, checked, started and the rest of what can be told them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.plan_checks import PlanCheck
from longshore.api.schemas import Migration, PlanStates, PlanSummary, PlanView, Provider
from longshore.errors import ChangedMeanwhile, Conflict, InvalidInput, LongshoreError
from longshore.model.concern import Severity
from longshore.model.status import Status
from longshore.web.advices import LAND_UNCHANGED
from longshore.web.asking import ApiClient
from longshore.web.forms import not_a_moment, said_in, told_of
from longshore.web.page import Handler, Page, Question, declare_verb, deletes
from longshore.web.pages.checks import follow, trouble_of
from longshore.web.pages.migrations import cutover_time, named, of_its_time, told_of_cutover
from longshore.web.pages.new_replicas import LANDINGS
from longshore.web.rendering import confirm, render
from longshore.web.sorting import links_of, offset_of, sorted_so
from longshore.web.things import PLAN
from longshore.wording.concerns import by_kind
from longshore.wording.states import may_cut_over, of_severity, of_status
from longshore.wording.texts import _, marked

PAGE = 50  # rows
_SORTED: dict[str, tuple[str, Callable[[PlanSummary], Any]]] = {
    "name": (marked("Name"), lambda plan: plan.name.casefold()),
    "machines": (marked("Machines"), lambda plan: plan.machines + plan.volumes),
    "from": (marked("From → to"), lambda plan: (plan.source.casefold(), plan.target.casefold())),
    "waves": (marked("Waves"), lambda plan: plan.waves),
    "changed": (marked("Changed"), lambda plan: plan.changed_at),
}
_MACHINES_SORTED = {"machine": marked("Machine"), "wave": marked("Wave"), "state": marked("State")}
TYPES = [
    ("dry-run", marked("Dry run: a copy is booted, looked at and removed; the machines run on")),
    ("cold", marked("Cold: each machine is shut down, then copied")),
    ("warm", marked("Warm: copied while they run; you say when each is shut down for the last changes")),
]


async def types_from(asking: ApiClient, source: str) -> list[tuple[str, str]]:
    """Return the choices of a select: the types of migration that machines of this source can have."""
    return types_of(await asking.get(list[Provider], "/v1/providers"), source)


def types_of(known: Iterable[Provider], source: str) -> list[tuple[str, str]]:
    """Return them as `types_from` does, where the providers are known."""
    moves = next((one.moves for one in known if source in (one.name, one.id)), dict(TYPES))
    return [(value, _(said)) for value, said in TYPES if value in moves]


async def listed(request: Request) -> Response:
    found = await request.state.asking.get(list[PlanSummary], "/v1/plans")
    plans, sorts = sorted_so(request, found, _SORTED)
    return render(request, "plans/list.html", plans=plans, sorts=sorts, of_status=of_status)


async def one(request: Request) -> Response:
    """Show a plan. The page is loaded again and again while it runs, so only those machines are read that are shown."""
    asking: ApiClient = request.state.asking
    q, status = request.query_params.get("q", "").strip(), request.query_params.get("status", "")
    offset = offset_of(request)
    sort = request.query_params.get("sort", "")
    asked = {"q": q, "status": status, "sort": sort, "offset": offset, "limit": PAGE}
    found = await asking.get(PlanStates, f"{PLAN.path_of(request)}/states", **asked)
    plan, states = found.plan, Counter(found.plan.states)
    at_work = _under_way(states)
    return render(
        request,
        "plans/one.html",
        live=bool(at_work),
        plan=plan,
        name=plan.name,
        states=plan.states,
        figures_of=found.figures,
        waves=found.waves,
        state_choices=[("", _("Any state")), *((state, _(of_status(state).said)) for state in plan.states)],
        rows=found.machines,
        total=found.total,
        size=PAGE,
        offset=offset,
        q=q,
        sort=sort,
        sorts=links_of(request, _MACHINES_SORTED),
        wanted=status,
        at_work=at_work,
        warm=bool(found.may_cut_over),
        may_take_back=bool(found.may_take_back),
        waits=any(state != "planned" and Status(state).waits_for_person for state in plan.states),
        interrupted=bool(found.broken_off),
        of_status=of_status,
        startable=bool(found.startable),
        changed_at=plan.changed_at,
        draft=plan.draft,
    )


def _under_way(states: Counter[str]) -> int:
    """Count the machines whose latest migration hasn't ended."""
    return sum(count for state, count in states.items() if _is_under_way(state))


def _is_under_way(state: str) -> bool:
    return state != "planned" and not Status(state).ended


# Concerns of a plan, and its start


async def concerns(request: Request) -> Response:
    return await shown_concerns(request, None)


async def shown_concerns(request: Request, trouble: LongshoreError | None, type_: str = "") -> Response:
    """Show everything that stands against starting a plan so, asked of both clouds now: as far as it is known.

    The part about them, where another page has it, goes on asking for itself; else all of the page does, under an
    address that names the check.
    """
    asking: ApiClient = request.state.asking
    view = await PLAN.read(request)
    wanted = type_ or request.query_params.get("type", "") or view.plan.get("defaults", {}).get("type") or "cold"
    said = request.state.form.all("machine") if request.method == "POST" else []
    chosen = said or _chosen(request)
    whole = request.method == "GET" and request.headers.get("HX-Target") != "concerns"
    check: PlanCheck | None = None
    begun = request.query_params.get("check", "")
    try:
        body: dict[str, Any] = {"type": wanted} if wanted in dict(TYPES) else {}
        check = await follow(asking, PLAN.path_of(request), body | {"machines": chosen}, begun)
        trouble = trouble or trouble_of(check)
    except LongshoreError as error:
        trouble = trouble or error
    running = check is not None and check.state == "running"
    again = ""
    if check is not None and running:
        about = {"type": wanted, "machine": chosen, "check": check.id}  # none: all of the plan
        again = f"{PLAN.page_of(request)}/concerns?{urlencode(about, doseq=True)}"
        if whole and begun != check.id:
            return RedirectResponse(again, 303)
    found = check.concerns if check is not None else []
    checked = check is not None and check.state == "done"
    blocked = [c for c in found if c.severity is Severity.BLOCKER and not c.acceptable]
    startable = checked and not blocked and request.state.visit.may("migration:plan:start")
    counted = Counter(c.severity.value for c in found)
    return render(
        request,
        "plans/concerns.html",
        400 if trouble is not None and request.method == "POST" else 200,
        name=view.plan["name"],
        version=view.version,
        draft=view.draft,
        chosen=chosen,
        only=named(chosen),
        type_=wanted,
        types=await types_from(asking, view.plan["source"]),
        checked=checked,
        check=check if running or found else None,
        running=running,
        again=again,
        live=running and whole,
        kinds=by_kind(found),
        counted=counted,
        blocked=blocked,
        acceptable=list(dict.fromkeys(c.code for c in found if c.severity is Severity.BLOCKER and c.acceptable)),
        **told_of(trouble, ("at",) if startable else (), {"at": not_a_moment()}),
        said=said_in(request),
        of_severity=of_severity,
        land_unchanged=LAND_UNCHANGED,
        unchanged=[(value, _(said)) for value, said in LANDINGS[::-1] if value in ("unchanged", "as-is")],
    )


async def land_unchanged(request: Request) -> Response:
    """Have machines of the plan land as the form says instead of being converted, and show what stands against that."""
    said = request.state.form
    chosen, way = said.all("unchanged"), said["landing"]
    view = await PLAN.read(request)
    entries = [
        {**entry, "landing": way} if entry["machine"] in chosen else entry for entry in view.plan.get("machines", [])
    ]
    await change_plan(request, "PATCH", PLAN.path_of(request), {"machines": entries}, view.version)
    again = [("type", said["type"]), *(("machine", name) for name in said.all("machine"))]
    return RedirectResponse(f"{PLAN.page_of(request)}/concerns?{urlencode(again)}", 303)


async def change_plan(request: Request, method: str, path: str, body: Mapping[str, Any], version: str) -> None:
    """Change a plan through the API, only as the page had it: nobody overwrites what they haven't seen.

    `version`: of the plan, as the page had it. Raises InvalidInput where it is another one by now.
    """
    try:
        await request.state.asking.ask(Any, method, path, body, version=version)
    except LongshoreError as error:
        if error.code != ChangedMeanwhile.code:
            raise
        raise InvalidInput(
            _("The plan was changed meanwhile, in another window or by a command."),
            advice=_("What stands here is how it is now: choose again what is to be otherwise."),
            code="conflict",
        ) from None


async def start(request: Request) -> Response:
    said = request.state.form
    body = {"type": said["type"] or None, "accept": said.all("accept"), "machines": said.all("machine")}
    body["at"] = said.moment("at")
    try:
        await request.state.asking.post(list[Migration], f"{PLAN.path_of(request)}/start", body)
    except LongshoreError as error:
        return await shown_concerns(request, error, said["type"])
    return PLAN.back(request)


async def take_start_back(request: Request) -> Response:
    """Have nothing of it begin at a time any more."""
    await request.state.asking.ask(list[str], "DELETE", f"{PLAN.path_of(request)}/start")
    return PLAN.back(request)


# Orders to a whole plan


async def ask_to_cut_over(request: Request) -> Response:
    return await _asked_to_cut_over(request, None)


async def _asked_to_cut_over(request: Request, trouble: LongshoreError | None) -> Response:
    """Ask whether to cut over the machines that wait for it now.

    A button of its own has the others cut over, too, as soon as they are copied.
    """
    said = said_in(request)
    chosen, wave = _chosen(request), said["wave"]
    found, view = await _with_migrations(request)
    name = PLAN.called(view)
    heading = _("Cut plan %(name)s over?") % {"name": name}
    if wave:
        heading = _("Cut wave %(wave)s of plan %(name)s over?") % {"wave": wave, "name": name}
    of_wave = [m for m in view.machines if wave in ("", str(m.wave))]
    meant = {m.migration for m in of_wave if not chosen or m.machine in chosen}
    may = [m for m in found if may_cut_over(m) and m.id in meant]
    waiting = [m for m in may if m.waits_for_cutover]
    told = await told_of_cutover(request.state.asking, waiting) if waiting else [_("Nothing waits for its cutover.")]
    if others := [m.machine_name for m in may if not m.waits_for_cutover]:
        text = _("Not meant, since they are queued or still copied: %(names)s.")
        told.append(text % {"names": named(others)})
    elif not waiting:
        raise Conflict(_("There is nothing to cut over."))
    ahead = _("Cut each over as soon as it is copied, without asking again"), "ahead"
    waves = Counter(m.wave for m in of_wave if m.migration in {one.id for one in waiting})
    instead = [
        (f"{PLAN.page_of(request)}/cutover?wave={n}", _("wave %(wave)s (%(count)s)") % {"wave": n, "count": waves[n]})
        for n in sorted(waves)
        if len(waves) > 1 and not chosen
    ]
    then = {"wave": wave} if wave else {}
    more: dict[str, Any] = {"timed": said, "trouble": trouble}
    if not waiting:
        return _confirmed(request, "cutover", heading, told, ahead[0], hidden={**then, "ahead": "yes"}, **more)
    more |= {"hidden": then, "other": ahead if others else None, "instead": instead}
    button = _("Cut over what waits (%(count)s)") % {"count": len(waiting)}
    return _confirmed(request, "cutover", heading, told, button, **more)


async def _with_migrations(request: Request) -> tuple[list[Migration], PlanView]:
    asking: ApiClient = request.state.asking
    return await asyncio.gather(asking.get(list[Migration], f"{PLAN.path_of(request)}/migrations"), PLAN.read(request))


async def ask_to_take_back(request: Request) -> Response:
    chosen = _chosen(request)
    found, view = await _with_migrations(request)
    asked = {one.id for one in found if one.may_be_taken_back}
    meant = [m.machine for m in view.machines if m.migration in asked and (not chosen or m.machine in chosen)]
    heading = _("Take the cutover of plan %(name)s back?") % {"name": view.plan["name"]}
    told = [
        _("They wait for their cutover until somebody asks for it again: %(names)s.")
        % {"names": named(meant) or _("none")},
        _("What has begun to be cut over goes on."),
    ]
    return _confirmed(request, "take-back", heading, told, _("Take it back"))


async def ask_to_cancel(request: Request) -> Response:
    chosen = _chosen(request)
    view = await PLAN.read(request)
    meant = [m for m in view.machines if not chosen or m.machine in chosen]
    stopped = [m.machine for m in meant if _is_under_way(m.status)]
    heading = _("Cancel plan %(name)s?") % {"name": view.plan["name"]}
    told = [
        _("%(count)s that are under way or wait are stopped, and what they made at the target is removed: %(names)s.")
        % {"count": len(stopped), "names": named(stopped) or _("none")},
        _("Machines that were shut down for it are powered on again. What is done stays."),
    ]
    return _confirmed(request, "cancel", heading, told, _("Cancel them"), "danger")


async def ask_to_retry(request: Request) -> Response:
    chosen = _chosen(request)
    view = await PLAN.read(request)
    failed = [m.machine for m in view.machines if m.status == "failed" and (not chosen or m.machine in chosen)]
    heading = _("Start failed ones of %(name)s again?") % {"name": view.plan["name"]}
    told = [
        _("Started again, as before: %(names)s.") % {"names": named(failed) or _("none")},
        _("With the options that the plan has now, and what was accepted before."),
    ]
    return _confirmed(request, "retry", heading, told, _("Start them again"))


def _chosen(request: Request) -> list[str]:
    """Return the machines that are ticked; none where all of the plan is meant.

    Raises InvalidInput where some were to be ticked and none is: that doesn't mean all.
    """
    said = said_in(request)
    chosen = said.all("machine")
    if not chosen and said["of"] == "chosen":
        raise InvalidInput(_("No machine is chosen."), advice=_("Go back and choose some, or act on the whole plan."))
    return chosen


def _confirmed(  # noqa: PLR0917
    request: Request, verb: str, heading: str, told: list[str], said: str, kind: str = "primary", **more: Any
) -> Response:
    """Ask for a confirmation that is about the chosen machines, if any were chosen; their names stand above it.

    `more`: as `confirm` takes it.
    """
    chosen, back = _chosen(request), PLAN.page_of(request)
    only = [_("Only of these: %(names)s.") % {"names": named(chosen)}] if chosen else []
    does, some = f"{back}/{verb}", [("machine", name) for name in chosen]
    return confirm(request, heading, told=[*only, *told], does=does, said=said, back=back, kind=kind, some=some, **more)


_DELETE = Question(
    marked("Delete plan %(name)s?"),
    (marked("What was moved stays as it is, and so do the records of its migrations."),),
    marked("Delete it"),
    "danger",
)


def _does(verb: str) -> Handler:
    async def act(request: Request) -> Response:
        said = request.state.form
        about: dict[str, Any] = {"machine": said.all("machine")}
        body = None
        if verb == "cutover":
            about |= {"wave": said["wave"] or None, "ahead": bool(said["ahead"]) or None}
            body = cutover_time(said)
        try:
            await request.state.asking.post(list[Migration], f"{PLAN.path_of(request)}/{verb}", body, **about)
        except LongshoreError as error:
            return await _asked_to_cut_over(request, of_its_time(error))
        return PLAN.back(request)

    return act


async def take_cutover_back(request: Request) -> Response:
    about = {"machine": request.state.form.all("machine")}
    await request.state.asking.ask(list[Migration], "DELETE", f"{PLAN.path_of(request)}/cutover", **about)
    return PLAN.back(request)


_MAKES, _STARTS, _CUTS_OVER = "migration:plan:create", "migration:plan:start", "migration:plan:cutover"
ROUTES = [
    Page("/plans", listed, "GET"),
    Page(PLAN.page, one, "GET"),
    Page(PLAN.route_of("concerns"), concerns, "GET"),
    Page(PLAN.route_of("land-unchanged"), land_unchanged, "POST", _MAKES),
    Page(PLAN.route_of("start"), start, "POST", _STARTS),
    Page(PLAN.route_of("take-start-back"), take_start_back, "POST", _STARTS),
    Page(PLAN.route_of("cutover"), ask_to_cut_over, "GET", _CUTS_OVER),
    Page(PLAN.route_of("cutover"), _does("cutover"), "POST", _CUTS_OVER),
    Page(PLAN.route_of("take-back"), ask_to_take_back, "GET", _CUTS_OVER),
    Page(PLAN.route_of("take-back"), take_cutover_back, "POST", _CUTS_OVER),
    Page(PLAN.route_of("cancel"), ask_to_cancel, "GET", "migration:plan:cancel"),
    Page(PLAN.route_of("cancel"), _does("cancel"), "POST", "migration:plan:cancel"),
    Page(PLAN.route_of("retry"), ask_to_retry, "GET", _STARTS),
    Page(PLAN.route_of("retry"), _does("retry"), "POST", _STARTS),
    Page(PLAN.route_of("resume"), _does("resume"), "POST", _STARTS),
    *declare_verb(PLAN, "keep", _MAKES),
    *declare_verb(PLAN, "delete", "migration:plan:delete", _DELETE, deletes(PLAN, "/plans")),
]
