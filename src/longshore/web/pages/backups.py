"""Vaults: what they hold, what is done with a point, and machines that are backed up now."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backup_policies import BackupPolicy
from longshore.api.backups import DeletedPoint, Prunable, Vault, VaultContents, VaultUsage
from longshore.api.schemas import Migration, Provider
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.choices import chosen_machines
from longshore.web.forms import Form, told_of_each
from longshore.web.page import Page, Question, declare_form, declare_verb
from longshore.web.rendering import confirm, render
from longshore.web.sorting import links_of, offset_of, sorted_so
from longshore.web.things import MIGRATION, VAULT, VAULT_POINT
from longshore.wording.figures import size
from longshore.wording.states import of_policy
from longshore.wording.texts import _, marked

PLAYBOOKS = ("before", "after")  # a snapshot
PAGE = 50  # rows
_LOOKED_INTO = 20  # vaults, for one page
_Held = tuple[Vault, VaultContents | None, LongshoreError | None]
_POLICIES_SORTED: dict[str, tuple[str, Callable[[BackupPolicy], Any]]] = {
    "name": (marked("Name"), lambda policy: policy.name.casefold()),
    "last": (marked("Last run"), lambda policy: of_policy(policy).said),
    "began": (marked("Began"), lambda policy: policy.run.begun_at if policy.run else None),
    "next": (marked("Next run"), lambda policy: None if policy.paused else policy.due_at),
    "vault": (marked("Vault"), lambda policy: policy.vault.casefold()),
}
_VAULTS_SORTED: dict[str, tuple[str, Callable[[_Held], Any]]] = {
    "name": (marked("Name"), lambda held: held[0].name.casefold()),
    "points": (marked("Points"), lambda held: held[1].of if held[1] else None),
    "newest": (marked("Newest"), lambda held: held[1].points[0].moment if held[1] and held[1].points else None),
}
_POINTS_SORTED = {"machine": marked("Machine"), "moment": marked("Moment"), "size": marked("Size")}


async def listed(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    vaults, policies, providers = await asyncio.gather(
        asking.get(list[Vault], "/v1/vaults"),
        asking.get(list[BackupPolicy], "/v1/backup-policies"),
        asking.get(list[Provider], "/v1/providers"),
    )
    held = await asyncio.gather(*(_held(asking, one) for one in vaults[:_LOOKED_INTO]))
    policies, policy_sorts = sorted_so(request, policies, _POLICIES_SORTED)
    told = [(one, *held[n]) if n < len(held) else (one, None, None) for n, one in enumerate(vaults)]
    shown, vault_sorts = sorted_so(request, told, _VAULTS_SORTED, "vaults")
    return render(
        request,
        "backups/list.html",
        live=any(one.run and not one.run.ended_at for one in policies),
        vaults=shown,
        vault_sorts=vault_sorts,
        policies=policies,
        policy_sorts=policy_sorts,
        sources=[one for one in providers if "vault" not in one.sides],
        of_policy=of_policy,
    )


async def _held(asking: ApiClient, vault: Vault) -> tuple[VaultContents | None, LongshoreError | None]:
    """Return a page of a vault's contents, or why they can't be read now."""
    return await asking.tried(VaultContents, f"/v1/vaults/{part(vault.id)}/contents", limit=1)


async def one(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    vault = await VAULT.read(request)
    q, offset = request.query_params.get("q", "").strip(), offset_of(request)
    sort = request.query_params.get("sort", "")
    asked = {"machine": q[:255], "sort": sort, "limit": PAGE, "offset": offset}
    contents, trouble = await asking.tried(VaultContents, f"{VAULT.path_of(request)}/contents", **asked)
    return render(
        request,
        "backups/vault.html",
        vault=vault,
        contents=contents,
        trouble=trouble,
        q=q,
        sort=sort,
        sorts=links_of(request, _POINTS_SORTED),
        offset=offset,
        rows=PAGE,
    )


def _does(verb: str) -> Any:
    async def act(request: Request) -> Response:
        begun = await request.state.asking.post(Migration, f"{VAULT.path_of(request)}/{verb}")
        return RedirectResponse(MIGRATION.at(migration=begun.id), 303)

    return act


async def usage(request: Request) -> Response:
    """Show what a vault holds, and how fast it grows, on a page of its own: all of the vault's objects are listed for
    it."""
    asking: ApiClient = request.state.asking
    vault, found = await asyncio.gather(VAULT.read(request), asking.get(VaultUsage, f"{VAULT.path_of(request)}/usage"))
    return render(request, "backups/usage.html", vault=vault, usage=found)


async def ask_to_prune(request: Request) -> Response:
    vault = await VAULT.read(request)
    told = [
        _("What no point names any more is condemned now, and removed by a prune a day later."),
        _("No point is touched, and backups go on meanwhile."),
    ]
    if request.query_params.get("look"):
        found = await request.state.asking.get(Prunable, f"{VAULT.path_of(request)}/prunable")
        figures = {"deleted": found.deleted, "packs": found.packs, "size": size(found.freed), "later": found.condemned}
        told.insert(
            0,
            _("Now it would remove %(deleted)s of %(packs)s packs, %(size)s; %(later)s more may go by a later one.")
            % figures,
        )
    heading = _("Prune %(name)s?") % {"name": vault.name}
    back = VAULT.page_of(request)
    return confirm(request, heading, told=told, does=f"{back}/prune", said=_("Prune it"), back=back)


# Points


async def point(request: Request) -> Response:
    vault, found = await asyncio.gather(VAULT.read(request), VAULT_POINT.read(request))
    disks = {disk["key"]: disk for disk in found.machine["disks"]}
    return render(
        request,
        "backups/point.html",
        vault=vault,
        point=found,
        disks=[disks[key] for key in found.disks if key in disks],
    )


_DELETE = Question(
    marked("Delete the point of %(name)s?"),
    # Its whole name stands in it: which of a machine's points goes can be seen
    lambda point: [
        point.name,
        _("The machine can't be restored as it was at this moment any more."),
        _("No other point needs it. What only it named is freed when the vault is pruned."),
    ],
    marked("Delete it"),
    "danger",
)


async def delete(request: Request) -> Response:
    await request.state.asking.ask(DeletedPoint, "DELETE", VAULT_POINT.path_of(request))
    return VAULT.back(request)


# Backups


async def opened(request: Request) -> Form:
    return Form({name: request.query_params.getlist(name) for name in ("source", "machine", "vault")})


async def create(request: Request, said: Form) -> str | Response:
    """Begin a backup of each machine by itself: one that can't be backed up is told, and stands in no other's way."""
    begun: list[Migration] = []
    refused: dict[str, LongshoreError] = {}
    for machine in said.all("machine"):
        wanted = {"quiesce": bool(said["quiesce"]), **{name: said[name] for name in PLAYBOOKS if said[name]}}
        body = {"machine": machine, "source": said["source"], "vault": said["vault"], "request": wanted}
        try:
            begun.append(await request.state.asking.post(Migration, "/v1/backups", body))
        except LongshoreError as error:
            refused[machine] = error
    if begun and not refused:
        return MIGRATION.at(migration=begun[0].id) if len(begun) == 1 else "/ui/jobs"
    return await _asked(request, said, None, len(begun), refused)


async def _asked(
    request: Request,
    said: Form,
    _trouble: LongshoreError | None,
    begun: int = 0,
    refused: Mapping[str, LongshoreError] = MappingProxyType({}),
) -> Response:
    """Return the form for what is chosen; once some have begun, for those that were refused."""
    asking: ApiClient = request.state.asking
    providers, vaults = await asyncio.gather(
        asking.get(list[Provider], "/v1/providers"), asking.get(list[Vault], "/v1/vaults")
    )
    chosen = list(refused) or said.all("machine")
    names: dict[str, str] = {}
    trouble: LongshoreError | None = None
    if chosen and said["source"]:
        try:
            names = {one.ref: one.name for one in await chosen_machines(asking, said["source"], chosen)}
        except LongshoreError as error:
            trouble = error
    wrong, left = told_of_each(refused, ("vault", *PLAYBOOKS))
    return render(
        request,
        "backups/new.html",
        400 if refused or trouble else 200,
        said=said,
        chosen=[(ref, names.get(ref, ref)) for ref in chosen],
        begun=begun,
        refused=[(names.get(ref, ref), error) for ref, error in left.items()],
        wrong=wrong,
        trouble=trouble,
        sources=[one for one in providers if "vault" not in one.sides],
        vaults=[(one.name, one.name) for one in vaults],
    )


ROUTES = [
    Page("/backups", listed, "GET"),
    *declare_form("/backups/new", "migration:backup:create", _asked, create, opened),
    Page("/backups/vaults/{vault}", one, "GET"),
    Page("/backups/vaults/{vault}/verify", _does("verify"), "POST", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/usage", usage, "GET"),
    Page("/backups/vaults/{vault}/prune", ask_to_prune, "GET", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/prune", _does("prune"), "POST", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/points/{point:path}", point, "GET"),
    *declare_verb(VAULT_POINT, "delete", "migration:vault:keep", _DELETE, delete),
]
