"""Keys of an encrypted vault: pass phrases of somebody's own, recovery keys, shown once, and secrets in Barbican."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backups import MadeVaultKey, VaultKey
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form
from longshore.web.page import Page, declare_form
from longshore.web.pages.vaults import keepers
from longshore.web.rendering import confirm, show_form
from longshore.web.things import VAULT, one_of
from longshore.wording.texts import _

_FIELDS = ("name", "pass_phrase", "again", "barbican")  # where a refusal can stand


async def add(request: Request, said: Form) -> str | Response:
    """Add a key. A recovery key stands in this one answer, which no browser keeps, and nowhere else."""
    if not said["name"]:
        raise InvalidInput(_("Say what the key is for."), field="name")
    phrase = said.exact("pass_phrase") if said["which"] == "phrase" else None
    if phrase is not None and not phrase:
        raise InvalidInput(_("Give a pass phrase, or have a recovery key made."), field="pass_phrase")
    if phrase is not None and phrase != said.exact("again"):
        raise InvalidInput(_("That isn't the same pass phrase again."), field="again")
    barbican = said["barbican"] if said["which"] == "barbican" else None
    body = {"name": said["name"], "pass_phrase": phrase, "barbican": barbican}
    made = await request.state.asking.post(MadeVaultKey, f"{VAULT.path_of(request)}/keys", body)
    if made.recovery_key is None:  # it is somebody's own, or nobody's
        return _page(request)
    return await _shown(request, Form(), None, made)


async def _shown(
    request: Request, said: Form, trouble: LongshoreError | None, made: MadeVaultKey | None = None
) -> Response:
    asking: ApiClient = request.state.asking
    vault = await VAULT.read(request)
    # Unless it isn't encrypted, or can't be opened
    keys, unreadable = await asking.tried(list[VaultKey], f"{VAULT.path_of(request)}/keys")
    return show_form(
        request,
        "backups/keys.html",
        said,
        trouble,
        _FIELDS,
        vault=vault,
        keys=keys,
        unreadable=unreadable,
        keepers=await keepers(asking),
        made=made,
    )


async def ask_to_remove(request: Request) -> Response:
    key = await _one(request, request.query_params.get("key", ""))
    told = [
        _("It opens the vault no longer, unless somebody has copied the vault before."),
        _("What is in the vault stays, and its other keys go on opening it."),
    ]
    if key.kept:
        told.append(_("The secret that was made for it in Barbican is removed there."))
    heading = _("Remove the key for %(name)s?") % {"name": key.name or key.id}
    back = _page(request)
    hidden = {"key": key.id}
    does = f"{back}/remove"
    return confirm(request, heading, told=told, does=does, said=_("Remove it"), back=back, kind="danger", hidden=hidden)


async def remove(request: Request) -> Response:
    key = await _one(request, request.state.form["key"])
    await request.state.asking.ask(type(None), "DELETE", f"{VAULT.path_of(request)}/keys/{part(key.id)}")
    return RedirectResponse(_page(request), 303)


async def _one(request: Request, id_: str) -> VaultKey:
    found: list[VaultKey] = await request.state.asking.get(list[VaultKey], f"{VAULT.path_of(request)}/keys")
    return one_of(found, id_, _("The vault has no such key any more."))


def _page(request: Request) -> str:
    return f"{VAULT.page_of(request)}/keys"


_CHANGES = "migration:vault:keys"
ROUTES = [
    *declare_form("/backups/vaults/{vault}/keys", _CHANGES, _shown, add, seen_by_all=True),
    Page("/backups/vaults/{vault}/keys/remove", ask_to_remove, "GET", _CHANGES),
    Page("/backups/vaults/{vault}/keys/remove", remove, "POST", _CHANGES),
]
