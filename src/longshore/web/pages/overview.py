"""The overview: first what waits for a person, then what runs, then what failed."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.replicas import Replica
from longshore.api.schemas import ListedMigration, Provider
from longshore.model.replica import Stage
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.web.asking import Asking
from longshore.web.page import Page
from longshore.web.rendering import render
from longshore.wording.progress import waits_for_word
from longshore.wording.states import of_condition, of_migration

_SHOWN = 20  # of each kind
_OWN_PAGES = (MigrationType.REPLICA, MigrationType.BACKUP_POLICY)  # have such a record, and are shown as something else


async def show(request: Request) -> Response:
    asking: Asking = request.state.asking

    async def with_status(status: Status) -> list[ListedMigration]:
        asked = {"status": status.value, "newest": True, "limit": _SHOWN, "short": True}
        found = await asking.get(list[ListedMigration], "/v1/jobs", **asked)
        return [one for one in found if one.type not in _OWN_PAGES]

    at_work = (Status.RUNNING, Status.ROLLING_BACK, Status.PARKED, Status.QUEUED)
    (providers, replicas, failed, done), by_status = await asyncio.gather(
        asyncio.gather(
            asking.get(list[Provider], "/v1/providers"),
            asking.get(list[Replica], "/v1/replicas", figures=False),
            with_status(Status.FAILED),
            with_status(Status.DONE),
        ),
        asyncio.gather(*(with_status(status) for status in at_work)),
    )
    running = [one for found in by_status for one in found]
    restored = [one for one in running if waits_for_word(one)]
    waiting = [one for one in running if one.waits_for_cutover]
    stuck = [one for one in running if one.interrupted or one.stranded or one.status is Status.PARKED]
    missed = [one for one in replicas if any(of_condition(c.code) == "bad" for c in one.conditions)]
    undecided = [one for one in replicas if one.stage in (Stage.FAILED_OVER, Stage.FAILED_BACK)]
    left = {one.id for one in [*waiting, *stuck, *restored]}
    return render(
        request,
        "overview.html",
        live=bool(running or replicas),
        waiting=waiting,
        stuck=[one for one in stuck if not one.waits_for_cutover],
        missed=missed,
        undecided=undecided,
        restored=restored,
        running=[one for one in running if one.id not in left],
        failed=failed,
        done=done[:5],
        replicas=replicas,
        begun=bool(running or failed or done or replicas),
        sources=[one for one in providers if one.kind not in ("openstack", "vault")],
        targets=[one for one in providers if one.kind == "openstack"],
        of_migration=of_migration,
        bad=lambda replica: [c for c in replica.conditions if of_condition(c.code) == "bad"],
    )


ROUTES = [Page("/", show, "GET")]
