"""Vaults are made or added, checked, copied into others, forgotten; and policies come back from one."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backup_policies import ImportedPolicy
from longshore.api.backups import Vault, VaultCheck
from longshore.api.features import Features
from longshore.api.schemas import Migration, Provider, ProviderCheck
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form
from longshore.web.page import Page, Question, declare_form, declare_verb
from longshore.web.rendering import render, show_form
from longshore.web.things import MIGRATION, VAULT
from longshore.wording.texts import _, marked

_PLACE = ("url", "endpoint", "region", "access_key")  # of a bucket
_FIELDS = ("name", "directory", *_PLACE, "ca_file", "lock", "secret_key", "pass_phrase", "again", "barbican")


async def create(request: Request, said: Form) -> str:
    """Make a new vault, or add one that is there already. What opens it is asked for anew when anything is refused."""
    asking: ApiClient = request.state.asking
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
        return VAULT.at(vault=(await asking.post(ProviderCheck, "/v1/providers", body)).provider.name)
    lock = said["lock"] if in_bucket else ""
    keys = {"pass_phrase": phrase or None, "secret_key": secret_key or None}
    new: dict[str, Any] = {"name": said["name"], **where, **keys, "lock": lock or None}
    return VAULT.at(vault=(await asking.post(Vault, "/v1/vaults", new)).name)


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
    found = await asking.get(list[Provider], "/v1/providers", kind="openstack")
    return [(one.name, one.name) for one in found if not one.shared]


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking = request.state.asking
    features, kept_by = await asyncio.gather(asking.get(Features, "/v1/features"), keepers(asking))
    return show_form(
        request,
        "backups/new_vault.html",
        said,
        trouble,
        _FIELDS,
        keepers=kept_by,
        endpoints=None if features.vault_endpoints is None else [(url, url) for url in features.vault_endpoints],
    )


async def check(request: Request) -> Response:
    found = await request.state.asking.post(VaultCheck, f"{VAULT.path_of(request)}/check")
    return render(request, "backups/checked.html", found=found, vault=found.vault)


async def copy(request: Request, said: Form) -> str:
    body = {"to": said["to"], "in_clear": bool(said["in_clear"])}
    begun = await request.state.asking.post(Migration, f"{VAULT.path_of(request)}/copy", body)
    return MIGRATION.at(migration=begun.id)


async def _copied(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    vault, vaults = await asyncio.gather(VAULT.read(request), request.state.asking.get(list[Vault], "/v1/vaults"))
    others = [(one.name, one.name) for one in vaults if one.id != vault.id]
    called = {"in_clear": "to"}
    return show_form(
        request, "backups/copy_vault.html", said, trouble, ("to",), None, called, vault=vault, others=others
    )


async def bring_back(request: Request, said: Form) -> Response:
    body = {"sources": said.pairs("s-name", "s-to"), "paused": not said["resume"]}
    path = f"{VAULT.path_of(request)}/import"
    return await _imported(request, said, None, await request.state.asking.post(list[ImportedPolicy], path, body))


async def _imported(
    request: Request, said: Form, trouble: LongshoreError | None, found: list[ImportedPolicy] | None = None
) -> Response:
    vault = await VAULT.read(request)
    providers = await request.state.asking.get(list[Provider], "/v1/providers")
    return show_form(
        request,
        "backups/import.html",
        said,
        trouble,
        vault=vault,
        found=found,
        refused=[one for one in found or [] if one.outcome.value == "refused"],
        providers=[("", _("Not decided")), *((one.name, one.name) for one in providers if "vault" not in one.sides)],
        sources=[*said.pairs("s-name", "s-to").items(), ("", ""), ("", "")],
    )


_RECOVER = Question(
    marked("Bring back what was deleted in %(name)s?"),
    (
        marked(
            "All that its lock has kept is there again, as it was at first, whoever has deleted it or written it again."
        ),
        marked(
            "What policies have deleted since comes back, too, and goes again. So do keys that were removed: remove"
            " them once more."
        ),
    ),
    marked("Bring it back"),
)
_FORGET = Question(
    marked("Forget the vault %(name)s?"),
    (
        marked("Longshore forgets where it is and what opens it. Nothing in the vault itself is touched."),
        marked("It can be added again, with its pass phrase if it has one: is that kept somewhere else?"),
        marked("It is refused while a policy or a backup has it."),
    ),
    marked("Forget it"),
    "danger",
)


async def forget(request: Request) -> Response:
    vault = await VAULT.read(request)
    await request.state.asking.ask(type(None), "DELETE", f"/v1/providers/{part(vault.id)}")
    return RedirectResponse("/ui/backups", 303)


_MAKES, _KEEPS, _POLICIES = "migration:vault:create", "migration:vault:keep", "migration:backup-policy:change"
ROUTES = [
    *declare_form("/backups/new-vault", _MAKES, _asked, create),
    Page("/backups/vaults/{vault}/check", check, "POST", "migration:vault:get"),
    *declare_verb(VAULT, "recover", _KEEPS, _RECOVER),
    *declare_form("/backups/vaults/{vault}/copy", _KEEPS, _copied, copy),
    *declare_form("/backups/vaults/{vault}/import", _POLICIES, _imported, bring_back),
    *declare_verb(VAULT, "forget", "migration:provider:delete", _FORGET, forget),
]
