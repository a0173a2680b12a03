"""Keys of an encrypted vault: pass phrases of somebody's own, recovery keys, shown once, and secrets in Barbican."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backups import MadeVaultKey, Vault, VaultKey
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, told_of
from longshore.web.page import Page
from longshore.web.pages.vaults import keepers
from longshore.web.rendering import confirm, render
from longshore.wording.texts import _

_FIELDS = ("name", "pass_phrase", "again", "barbican")  # where a refusal can stand


async def listed(request: Request) -> Response:
    return await _shown(request, Form({}), None, None)


async def add(request: Request) -> Response:
    """Add a key. A recovery key stands in this one answer, which no browser keeps, and nowhere else."""
    said = request.state.form
    try:
        if not said["name"]:
            raise InvalidInput(_("Say what the key is for."), field="name")
        phrase = said.exact("pass_phrase") if said["which"] == "phrase" else None
        if phrase is not None and not phrase:
            raise InvalidInput(_("Give a pass phrase, or have a recovery key made."), field="pass_phrase")
        if phrase is not None and phrase != said.exact("again"):
            raise InvalidInput(_("That isn't the same pass phrase again."), field="again")
        barbican = said["barbican"] if said["which"] == "barbican" else None
        body = {"name": said["name"], "pass_phrase": phrase, "barbican": barbican}
        made = await request.state.asking.post(MadeVaultKey, f"{_path(request)}/keys", body)
    except LongshoreError as error:
        return await _shown(request, said, None, error)
    if made.recovery_key is None:  # it is somebody's own, or nobody's
        return RedirectResponse(_page(request), 303)
    return await _shown(request, Form({}), made, None)


async def _shown(request: Request, said: Form, made: MadeVaultKey | None, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    vault = await asking.get(Vault, _path(request))
    keys: list[VaultKey] | None = None
    unreadable: LongshoreError | None = None
    try:
        keys = await asking.get(list[VaultKey], f"{_path(request)}/keys")
    except LongshoreError as error:  # it isn't encrypted, or can't be opened
        unreadable = error
    return render(
        request,
        "backups/keys.html",
        200 if trouble is None else 400,
        vault=vault,
        keys=keys,
        unreadable=unreadable,
        keepers=await keepers(asking),
        made=made,
        said=said,
        **told_of(trouble, _FIELDS),
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
    await request.state.asking.ask(type(None), "DELETE", f"{_path(request)}/keys/{part(key.id)}")
    return RedirectResponse(_page(request), 303)


async def _one(request: Request, id_: str) -> VaultKey:
    for key in await request.state.asking.get(list[VaultKey], f"{_path(request)}/keys"):
        if key.id == id_:
            return VaultKey.model_validate(key)
    raise NotFound(_("The vault has no such key any more."))


def _page(request: Request) -> str:
    return f"/ui/backups/vaults/{part(request.path_params['vault'])}/keys"


def _path(request: Request) -> str:
    return f"/v1/vaults/{part(request.path_params['vault'])}"


_CHANGES = "migration:vault:keys"
ROUTES = [
    Page("/backups/vaults/{vault}/keys", listed, "GET"),
    Page("/backups/vaults/{vault}/keys", add, "POST", _CHANGES),
    Page("/backups/vaults/{vault}/keys/remove", ask_to_remove, "GET", _CHANGES),
    Page("/backups/vaults/{vault}/keys/remove", remove, "POST", _CHANGES),
]
