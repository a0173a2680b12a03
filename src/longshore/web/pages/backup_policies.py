"""Policies of backups: made, looked at, changed, run, paused, deleted."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.backup_policies import BackupPolicy
from longshore.api.backups import Vault
from longshore.api.schedules import SchedulePreview
from longshore.api.schemas import ListedMigration, MigrationCounts, Provider
from longshore.errors import LongshoreError
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.web.asking import ApiClient
from longshore.web.forms import Form
from longshore.web.page import OF_MANY, Handler, Page, Question, declare_form, declare_verb, deletes
from longshore.web.pages.backups import PAGE, PLAYBOOKS
from longshore.web.rendering import render, show_form
from longshore.web.things import POLICY
from longshore.wording.states import of_migration, of_policy, of_stand, of_status
from longshore.wording.texts import _, marked

_POINTS = 200  # rows, of one page
_FILTER = ("folder", "cluster", "tag", "power", "name")
_ELSEWHERE = ("copy_to", "prove", "prove_on", "prove_networks")  # what becomes of points beyond the vault
_FIELDS = (
    "name",
    "source",
    "vault",
    "machines",
    "filter-name",
    "schedule",
    "retention",
    "verify",
    *_ELSEWHERE,
    *PLAYBOOKS,
)
_ENDED = ("verify", "copy_to", "prove", *PLAYBOOKS)  # which "never" ends
_RUNS = (MigrationType.BACKUP, MigrationType.VERIFICATION, MigrationType.VAULT_COPY, MigrationType.DRY_RUN)
_SPARE = 3  # lines for further networks
# A proposal: nights, and a tail that grows thin
_PROPOSED = {
    "schedule": "daily 02:00 UTC",
    "retention": "last 7, weekly 8, monthly 12",
    "verify": "weekly sunday 06:00 UTC",
}


async def one(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    found = await POLICY.read(request)
    ahead = []
    if not found.paused and request.state.visit.may("migration:schedule:preview"):
        body = {"schedule": found.schedule, "policy": found.id}
        ahead = (await asking.post(SchedulePreview, "/v1/schedules/preview", body)).next[:5]
    run, proof = found.run, found.proof
    at_work = any(one and not one.state.ended for one in (found.verification, found.copied))
    at_work = at_work or any(one and not one.ended_at for one in (run, proof))
    return render(
        request,
        "backups/policy.html",
        live=at_work,
        p=found,
        ahead=ahead,
        points=found.points[:_POINTS],
        more=len(found.points) - _POINTS,
        of_policy=of_policy,
        of_stand=of_stand,
    )


async def runs(request: Request) -> Response:
    """Show what was done for a policy, newest first: backups, verifications, copies, trials."""
    asking: ApiClient = request.state.asking
    marker, kind, status = (request.query_params.get(name, "") for name in ("marker", "type", "status"))
    found = await POLICY.read(request)
    about: dict[str, Any] = {"of": found.id, "type": kind}
    page: dict[str, Any] = {"newest": True, "short": True, "limit": PAGE, "marker": marker, "status": status}
    done, counts = await asyncio.gather(
        asking.get(list[ListedMigration], "/v1/jobs", **page, **about),
        asking.get(MigrationCounts, "/v1/job-counts", **about),
    )
    return render(
        request,
        "backups/runs.html",
        p=found,
        jobs=done,
        counts=counts.statuses,
        kinds=[(one.value, _(one.value)) for one in _RUNS],
        kind=kind,
        wanted=status,
        statuses=[(one.value, _(of_status(one.value).said)) for one in (Status.DONE, Status.FAILED, Status.CANCELLED)],
        later=bool(marker),
        older=done[-1].id if len(done) == PAGE else None,
        of_migration=of_migration,
        of_status=of_status,
    )


# Made and changed


async def opened(request: Request) -> Form:
    said = {"which": ["filter"], "source": [request.query_params.get("source", "")]}
    return Form(said | {name: [value] for name, value in _PROPOSED.items()})


async def create(request: Request, said: Form) -> str:
    body = {name: said[name] for name in ("name", "source", "vault")} | _wanted(said)
    made = await request.state.asking.post(BackupPolicy, "/v1/backup-policies", body)
    return POLICY.at(policy=made.name)


async def preview_new(request: Request) -> Response:
    seen, trouble = await previewed(request.state.asking, request.state.form)
    return await _asked(request, request.state.form, trouble, seen)


async def preview_change(request: Request) -> Response:
    found = await POLICY.read(request)
    seen, trouble = await previewed(request.state.asking, request.state.form, policy=found.id)
    return await _asked(request, request.state.form, trouble, seen)


async def previewed(asking: ApiClient, said: Form, **of: str) -> tuple[SchedulePreview | None, LongshoreError | None]:
    """Return what the schedule and the rules in a form come to, or why they can't be meant. `of`: whose points are
    judged."""
    body = {name: said[name] or None for name in ("schedule", "retention", "rpo")}
    try:
        return await asking.post(SchedulePreview, "/v1/schedules/preview", body | of), None
    except LongshoreError as error:
        return None, error


async def opened_to_change(request: Request) -> Form:
    found = await POLICY.read(request)
    wanted = found.filter
    said = {
        "which": ["machines" if wanted is None else "filter"],
        "machines": ["\n".join(found.machines)],
        **{f"filter-{name}": [getattr(wanted, name) or ""] for name in _FILTER if wanted is not None},
        **{name: [getattr(found, name) or ""] for name in (*_PROPOSED, "copy_to", "prove", "prove_on", *PLAYBOOKS)},
        "n-name": list(found.prove_networks),
        "n-to": list(found.prove_networks.values()),
    }
    return Form(said)


async def change(request: Request, said: Form) -> str:
    """Change a policy by what is other than before, and nothing else.

    Machines that are named again would be looked for at the source.
    """
    found = await POLICY.read(request)
    before: dict[str, Any] = {name: getattr(found, name) for name in (*_PROPOSED, *_ELSEWHERE, *PLAYBOOKS)}
    if found.filter is None:
        before["machines"] = found.machines
    else:
        before["filter"] = {name: getattr(found.filter, name) for name in _FILTER}
    body = {name: value for name, value in _wanted(said).items() if name not in before or before[name] != value}
    body |= {name: body[name] or "never" for name in _ENDED if name in body}
    if body:
        await request.state.asking.ask(BackupPolicy, "PATCH", POLICY.path_of(request), body)
    return POLICY.page_of(request)


def _wanted(said: Form) -> dict[str, Any]:
    body: dict[str, Any] = {name: said[name] or None for name in (*_PROPOSED, "copy_to", "prove")}
    body["prove_on"] = (said["prove_on"] or None) if body["prove"] else None
    body["prove_networks"] = said.pairs("n-name", "n-to")
    body |= {name: said[name] or None for name in PLAYBOOKS if name in said.fields}  # else they stay as they are
    if said["which"] == "machines":
        body["machines"] = [line.strip() for line in said["machines"].split("\n") if line.strip()]
    else:
        body["filter"] = {name: said[f"filter-{name}"] or None for name in _FILTER}
    return body


async def _asked(
    request: Request, said: Form, trouble: LongshoreError | None, seen: SchedulePreview | None = None
) -> Response:
    """Return the form: of a new policy, or of the one that the address names."""
    asking: ApiClient = request.state.asking
    providers, vaults = await asyncio.gather(
        asking.get(list[Provider], "/v1/providers"), asking.get(list[Vault], "/v1/vaults")
    )
    # Where a part of a field is wrong (machines.3, filter.name), the whole field is shown to be
    if trouble is not None:
        trouble.field = trouble.field.partition(".")[0]
    return show_form(
        request,
        "backups/policy_form.html",
        said,
        trouble,
        _FIELDS,
        None,
        {"filter": "filter-name"},
        p=await POLICY.read(request) if "policy" in request.path_params else None,
        seen=seen,
        sources=[(one.name, one.name) for one in providers if "vault" not in one.sides],
        vaults=[(one.name, one.name) for one in vaults],
        clouds=[(one.name, one.name) for one in providers if "target" in one.sides],
        networks=[*said.pairs("n-name", "n-to").items(), *[("", "")] * _SPARE],
    )


# Told what to do


def _paused(paused: bool) -> Handler:
    async def act(request: Request) -> Response:
        await request.state.asking.ask(BackupPolicy, "PATCH", POLICY.path_of(request), {"paused": paused})
        return POLICY.back(request)

    return act


_DELETE = Question(
    marked("Delete the policy %(name)s?"),
    (
        marked("Its machines aren't backed up by it any more; backups under way go on."),
        marked("Its points stay until somebody deletes them: no rule thins them out any more."),
    ),
    marked("Delete it"),
    "danger",
)
_CHANGES = "migration:backup-policy:change"
ROUTES = [
    *declare_form("/backups/new-policy", _CHANGES, _asked, create, opened, OF_MANY),
    Page("/backups/new-policy/preview", preview_new, "POST", _CHANGES, OF_MANY),
    Page(POLICY.page, one, "GET"),
    Page(POLICY.route_of("runs"), runs, "GET"),
    *declare_form(POLICY.route_of("edit"), _CHANGES, _asked, change, opened_to_change, OF_MANY),
    Page(POLICY.route_of("edit/preview"), preview_change, "POST", _CHANGES, OF_MANY),
    *declare_verb(POLICY, "run", _CHANGES),
    *declare_verb(POLICY, "pause", _CHANGES, does=_paused(True)),
    *declare_verb(POLICY, "resume", _CHANGES, does=_paused(False)),
    *declare_verb(POLICY, "delete", _CHANGES, _DELETE, deletes(POLICY, "/backups")),
]
