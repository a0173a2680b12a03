"""Vaults are made or added, checked, copied into others, forgotten; and policies come back from one."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backup_policies import ImportedPolicy
from longshore.api.backups import Vault, VaultCheck, VaultRecovery
from longshore.api.features import Features
from longshore.api.schemas import Migration, Provider, ProviderCheck
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, told_of
from longshore.web.page import Page
from longshore.web.rendering import confirm, render
from longshore.wording.texts import _

_PLACE = ("url", "endpoint", "region", "access_key")  # of a bucket
_FIELDS = ("name", "directory", *_PLACE, "ca_file", "lock", "secret_key", "pass_phrase", "again", "barbican")


async def new(request: Request) -> Response:
    return await _asked(request, Form({}), None)


async def create(request: Request) -> Response:
    """Make a new vault, or add one that is there already. What opens it is asked for anew when anything is refused."""
    asking, said = request.state.asking, request.state.form
    try:
        phrase = _pass_phrase(said)
        in_bucket = said["where"] == "bucket"
        named = (*_PLACE, "ca_file")
        where = {name: said[name] for name in named if said[name]} if in_bucket else {"directory": said["directory"]}
        if said["encrypted"] == "barbican":
            where["barbican"] = said["barbican"]
        secret_key = said.exact("secret_key") if in_bucket else ""
        if said["what"] == "there":
            given = {"pass_phrase": phrase, "secret_key": secret_key}
            secrets = {name: value for name, value in given.items() if value}
            body = {"name": said["name"], "kind": "vault", "settings": where, "secrets": secrets}
            name = (await asking.post(ProviderCheck, "/v1/providers", body)).provider.name
        else:
            lock = said["lock"] if in_bucket else ""
            keys = {"pass_phrase": phrase or None, "secret_key": secret_key or None}
            body = {"name": said["name"], **where, **keys, "lock": lock or None}
            name = (await asking.post(Vault, "/v1/vaults", body)).name
    except LongshoreError as error:
        return await _asked(request, said, error)
    return RedirectResponse(f"/ui/backups/vaults/{part(name)}", 303)


def _pass_phrase(said: Form) -> str:
    """Return the pass phrase; empty where the vault isn't encrypted, or Barbican has what opens it.

    Raises InvalidInput.
    """
    if said["encrypted"] in ("no", "barbican"):
        return ""
    phrase = said.exact("pass_phrase")
    if said["what"] == "there":
        return phrase
    if not phrase:
        raise InvalidInput(_("Give a pass phrase, or say that it isn't encrypted."), field="pass_phrase")
    if phrase != said.exact("again"):
        raise InvalidInput(_("That isn't the same pass phrase again."), field="again")
    return phrase


async def keepers(asking: ApiClient) -> list[tuple[str, str]]:
    """Return the project's own OpenStacks, in whose key manager a secret can be made, as choices of a form."""
    found = await asking.get(list[Provider], "/v1/providers?kind=openstack")
    return [(one.name, one.name) for one in found if not one.shared]


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking = request.state.asking
    features, kept_by = await asyncio.gather(asking.get(Features, "/v1/features"), keepers(asking))
    return render(
        request,
        "backups/new_vault.html",
        200 if trouble is None else 400,
        said=said,
        keepers=kept_by,
        endpoints=None if features.vault_endpoints is None else [(url, url) for url in features.vault_endpoints],
        **told_of(trouble, _FIELDS),
    )


async def check(request: Request) -> Response:
    found = await request.state.asking.post(VaultCheck, f"{_path(request)}/check")
    return render(request, "backups/checked.html", found=found, vault=found.vault)


async def ask_to_recover(request: Request) -> Response:
    vault = await request.state.asking.get(Vault, _path(request))
    told = [
        _("All that its lock has kept is there again, as it was at first, whoever has deleted it or written it again."),
        _(
            "What policies have deleted since comes back, too, and goes again. So do keys that were removed: remove"
            " them once more."
        ),
    ]
    heading = _("Bring back what was deleted in %(name)s?") % {"name": vault.name}
    back = _page(request)
    return confirm(request, heading, told=told, does=f"{back}/recover", said=_("Bring it back"), back=back)


async def recover(request: Request) -> Response:
    await request.state.asking.post(VaultRecovery, f"{_path(request)}/recover")
    return RedirectResponse(_page(request), 303)


async def ask_to_copy(request: Request) -> Response:
    return await _copied(request, Form({}), None)


async def copy(request: Request) -> Response:
    said = request.state.form
    try:
        body = {"to": said["to"], "in_clear": bool(said["in_clear"])}
        begun = await request.state.asking.post(Migration, f"{_path(request)}/copy", body)
    except LongshoreError as error:
        return await _copied(request, said, error)
    return RedirectResponse(f"/ui/migrations/{part(begun.id)}", 303)


async def _copied(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    vault, vaults = await asyncio.gather(asking.get(Vault, _path(request)), asking.get(list[Vault], "/v1/vaults"))
    return render(
        request,
        "backups/copy_vault.html",
        200 if trouble is None else 400,
        vault=vault,
        others=[(one.name, one.name) for one in vaults if one.id != vault.id],
        said=said,
        **told_of(trouble, ("to",), called={"in_clear": "to"}),
    )


async def ask_to_import(request: Request) -> Response:
    return await _imported(request, Form({}), None, None)


async def bring_back(request: Request) -> Response:
    said = request.state.form
    body = {"sources": said.pairs("s-name", "s-to"), "paused": not said["resume"]}
    try:
        found = await request.state.asking.post(list[ImportedPolicy], f"{_path(request)}/import", body)
    except LongshoreError as error:
        return await _imported(request, said, None, error)
    return await _imported(request, said, found, None)


async def _imported(
    request: Request, said: Form, found: list[ImportedPolicy] | None, trouble: LongshoreError | None
) -> Response:
    vault = await request.state.asking.get(Vault, _path(request))
    providers = await request.state.asking.get(list[Provider], "/v1/providers")
    return render(
        request,
        "backups/import.html",
        200 if trouble is None else 400,
        vault=vault,
        found=found,
        refused=[one for one in found or [] if one.outcome.value == "refused"],
        providers=[("", _("Not decided")), *((one.name, one.name) for one in providers if "vault" not in one.sides)],
        sources=[*said.pairs("s-name", "s-to").items(), ("", ""), ("", "")],
        said=said,
        trouble=trouble,
    )


async def ask_to_forget(request: Request) -> Response:
    vault = await request.state.asking.get(Vault, _path(request))
    told = [
        _("Longshore forgets where it is and what opens it. Nothing in the vault itself is touched."),
        _("It can be added again, with its pass phrase if it has one: is that kept somewhere else?"),
        _("It is refused while a policy or a backup has it."),
    ]
    heading = _("Forget the vault %(name)s?") % {"name": vault.name}
    back = _page(request)
    return confirm(request, heading, told=told, does=f"{back}/forget", said=_("Forget it"), back=back, kind="danger")


async def forget(request: Request) -> Response:
    vault = await request.state.asking.get(Vault, _path(request))
    await request.state.asking.ask(type(None), "DELETE", f"/v1/providers/{part(vault.id)}")
    return RedirectResponse("/ui/backups", 303)


def _page(request: Request) -> str:
    return f"/ui/backups/vaults/{part(request.path_params['vault'])}"


def _path(request: Request) -> str:
    return f"/v1/vaults/{part(request.path_params['vault'])}"


_MAKES, _KEEPS, _POLICIES = "migration:vault:create", "migration:vault:keep", "migration:backup-policy:change"
ROUTES = [
    Page("/backups/new-vault", new, "GET", _MAKES),
    Page("/backups/new-vault", create, "POST", _MAKES),
    Page("/backups/vaults/{vault}/check", check, "POST", "migration:vault:get"),
    Page("/backups/vaults/{vault}/recover", ask_to_recover, "GET", _KEEPS),
    Page("/backups/vaults/{vault}/recover", recover, "POST", _KEEPS),
    Page("/backups/vaults/{vault}/copy", ask_to_copy, "GET", _KEEPS),
    Page("/backups/vaults/{vault}/copy", copy, "POST", _KEEPS),
    Page("/backups/vaults/{vault}/import", ask_to_import, "GET", _POLICIES),
    Page("/backups/vaults/{vault}/import", bring_back, "POST", _POLICIES),
    Page("/backups/vaults/{vault}/forget", ask_to_forget, "GET", "migration:provider:delete"),
    Page("/backups/vaults/{vault}/forget", forget, "POST", "migration:provider:delete"),
]
