"""Reports of plans and migrations, and of how well machines are protected: the proof first; to print and to keep."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.replicas import Figures, Replica
from longshore.api.reports import PlanReport, Report, ReportedMachine
from longshore.web.asking import ApiClient
from longshore.web.page import Page
from longshore.web.rendering import render
from longshore.web.sheets import as_csv, as_json
from longshore.web.things import MIGRATION, PLAN
from longshore.wording.figures import moment
from longshore.wording.states import of_replica, of_status

_PLAN = (
    *("Machine", "Wave", "Type", "Status", "Boot proof", "Verified bytes", "Root digests", "Downtime seconds"),
    *("Downtime note", "Read bytes", "Seconds", "Server", "Left over", "Tries", "Error", "Migration"),
)
_REPLICAS = (
    *("Machine", "From", "To", "Stage", "RPO now seconds", "RPO seconds", "Worst of 24 h", "Worst of 7 d"),
    *("Worst of 30 d", "Kept of 30 d", "Usable points", "Newest point", "Last tested", "RTO of the last test"),
    *("Last audit", "Conditions", "Replica"),
)


async def of_plan(request: Request) -> Response:
    report = await request.state.asking.get(PlanReport, f"{PLAN.path_of(request)}/report", events=False)
    shown = [machine for machine in report.machines if machine.report is not None]
    left = [(one.machine, thing) for one in shown if one.report for thing in one.report.left]
    return render(
        request,
        "reports/plan.html",
        report=report,
        proven=[one for one in shown if one.report and one.report.proof],
        left=left,
        digests=_digests,
        of_status=of_status,
    )


async def plan_as_csv(request: Request) -> Response:
    report = await request.state.asking.get(PlanReport, f"{PLAN.path_of(request)}/report", events=False)
    return as_csv(f"plan-{report.name}", _PLAN, (_row(machine) for machine in report.machines))


async def plan_as_json(request: Request) -> Response:
    report = await request.state.asking.get(dict[str, Any], f"{PLAN.path_of(request)}/report")
    return as_json(f"plan-{report['name']}", report)


def _row(machine: ReportedMachine) -> tuple[Any, ...]:
    one = machine.report
    if one is None:
        return (machine.machine, machine.wave, "", "planned")
    copied = one.copied
    left = "; ".join(f"{thing.kind} {thing.ref or ''}" for thing in one.left)
    return (
        *(machine.machine, machine.wave, one.type, one.status, one.proof, copied.verified if copied else None),
        *(" ".join(_digests(one)), one.downtime_seconds, one.downtime_note, copied.read if copied else None),
        *(one.seconds, one.server_id, left, len(machine.earlier) + 1, one.error, one.id),
    )


def _digests(report: Report) -> list[str]:
    return [disk.root_digest for disk in report.disks if disk.root_digest]


async def of_migration(request: Request) -> Response:
    report = await request.state.asking.get(Report, f"{MIGRATION.path_of(request)}/report")
    return render(request, "reports/migration.html", report=report, of_status=of_status)


async def migration_as_json(request: Request) -> Response:
    report = await request.state.asking.get(dict[str, Any], f"{MIGRATION.path_of(request)}/report")
    return as_json(f"migration-{report['id']}", report)


async def bundle(request: Request) -> Response:
    """Return a file of a migration for those who help with it. Nothing secret is in it."""
    found = await request.state.asking.get(dict[str, Any], f"{MIGRATION.path_of(request)}/bundle")
    return as_json(f"bundle-{found['migration']['id']}", found)


async def of_replicas(request: Request) -> Response:
    found = await _replicas(request)
    spans = [(24, "24 h"), (168, "7 d"), (720, "30 d")]
    return render(
        request,
        "reports/replicas.html",
        replicas=found,
        spans=[(hours, said) for hours, said in spans if any(_of_span(one, hours) for one in found)],
        of_span=_of_span,
        of_replica=of_replica,
    )


async def replicas_as_csv(request: Request) -> Response:
    return as_csv("replicas", _REPLICAS, map(_protected, await _replicas(request)))


async def replicas_as_json(request: Request) -> Response:
    return as_json("replicas", [one.model_dump(mode="json") for one in await _replicas(request)])


async def _replicas(request: Request) -> list[Replica]:
    asking: ApiClient = request.state.asking
    return await asking.get(list[Replica], "/v1/replicas")


def _protected(one: Replica) -> tuple[Any, ...]:
    worst = {figures.hours: figures.worst for figures in one.figures}
    month = _of_span(one, 720)
    return (
        *(one.machine_name, one.source, one.target, one.stage.value, one.rpo_now, one.rpo),
        *(worst.get(24), worst.get(168), worst.get(720), month.kept if month else None, one.points),
        *(moment(one.newest), moment(one.proved_at), (one.tests or {}).get("all"), moment(one.audited_at)),
        *("; ".join(condition.text for condition in one.conditions), one.id),
    )


def _of_span(replica: Replica, hours: int) -> Figures | None:
    return next((figures for figures in replica.figures if figures.hours == hours), None)


ROUTES = [
    Page("/plans/{name}/report", of_plan, "GET"),
    Page("/plans/{name}/report/csv", plan_as_csv, "GET"),
    Page("/plans/{name}/report/json", plan_as_json, "GET"),
    Page("/migrations/{migration}/report", of_migration, "GET"),
    Page("/migrations/{migration}/report/json", migration_as_json, "GET"),
    Page("/migrations/{migration}/bundle", bundle, "GET"),
    Page("/replicas/report", of_replicas, "GET"),
    Page("/replicas/report/csv", replicas_as_csv, "GET"),
    Page("/replicas/report/json", replicas_as_json, "GET"),
]
