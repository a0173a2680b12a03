"""Replicas: how well they protect, and machines made of their points."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.replica_reports import ReplicaReport
from longshore.api.replicas import Point, Replica
from longshore.api.schemas import Migration
from longshore.client.calls import part
from longshore.model.durations import duration
from longshore.model.replica import SYNCED, Stage
from longshore.web.asking import ApiClient
from longshore.web.forms import whole
from longshore.web.page import Page, Question, declare_verb
from longshore.web.rendering import render
from longshore.web.sorting import sorted_so
from longshore.web.things import MIGRATION, REPLICA
from longshore.wording.charts import Mark, ages
from longshore.wording.states import of_condition, of_replica, of_status
from longshore.wording.texts import _, marked

_SPANS = {"1": marked("24 hours"), "7": marked("7 days"), "30": marked("30 days")}
_LANDINGS, _POINTS = 20, 100  # rows, the last ones
_CHART = 600  # units wide: its texts stay legible on a narrow screen
_SORTED: dict[str, tuple[str, Callable[[Replica], Any]]] = {
    "machine": (marked("Machine"), lambda replica: replica.machine_name.casefold()),
    "state": (marked("State"), lambda replica: of_replica(replica).said),
    "rpo-now": (marked("RPO now"), lambda replica: replica.rpo_now),
    "rpo": (marked("Required RPO"), lambda replica: replica.rpo),
    "points": (marked("Points"), lambda replica: replica.points),
    "tested": (marked("Last test"), lambda replica: replica.proved_at),
    "next": (marked("Next sync"), lambda replica: None if replica.paused else replica.due_at),
    "problem": (marked("Problem"), lambda replica: [one.code for one in replica.conditions] or None),
}
_POINTS_SORTED: dict[str, tuple[str, Callable[[Point], Any]]] = {
    "number": (marked("Number"), lambda point: point.number),
    "moment": (marked("Moment"), lambda point: point.moment),
    "state": (marked("State"), lambda point: "suspect" if point.suspect else point.state),
    "written": (marked("Written"), lambda point: point.bytes_written),
    "tested": (marked("Tested"), lambda point: point.proved_at),
}
_PROTECTED = (Stage.PROTECTED, Stage.ADOPTED)


async def listed(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    found = await asking.get(list[Replica], "/v1/replicas", figures=False)
    replicas, sorts = sorted_so(request, found, _SORTED)
    return render(
        request,
        "replicas/list.html",
        live=bool(found),
        replicas=replicas,
        sorts=sorts,
        of_replica=of_replica,
        left_out=asking.left_out,
    )


async def one(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    report = await asking.get(ReplicaReport, f"{REPLICA.path_of(request)}/report")
    days = request.query_params.get("days", "1")
    days = days if days in _SPANS else "1"
    replica = report.replica
    there = [point for point in report.points[::-1] if point.state != "gone"]
    points, sorts = sorted_so(request, there[:_POINTS], _POINTS_SORTED)
    tests = [one.id for one in report.landings if one.status not in ("done", "failed", "cancelled")]
    under_way = await asyncio.gather(*(asking.get(Migration, f"/v1/migrations/{part(id_)}") for id_ in tests[:10]))
    return render(
        request,
        "replicas/one.html",
        live=not replica.status.ended,
        r=replica,
        points=points,
        sorts=sorts,
        landings=report.landings[: -_LANDINGS - 1 : -1],
        under_way=list(under_way),
        chart=_chart(report, int(days)),
        arrivals=_arrivals(report, int(days)),
        spans={value: _(said) for value, said in _SPANS.items()},
        days=days,
        of_replica=of_replica,
        of_condition=of_condition,
        of_status=of_status,
        may_sync=replica.stage in SYNCED,
        may_land=replica.stage in _PROTECTED and replica.points > 0,
        may_test=replica.points > 0,
        may_undo=replica.stage in (Stage.FAILING_OVER, Stage.FAILED_OVER, Stage.FAILING_BACK, Stage.FAILED_BACK),
        may_fail_back=replica.stage in (Stage.FAILED_OVER, Stage.COMMITTED),
        may_reprotect=replica.stage is Stage.COMMITTED,
        may_commit=replica.stage in (Stage.FAILED_OVER, Stage.FAILED_BACK),
    )


def _chart(report: ReplicaReport, days: int) -> Markup:
    """Return a chart of the newest point's age over these days. All texts in it are escaped where it is drawn."""
    until, began = _utc(report.made_at), _utc(report.replica.created_at)
    since = max(until - timedelta(days=days), min(began, until - timedelta(minutes=1)))
    arrivals = [(_utc(one.moment), _utc(one.usable_at)) for one in report.arrivals]
    rpo = report.replica.rpo
    return Markup(ages(arrivals, since, until, rpo, duration, _marks(report), width=_CHART))  # noqa: S704


def _marks(report: ReplicaReport) -> list[Mark]:
    """Return what was made of points, for the chart: tests and failovers that have ended."""
    good, bad = _("%(what)s, as it should"), _("%(what)s failed")
    return [
        Mark(_utc(one.asked_at), (good if one.status == "done" else bad) % {"what": _(one.type)}, one.status == "done")
        for one in report.landings
        if one.status in ("done", "failed")
    ]


def _arrivals(report: ReplicaReport, days: int) -> list[tuple[datetime, datetime, float]]:
    """Return the figures of the chart, newest first.

    Each row has a point's moment, when it was usable, and how many seconds old the point before was then.
    """
    since = _utc(report.made_at) - timedelta(days=days)
    rows = []
    for before, one in zip([None, *report.arrivals], report.arrivals, strict=False):
        if _utc(one.usable_at) >= since:
            age = (_utc(one.usable_at) - _utc((before or one).moment)).total_seconds()
            rows.append((one.moment, one.usable_at, age))
    return rows[::-1]


async def test(request: Request) -> Response:
    """Begin a test: a machine is made of a point, booted on networks that lead nowhere, looked at and removed."""
    body = {"point": whole(request.state.form["point"]), "isolated": True}
    made = await request.state.asking.post(Migration, f"{REPLICA.path_of(request)}/test", body)
    return RedirectResponse(MIGRATION.at(migration=made.id), 303)


async def ask_to_fail_over(request: Request) -> Response:
    replica = await REPLICA.read(request)
    age = duration(replica.rpo_now) if replica.rpo_now is not None else _("unknown")
    return render(
        request,
        "replicas/failover.html",
        r=replica,
        point=whole(request.query_params.get("point", "")) or "",
        age=age,
        may_plan=replica.stage is Stage.PROTECTED,
    )


async def fail_over(request: Request) -> Response:
    said = request.state.form
    planned = said["how"] == "planned"
    body = {"planned": planned, "point": None if planned else whole(said["point"])}
    await request.state.asking.post(Replica, f"{REPLICA.path_of(request)}/failover", body)
    return REPLICA.back(request)


def _told_of_undo(replica: Replica) -> list[str]:
    if replica.stage in (Stage.FAILING_BACK, Stage.FAILED_BACK):
        first = _("The machine is shut down and is as it was before the failback; the server runs again.")
    else:
        first = _("The server is removed. The machine runs again if it was shut down for it, and syncs go on.")
    return [first, _("What has been written since is lost.")]


def _told_of_commit(replica: Replica) -> list[str]:
    if replica.stage is Stage.FAILED_BACK:
        first = _("The machine is what counts from now on. Its server goes if it isn't yours, and syncs go on.")
    else:
        first = _("The server is yours for good. Points stay until they are deleted.")
    return [first, _("It can't be undone any more.")]


_UNDO = Question(marked("Undo it for %(name)s?"), _told_of_undo, marked("Undo it"), "danger")
_COMMIT = Question(marked("Commit it for %(name)s?"), _told_of_commit, marked("Commit it"))


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


_CHANGES, _FAILS_OVER = "migration:replica:update", "migration:replica:failover"
ROUTES = [
    Page("/replicas", listed, "GET"),
    Page(REPLICA.page, one, "GET"),
    *declare_verb(REPLICA, "sync", _CHANGES),
    *declare_verb(REPLICA, "pause", _CHANGES),
    *declare_verb(REPLICA, "resume", _CHANGES),
    *declare_verb(REPLICA, "test", "migration:replica:test", does=test),
    Page(REPLICA.route_of("failover"), ask_to_fail_over, "GET", _FAILS_OVER),
    Page(REPLICA.route_of("failover"), fail_over, "POST", _FAILS_OVER),
    *declare_verb(REPLICA, "undo", _FAILS_OVER, _UNDO),
    *declare_verb(REPLICA, "commit", _FAILS_OVER, _COMMIT),
]
