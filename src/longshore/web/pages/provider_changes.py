"""A provider is changed, without losing what was done with it, and lent to other projects."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.schemas import Fingerprint, Provider, ProviderCheck
from longshore.client.calls import part
from longshore.errors import InvalidInput, LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, told_of
from longshore.web.page import declare_form, declare_verb
from longshore.web.pages.providers import VDDK, no_numbers, number_or_text
from longshore.web.rendering import render, show_form
from longshore.web.things import PROVIDER
from longshore.wording.texts import _, marked

# The fields of a form by kind: name, label, whether it is of this machine's own files
_SETTINGS: dict[str, list[tuple[str, str, bool]]] = {
    "vsphere": [
        ("host", marked("Host"), False),
        ("port", marked("Port"), False),
        ("username", marked("Account"), False),
        ("vddk_libdir", marked("Directory of VMware's disk library (VDDK)"), True),
    ],
    "openstack": [
        ("region", marked("Region"), False),
        ("ceph_conf", marked("Ceph's configuration on this machine"), True),
        ("ceph_user", marked("Ceph user"), True),
        ("cacert", marked("Authorities to trust"), True),
    ],
    "files": [
        ("url", marked("Where they are"), False),
        ("ca_file", marked("Authorities to trust"), True),
        ("cpus", marked("CPUs of a loose image's machine"), False),
        ("memory_mib", marked("MiB of memory of a loose image's machine"), False),
        ("network", marked("Network of a loose image's machine"), False),
        ("firmware", marked("Firmware of a loose image's machine (bios or uefi)"), False),
    ],
    "vault": [
        ("directory", marked("Directory"), True),
        ("url", marked("Bucket"), False),
        ("endpoint", marked("Address of its S3 server"), False),
        ("region", marked("Region"), False),
        ("access_key", marked("Access key"), False),
    ],
}
_HELP = {"vddk_libdir": VDDK}
# Fields within `auth` of an OpenStack
_AUTH = [
    ("username", marked("User")),
    ("application_credential_id", marked("Application credential's id")),
]
_SECRETS = {
    "password": marked("Password"),
    "application_credential_secret": marked("Application credential's secret"),
    "secret_key": marked("Secret key"),
    "pass_phrase": marked("Pass phrase"),
}
_OF_KIND = {
    "vsphere": ("password",),
    "openstack": ("password", "application_credential_secret"),
    "vault": ("secret_key", "pass_phrase"),
    "files": (),
}
_NUMBERS = ("port", "cpus", "memory_mib")


async def opened(request: Request) -> Form:
    provider = await PROVIDER.read(request)
    auth = provider.settings.get("auth") or {}
    said = {name: [str(provider.settings.get(name) or "")] for name, _said, _own in _SETTINGS.get(provider.kind, [])}
    return Form(said | {name: [str(auth.get(name) or "")] for name, _said in _AUTH if name in auth})


async def change(request: Request, said: Form) -> str | Response:
    """Change a provider by what is other than before, and nothing else.

    Its certificate is looked at first, if that is wanted.
    """
    asking: ApiClient = request.state.asking
    provider = await PROVIDER.read(request)
    if said["do"] == "look":
        where = {"host": said["host"], "port": number_or_text(said["port"])}
        seen = await asking.post(Fingerprint, "/v1/fingerprint", where)
        return await _shown(request, said, None, fingerprint=seen.sha256)
    settings = _changed(provider, said)
    if wrong := no_numbers({name: settings[name] for name in _NUMBERS if settings.get(name)}):
        return await _shown(request, said, None, wrong=wrong)
    if said["fingerprint"] and said["compared"]:
        settings["fingerprint"] = said["fingerprint"]
    secrets = {name: said.exact(name) for name in _OF_KIND.get(provider.kind, ()) if said.exact(name)}
    await asking.ask(ProviderCheck, "PATCH", PROVIDER.path_of(request), {"settings": settings, "secrets": secrets})
    return PROVIDER.page_of(request)


def _changed(provider: Provider, said: Form) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, _called, _own in _SETTINGS.get(provider.kind, []):
        before = str(provider.settings.get(name) or "")
        if name in said.fields and said[name] != before:
            typed = number_or_text(said[name]) if name in _NUMBERS else said[name]
            settings[name] = typed if said[name] else None
    auth = provider.settings.get("auth") or {}
    other = {name: said[name] for name, _said in _AUTH if name in auth and said[name] and said[name] != auth[name]}
    return settings | ({"auth": {**auth, **other}} if other else {})


async def _shown(
    request: Request,
    said: Form,
    trouble: LongshoreError | None,
    *,
    fingerprint: str = "",
    wrong: Mapping[str, str] | None = None,
) -> Response:
    provider = await PROVIDER.read(request)
    alone = request.app.state.door.alone
    auth = provider.settings.get("auth") or {}
    secrets = [name for name in _OF_KIND.get(provider.kind, ()) if provider.kind != "openstack" or _logs_in(name, auth)]
    fields = [
        (name, _(text), _(_HELP.get(name, "")))
        for name, text, own in _SETTINGS.get(provider.kind, [])
        if alone or not own
    ]
    told = told_of(trouble, [*(name for name, *_text in (*fields, *_AUTH) if name in said.fields), *secrets])
    return render(
        request,
        "providers/edit.html",
        200 if trouble is None and not wrong else 400,
        provider=provider,
        said=said,
        fields=fields,
        account=[(name, _(text)) for name, text in _AUTH if name in auth],
        secrets=[(name, _(_SECRETS[name])) for name in secrets],
        pinned=provider.kind == "vsphere",
        fingerprint=fingerprint or said["fingerprint"],
        **(told | ({"wrong": wrong} if wrong else {})),
    )


def _logs_in(secret: str, auth: dict[str, Any]) -> bool:
    by_credential = any(name.startswith("application_credential") for name in auth)
    return by_credential == (secret == "application_credential_secret")  # noqa: S105 its name


# Lent to other projects


async def share(request: Request, said: Form) -> str:
    everybody = said["who"] == "all"
    if not everybody and not said["project"]:
        raise InvalidInput(_("Name a project."), field="project")
    project = "*" if everybody else said["project"]
    await request.state.asking.ask(type(None), "PUT", f"{PROVIDER.path_of(request)}/shares/{part(project)}")
    return PROVIDER.address_of("shares", request)


async def unshare(request: Request) -> Response:
    project = part(request.state.form["project"])
    await request.state.asking.ask(type(None), "DELETE", f"{PROVIDER.path_of(request)}/shares/{project}")
    return RedirectResponse(PROVIDER.address_of("shares", request), 303)


async def _lent(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    provider = await PROVIDER.read(request)
    projects = await request.state.asking.get(list[str], f"{PROVIDER.path_of(request)}/shares")
    return show_form(
        request, "providers/shares.html", said, trouble, ("project",), provider=provider, projects=projects
    )


_CHANGES, _SHARES = "migration:provider:update", "migration:provider:share"
ROUTES = [
    *declare_form(PROVIDER.route_of("edit"), _CHANGES, _shown, change, opened),
    *declare_form(PROVIDER.route_of("shares"), _SHARES, _lent, share),
    *declare_verb(PROVIDER, "unshare", _SHARES, does=unshare),
]
