"""The overview: first what waits for a person, then what failed, then what runs, what is queued and what is done.

Of each only the first are shown, beside how many there are and where the others stand: nothing is told from a part.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.replicas import Replica
from longshore.api.schemas import ListedMigration, MigrationCounts, PlanSummary, Provider
from longshore.model.replica import Stage
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.web.asking import ApiClient
from longshore.web.page import Page
from longshore.web.pages.migrations import OVER, STATES, UNDER_WAY
from longshore.web.rendering import render
from longshore.wording.states import Shown, of_condition, of_migration, of_status

_PLANS = 10
_WAITING = 12  # of each kind
_AT_WORK = 20
_DONE = 5
_OWN_PAGES = (MigrationType.REPLICA, MigrationType.BACKUP_POLICY)  # have such a record, and are shown as something else
_ENDING = [kind.value for kind in MigrationType if kind not in _OWN_PAGES and not kind.awaited]
_WAITS = (Status.WAITS_FOR_DECISION, Status.WAITS_WITH_COPY, Status.PARKED, Status.WAITS_FOR_CUTOVER)
_KINDS = {"astray": "bad", "failed-last": "bad", "under-way": "working"}


class _Some(NamedTuple):
    """The first of those that stand alike, how many there are, and where all of them are."""

    shown: Shown
    first: Sequence[ListedMigration]
    total: int
    all_at: str


async def show(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    return render(request, "overview.html", live=True, **await standing(asking))


async def wall(request: Request) -> Response:
    """Show the overview as it is for a large screen: nothing can be done there."""
    asking: ApiClient = request.state.asking
    return render(request, "wall.html", live=True, link=None, now=datetime.now(UTC), **await standing(asking))


async def standing(asking: ApiClient) -> dict[str, Any]:
    """Return what an overview's template is told of how everything stands that `asking` sees."""

    async def counted(**asked: Any) -> Counter[str]:
        found = await asking.get(MigrationCounts, "/v1/job-counts", type=_ENDING, **asked)
        return Counter(found.statuses)

    providers, replicas, plans, counts, last_tries, astray = await asyncio.gather(
        asking.get(list[Provider], "/v1/providers"),
        asking.get(list[Replica], "/v1/replicas", figures=False),
        asking.get(list[PlanSummary], "/v1/plans", figures=True, unmoved=True),
        counted(),
        counted(status=Status.FAILED.value, last=True),
        counted(astray=True),
    )

    async def some(state: str, total: int, limit: int, **asked: bool) -> _Some:
        found = []
        if total and limit:
            page = {"limit": limit, "short": True, "type": _ENDING, **STATES[state].asked, **asked}
            found = await asking.get(list[ListedMigration], "/v1/jobs", **page)
        shown = Shown(STATES[state].said, _KINDS.get(state) or of_status(state).kind)
        return _Some(shown, found, total, f"/ui/jobs?status={state}")

    def with_someone(*statuses: Status) -> int:
        """Count those that somebody runs, or can take."""
        return sum(counts[one] - astray[one] for one in statuses)

    waits, failed, running, over = await asyncio.gather(
        asyncio.gather(
            some("astray", sum(astray[one] for one in (*UNDER_WAY, Status.QUEUED)), _WAITING),
            *(some(one.value, counts[one], _WAITING) for one in _WAITS),
        ),
        some("failed-last", last_tries[Status.FAILED], _WAITING, newest=True),
        some("under-way", with_someone(*UNDER_WAY), _AT_WORK),
        asyncio.gather(*(some(one.value, counts[one], _DONE, newest=True) for one in OVER)),
    )
    run = [one for one in running.first if not one.interrupted and not one.stranded]
    queued = await some("queued", with_someone(Status.QUEUED), 0)
    ended = sorted((m for kind in over for m in kind.first), key=lambda m: m.finished_at or m.created_at, reverse=True)
    missed = [one for one in replicas if any(of_condition(c.code) == "bad" for c in one.conditions)]
    undecided = [one for one in replicas if one.stage in (Stage.FAILED_OVER, Stage.FAILED_BACK)]
    return {
        "waits": [one for one in waits if one.total],
        "waiting": sum(one.total for one in waits) + len(missed) + len(undecided),
        "missed": missed[:_WAITING],
        "undecided": undecided[:_WAITING],
        "all_replicas": len(missed) + len(undecided),
        "running": running._replace(first=run),
        "queued": queued,
        "failed": failed,
        "over": [one for one in over if one.total],
        "ended": ended[:_DONE],
        "replicas": replicas,
        "left_out": asking.left_out,
        "plans": sorted(plans, key=_has_begun, reverse=True)[:_PLANS],
        "all_plans": len(plans),
        "begun": bool(counts or replicas or plans),
        "of_status": of_status,
        "sources": [one for one in providers if one.sides == ["source"]],
        "targets": [one for one in providers if "target" in one.sides],
        "of_migration": of_migration,
        "bad": lambda replica: [c for c in replica.conditions if of_condition(c.code) == "bad"],
    }


def _has_begun(plan: PlanSummary) -> bool:
    return any(state != "planned" for state in plan.states)


ROUTES = [Page("/", show, "GET"), Page("/wall", wall, "GET")]
