"""Migrations: listed, looked at, and told what to do."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.schemas import LedgerEntry, ListedMigration, Migration, MigrationCounts, ServerConsole
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.durations import duration
from longshore.model.request import MOVES, BootProof, Cutover, MigrationRequest, MigrationType
from longshore.model.status import Status
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, said_in
from longshore.web.page import Handler, Page, Question, declare_verb
from longshore.web.pages.conversions import may_convert, weighed
from longshore.web.phases import events_of, expected_downtime, parts_of_downtime, phases_of
from longshore.web.rendering import TIMES, confirm, render, shown_moment
from longshore.web.sheets import as_csv
from longshore.web.sorting import links_of
from longshore.web.things import MIGRATION
from longshore.wording.consoles import emptiness_of, power_of
from longshore.wording.guest import LOOKED_AT, guest_rows
from longshore.wording.states import may_cancel, may_cut_over, may_resume, of_migration, of_status
from longshore.wording.texts import _, marked

PAGE = 50  # rows
_NAMED = 20  # machines in a sentence
_LASTING = ("replica", "backup-policy")  # they have pages of their own
_SHOWN = 200  # events, the last ones
_AT_ONCE = 1000  # rows that are asked for
_SHEET = (
    *("Machine", "Type", "From", "To", "Plan", "Wave", "Requested (UTC)", "Begun (UTC)", "Ended (UTC)"),
    *("State", "Phase", "Downtime seconds", "Problem", "Id"),
)


class ListChoice(NamedTuple):
    """A choice of a list: what it is called, and what the API is asked for."""

    said: str
    asked: Mapping[str, Any]


def _of(*statuses: Status) -> dict[str, Any]:
    return {"status": [one.value for one in statuses]}


_SORTED = {
    "machine": marked("Machine"),
    "state": marked("State"),
    "type": marked("Type"),
    "requested": marked("Requested"),
}
OVER = (Status.DONE, Status.REHEARSED)
UNDER_WAY = (Status.RUNNING, Status.ROLLING_BACK)
STATES = {
    **{one.value: ListChoice(of_status(one.value).said, _of(one)) for one in Status},
    "under-way": ListChoice(marked("under way"), _of(*UNDER_WAY)),
    "failed-last": ListChoice(marked("failed at the last try"), {**_of(Status.FAILED), "last": True}),
    "astray": ListChoice(marked("run by nobody"), {**_of(*UNDER_WAY, Status.QUEUED), "astray": True}),
}


async def listed(request: Request) -> Response:
    return await _list(request, "migration", _("Migrations"), MOVES)


async def jobs(request: Request) -> Response:
    return await _list(request, "job", _("Jobs"), list(MigrationType))


async def _list(request: Request, called: str, title: str, types: Sequence[MigrationType]) -> Response:
    asking: ApiClient = request.state.asking
    asked = request.query_params
    status, marker, kind = asked.get("status", ""), asked.get("marker", ""), asked.get("type", "")
    about = {"name": asked.get("q", "").strip(), "type": kind}
    meant = STATES[status].asked if status in STATES else {"status": status}
    sort = asked.get("sort", "")
    page = {"short": True, "newest": True, "sort": sort, "limit": PAGE, "marker": marker, **meant}
    found, counts = await asyncio.gather(
        asking.get(list[ListedMigration], f"/v1/{called}s", **page, **about),
        asking.get(MigrationCounts, f"/v1/{called}-counts", **about),
    )
    return render(
        request,
        "migrations/list.html",
        title=title,
        at=f"/ui/{called}s",
        counts=counts.statuses,
        of_status=of_status,
        live=any(not one.status.ended for one in found),
        migrations=found,
        choosable=[m.id for m in found if m.type.value not in _LASTING and m.status not in OVER],
        wanted=status,
        statuses=[(value, _(said)) for value, (said, _asked) in STATES.items()],
        kind=kind,
        types=[(one.value, _(one.value)) for one in types],
        q=about["name"],
        sort=sort,
        sorts=links_of(request, _SORTED),
        later=bool(marker),
        older=found[-1].id if len(found) == PAGE else None,
        of_migration=of_migration,
    )


async def migrations_as_csv(request: Request) -> Response:
    return await _as_csv(request, "migration")


async def jobs_as_csv(request: Request) -> Response:
    return await _as_csv(request, "job")


async def _as_csv(request: Request, called: str) -> Response:
    """Keep all of a list that fit as a file, in its order."""
    asking: ApiClient = request.state.asking
    asked = request.query_params
    status = asked.get("status", "")
    meant = STATES[status].asked if status in STATES else {"status": status}
    page = {"short": True, "newest": True, "sort": asked.get("sort", ""), "limit": _AT_ONCE, **meant}
    page["name"] = asked.get("q", "").strip()
    found: list[ListedMigration] = []
    while True:
        more = await asking.get(
            list[ListedMigration],
            f"/v1/{called}s",
            **page,
            type=asked.get("type", ""),
            marker=found[-1].id if found else "",
        )
        found += more
        if len(more) < _AT_ONCE:
            break
    return as_csv(f"{called}s", _SHEET, map(_in_sheet, found))


def _in_sheet(m: ListedMigration) -> tuple[Any, ...]:
    moments = (at.isoformat(timespec="seconds") if at else "" for at in (m.created_at, m.started_at, m.finished_at))
    stands = of_migration(m).said, m.phase, m.downtime_seconds, m.error
    return (m.machine_name, m.type.value, m.source, m.target, m.plan, m.wave, *moments, *stands, m.id)


async def one(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    migration, events, ledger = await asyncio.gather(
        MIGRATION.read(request),
        events_of(asking, request.path_params["migration"]),
        asking.get(list[LedgerEntry], f"{MIGRATION.path_of(request)}/ledger"),
    )
    decides = migration.status is Status.WAITS_FOR_DECISION
    ports = (migration.result or {}).get("ports", ())
    phases = phases_of(events)
    was_off = migration.source_off_at if migration.downtime_seconds is not None else None
    back = migration.target_up_at or migration.source_on_at
    return render(
        request,
        "migrations/one.html",
        live=not migration.status.ended,
        m=migration,
        phases=phases,
        off=parts_of_downtime(phases, was_off, back),
        events=events[: -_SHOWN - 1 : -1],
        all_events=len(events),
        ledger=ledger,
        left=[entry for entry in ledger if entry.state in ("made", "left") and migration.status.ended],
        of_migration=of_migration,
        waits=migration.waits_for_cutover,
        may_cut_over=may_cut_over(migration),
        may_cancel=may_cancel(migration) and not decides,
        waits_for_word=decides,
        may_resume=may_resume(migration),
        proof=(migration.result or {}).get("proof"),
        addresses=", ".join(address for port in ports for address in port["addresses"]),
        guest=[
            (_capital(_(label)), shown_moment(value) if label == LOOKED_AT else value)
            for label, value in guest_rows((migration.result or {}).get("guest"))
        ],
        landings=weighed(migration),
        may_convert=may_convert(migration),
        awaited=_awaited(migration),
        cut_over_at=_scheduled(migration),
        has_console=migration.server_id is not None and migration.status not in (Status.FAILED, Status.CANCELLED),
    )


async def console(request: Request) -> Response:
    """Show the console of a migration's server.

    At the end of a move its owner wants to see that; before, it shows what is being waited for.
    """
    asking: ApiClient = request.state.asking
    migration = await MIGRATION.read(request)
    found, trouble = await asking.tried(ServerConsole, f"{MIGRATION.path_of(request)}/console")
    if trouble is not None and trouble.code != "not-found":
        raise trouble
    return render(
        request,
        "migrations/console.html",
        live=not migration.status.ended,
        m=migration,
        console=found,
        power_of=power_of,
        emptiness_of=emptiness_of,
        of_migration=of_migration,
    )


def _capital(label: str) -> str:
    """Begin a label with a capital letter, and leave the rest as it is: in German other words have them, too."""
    return label[:1].upper() + label[1:]


def _scheduled(migration: Migration) -> Cutover | None:
    """Return when it is to be cut over by itself, if that is at a time and is still to come."""
    asked = migration.request
    if not isinstance(asked, MigrationRequest) or migration.cutover_requested or not migration.may_be_taken_back:
        return None
    return asked.cutover


def _awaited(migration: Migration) -> str:
    """Return a sentence about what is to show that the guest is up, while that is waited for; empty otherwise."""
    asked = migration.request
    if migration.phase != "checking" or migration.status.ended or not isinstance(asked, MigrationRequest):
        return ""
    if asked.boot_proof is BootProof.NONE:
        return _("It is taken for up once it has run for a minute.")
    ways = []
    if asked.boot_proof in (BootProof.AUTO, BootProof.CONSOLE):
        mark = asked.boot_mark
        ways.append(_("its console shows %(mark)s") % {"mark": mark} if mark else _("its console shows a login prompt"))
    if asked.boot_proof in (BootProof.AUTO, BootProof.PORT) and asked.boot_ports:
        ports = ", ".join(map(str, asked.boot_ports))
        ways.append(_("one of its ports answers: %(ports)s") % {"ports": ports})
    if asked.boot_proof is BootProof.AGENT:
        ways.append(_("its guest agent answers"))
    told = {"time": duration(asked.boot_timeout), "ways": "; ".join(ways)}
    return _("Waited for, for %(time)s at most: %(ways)s.") % told


async def ask_to_cut_over(request: Request) -> Response:
    return await _asked_to_cut_over(request, None)


async def _asked_to_cut_over(request: Request, trouble: LongshoreError | None) -> Response:
    migration, back = await MIGRATION.read(request), MIGRATION.page_of(request)
    heading = _("Cut %(name)s over?") % {"name": migration.machine_name}
    told = await told_of_cutover(request.state.asking, [migration])
    timed = None if migration.cutover_failed else said_in(request)
    does, said = f"{back}/cutover", _("Cut over now")
    return confirm(request, heading, told=told, does=does, said=said, back=back, timed=timed, trouble=trouble)


def cutover_time(form: Form) -> dict[str, str | None] | None:
    """Return the time at which something is to be cut over, as the API takes it; None: now."""
    return {"at": form.moment("at"), "until": form.moment("until")} if form["at"] else None


def of_its_time(error: LongshoreError) -> LongshoreError:
    """Return a refusal of a cutover that is about its time, which can be said anew; raise any other."""
    if error.field.rpartition(".")[2] not in TIMES:
        raise error
    return error


async def cut_over(request: Request) -> Response:
    body = cutover_time(request.state.form)
    try:
        await request.state.asking.post(Migration, f"{MIGRATION.path_of(request)}/cutover", body)
    except LongshoreError as error:
        return await _asked_to_cut_over(request, of_its_time(error))
    return MIGRATION.back(request)


async def take_cutover_back(request: Request) -> Response:
    await request.state.asking.ask(Migration, "DELETE", f"{MIGRATION.path_of(request)}/cutover")
    return MIGRATION.back(request)


def named(machines: Sequence[str]) -> str:
    """List their names in a sentence; of very many the first."""
    if len(machines) <= _NAMED:
        return ", ".join(machines)
    more = len(machines) - _NAMED
    return _("%(names)s and %(count)s more") % {"names": ", ".join(machines[:_NAMED]), "count": more}


async def told_of_cutover(asking: ApiClient, migrations: Sequence[Migration]) -> list[str]:
    """Return sentences about what a cutover of these migrations means."""
    names = named([one.machine_name for one in migrations])
    told = [
        _("Stopped at the source, and started at the target: %(names)s.") % {"names": names},
        _("What has changed since the last sync is copied while it is off, and compared; then its server boots."),
        _("If the server doesn't come up, what was made is removed and the machine is powered on again."),
    ]
    expected = await expected_downtime(asking, migrations)
    if expected is None:
        return told
    took = duration(expected.copying)
    if expected.landing is None:
        said = _(
            "Off for about %(took)s, as the last sync took, and until it is up: nothing has shown yet how long that is."
        )
        return [*told, said % {"took": took}]
    said = _("Expected to be off for about %(whole)s: %(took)s for the last changes, then %(rest)s as %(names)s took.")
    figures = {"whole": duration(expected.copying + expected.landing), "took": took}
    return [*told, said % {**figures, "rest": duration(expected.landing), "names": ", ".join(expected.shown_by)}]


_CANCEL = Question(
    marked("Cancel the migration of %(name)s?"),
    (
        marked("What it has made at the target is removed."),
        marked("If the machine was shut down for it, it is powered on again."),
        marked("It can be started anew later; what was copied is copied again then."),
    ),
    marked("Cancel it"),
    "danger",
)
_COMMIT = Question(
    marked("Keep %(name)s as it was restored?"),
    (
        marked("What was restored is for good: there is no way back any more."),
        marked("The server that it was before stays as it is, off and without its ports, until you delete it."),
    ),
    marked("Keep it"),
)
_UNDO = Question(
    marked("Go back to %(name)s as it was before?"),
    (
        marked("The server that was restored is deleted, with all that it has written since."),
        marked("The one that it was before gets its ports again, and is started if it ran."),
    ),
    marked("Go back"),
    "danger",
)
_DELETE = Question(
    marked("Take the failed try of %(name)s away?"),
    (
        marked("Its record goes, with what happened in it, its digests and its report. What was moved stays as it is."),
        marked("So do earlier tries of this machine that failed."),
    ),
    marked("Take it away"),
    "danger",
)


async def delete(request: Request) -> Response:
    """Forget a migration, and the tries before it that failed: the last of them would stand in its place."""
    asking: ApiClient = request.state.asking
    last = await MIGRATION.read(request)
    alike = [kind.value for kind in MOVES] if last.type.moves else [last.type.value]
    asked = {"machine": last.machine_ref, "status": Status.FAILED.value, "type": alike, "newest": True, "short": True}
    failed = await asking.get(list[ListedMigration], "/v1/jobs", **asked)
    await asking.ask(type(None), "DELETE", MIGRATION.path_of(request))
    for one in failed:
        if one.id != last.id and one.source == last.source and one.created_at <= last.created_at:
            await asking.ask(type(None), "DELETE", f"/v1/migrations/{part(one.id)}")
    return RedirectResponse("/ui/", 303)


def _of_restore(verb: str) -> Handler:
    async def act(request: Request) -> Response:
        path = f"/v1/restores/{part(request.path_params['migration'])}/{verb}"
        await request.state.asking.post(Migration, path)
        return MIGRATION.back(request)

    return act


_CUTS_OVER, _CANCELS = "migration:migration:cutover", "migration:migration:cancel"
ROUTES = [
    Page("/migrations", listed, "GET"),
    Page("/migrations.csv", migrations_as_csv, "GET"),
    Page("/jobs.csv", jobs_as_csv, "GET"),
    Page("/jobs", jobs, "GET"),
    Page(MIGRATION.page, one, "GET"),
    Page(MIGRATION.route_of("console"), console, "GET", "migration:migration:console"),
    Page(MIGRATION.route_of("cutover"), ask_to_cut_over, "GET", _CUTS_OVER),
    Page(MIGRATION.route_of("cutover"), cut_over, "POST", _CUTS_OVER),
    Page(MIGRATION.route_of("take-back"), take_cutover_back, "POST", _CUTS_OVER),
    *declare_verb(MIGRATION, "cancel", _CANCELS, _CANCEL),
    *declare_verb(MIGRATION, "commit", "migration:restore:create", _COMMIT, _of_restore("commit")),
    *declare_verb(MIGRATION, "undo", "migration:restore:create", _UNDO, _of_restore("undo")),
    *declare_verb(MIGRATION, "delete", "migration:migration:delete", _DELETE, delete),
    *declare_verb(MIGRATION, "resume", "migration:migration:resume"),
    *declare_verb(MIGRATION, "cleanup", _CANCELS),
]
