"""Clouds: listed, added, checked, removed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.schemas import Fingerprint, PlanSummary, Provider, ProviderCheck
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.locations import url_of
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, told_of
from longshore.web.given_logins import given_login
from longshore.web.page import Page
from longshore.web.rendering import confirm, render
from longshore.wording.texts import _, marked

_VCENTER = 443
_BY_PASSWORD = ("username", "project_name", "user_domain_name", "project_domain_name")


async def listed(request: Request) -> Response:
    found = await request.state.asking.get(list[Provider], "/v1/providers")
    return render(request, "providers/list.html", providers=found, where=_where, age=_age)


async def one(request: Request) -> Response:
    return await _shown(request, None, None)


async def check(request: Request) -> Response:
    """Log in now, and show what was found or why not."""
    path = path_of(request)
    try:
        found = await request.state.asking.post(ProviderCheck, f"{path}/check")
    except LongshoreError as error:
        return await _shown(request, None, error)
    return await _shown(request, found.found, None)


async def _shown(request: Request, found: dict[str, str] | None, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    provider = await asking.get(Provider, path_of(request))
    plans = await asking.get(list[PlanSummary], "/v1/plans")
    using = [plan.name for plan in plans if provider.name in (plan.source, plan.target)]
    return render(
        request,
        "providers/one.html",
        provider=provider,
        settings=_told(provider.settings),
        found=found,
        trouble=trouble,
        plans=using,
        age=_age,
    )


def _age(moment: datetime) -> float:
    """Return the seconds since a moment (UTC without a zone)."""
    return (datetime.now(UTC).replace(tzinfo=None) - moment).total_seconds()


async def ask_to_remove(request: Request) -> Response:
    provider = await request.state.asking.get(Provider, path_of(request))
    page = f"/ui/providers/{part(request.path_params['provider'])}"
    told = [
        _("Its settings and its password are forgotten. Nothing in the cloud itself is touched."),
        _("It is refused while a migration or a replica has it."),
    ]
    heading = _("Remove %(name)s?") % {"name": provider.name}
    return confirm(request, heading, told=told, does=f"{page}/remove", said=_("Remove"), back=page, kind="danger")


async def remove(request: Request) -> Response:
    await request.state.asking.ask(type(None), "DELETE", path_of(request))
    return RedirectResponse("/ui/providers", 303)


# Adding a vCenter: its certificate is looked at first


VDDK = marked(
    "By it VMware lets others read disks: the directory on this machine that has lib64/libvixDiskLib.so in it, such as "
    "/opt/vmware-vix-disklib-distrib. It is looked for nowhere else. Empty: machines are seen, but their disks "
    "can't be read."
)


async def new_vsphere(request: Request) -> Response:
    shown = {"said": Form({}), "fingerprint": None, "vddk": _(VDDK), **told_of(None, ())}
    return render(request, "providers/new_vsphere.html", **shown)


async def add_vsphere(request: Request) -> Response:
    asking, said = request.state.asking, request.state.form
    fingerprint: str | None = said["fingerprint"] or None
    trouble: LongshoreError | None = None
    try:
        where = {"host": said["host"], "port": _number(said["port"] or str(_VCENTER))}
        if fingerprint is None:
            fingerprint = (await asking.post(Fingerprint, "/v1/fingerprint", where)).sha256
        elif said["compared"]:
            settings = {**where, "username": said["username"], "fingerprint": fingerprint}
            settings |= {"vddk_libdir": said["vddk_libdir"]} if said["vddk_libdir"] else {}
            secrets = {"password": said.exact("password")}
            return await _added(asking, said["name"], "vsphere", settings, secrets)
        else:
            trouble = LongshoreError(_("The fingerprint has to be compared first."))
    except LongshoreError as error:
        trouble = error
        if fingerprint is None:  # nothing else is asked for until then
            trouble.field = trouble.field or "host"
    status = 200 if trouble is None else 400
    # Where it is has been said before the certificate was seen
    fields = ("host", "port") if fingerprint is None else ("name", "username", "password", "vddk_libdir")
    shown = {"said": said, "fingerprint": fingerprint, "vddk": _(VDDK), **told_of(trouble, fields)}
    return render(request, "providers/new_vsphere.html", status, **shown)


# Adding an OpenStack: by password or application credential


# Where a refusal can stand
_OF_OPENSTACK = (
    *("name", "auth_url", "login", "given", "given_entry", "given_password", "username", "password", "project_name"),
    *("user_domain_name", "project_domain_name", "region", "ceph_conf", "ceph_user", "cacert"),
)


async def new_openstack(request: Request) -> Response:
    return render(request, "providers/new_openstack.html", said=Form({}), **told_of(None, ()))


# By how one logs in what that takes; what has a default isn't among it
_NEEDED = {
    "here": (),
    "entry": ("login",),
    "given": ("given",),
    "credential": ("auth_url", "credential_id", "credential_secret"),
    "password": ("auth_url", "username", "password", "project_name"),
}


async def add_openstack(request: Request) -> Response:
    said = request.state.form
    if missing := [name for name in _NEEDED.get(said["by"], ()) if not said[name]]:
        wrong = dict.fromkeys(missing, _("This is needed to log in so."))
        return render(request, "providers/new_openstack.html", 400, said=said, wrong=wrong, trouble=None)
    try:
        return await _openstack_added(request.state.asking, said)
    except LongshoreError as error:
        shown = told_of(error, _OF_OPENSTACK)
        return render(request, "providers/new_openstack.html", 400, said=said, **shown)


async def _openstack_added(asking: ApiClient, said: Form) -> RedirectResponse:
    """Add an OpenStack as a form says, and lead to its page. Raises LongshoreError."""
    if said["by"] == "here":  # which only a server knows
        settings: dict[str, Any] = {"transport": said["transport"] or "brick"}
        settings |= {"region": said["region"]} if said["region"] else {}
        return await _added(asking, said["name"], "openstack", settings, {})
    if said["by"] == "entry":  # which only a user's own service reads
        settings = {name: said[name] for name in ("region", "ceph_conf", "ceph_user") if said[name]}
        settings["transport"] = said["transport"] or "brick"
        return await _added(asking, said["name"], "openstack", settings, {}, login=said["login"])
    if said["by"] == "given":
        given = given_login(said.exact("given"), said["given_entry"], said.exact("given_password"))
        settings = given.settings | {name: said[name] for name in ("cacert", "ceph_conf", "ceph_user") if said[name]}
        settings["transport"] = said["transport"] or "brick"
        return await _added(asking, said["name"], "openstack", settings, given.secrets)
    by_credential = said["by"] == "credential"
    if by_credential:
        login = {"application_credential_id": said["credential_id"]}
        secrets = {"application_credential_secret": said.exact("credential_secret")}
    else:
        login = {name: said[name] for name in _BY_PASSWORD}
        secrets = {"password": said.exact("password")}
    kind = "v3applicationcredential" if by_credential else "password"
    settings = {"auth": {"auth_url": said["auth_url"], **login}, "auth_type": kind}
    settings |= {name: said[name] for name in ("region", "cacert", "ceph_conf", "ceph_user") if said[name]}
    settings["transport"] = said["transport"] or "brick"
    return await _added(asking, said["name"], "openstack", settings, secrets)


async def new_files(request: Request) -> Response:
    return render(request, "providers/new_files.html", said=Form({}), **told_of(None, ()))


async def add_files(request: Request) -> Response:
    said = request.state.form
    numbers = {name: _number(said[name]) for name in ("cpus", "memory_mib") if said[name]}
    if wrong := no_numbers(numbers):
        return render(request, "providers/new_files.html", 400, said=said, wrong=wrong, trouble=None)
    settings: dict[str, Any] = {name: said[name] for name in ("ca_file", "network", "firmware") if said[name]}
    settings |= {"url": url_of(said["url"]), **numbers}
    try:
        return await _added(request.state.asking, said["name"], "files", settings, {})
    except LongshoreError as error:
        error.field = error.field or "url"  # where they are is all that can't be right by itself
        shown = told_of(error, ("name", "url", "ca_file", "cpus", "memory_mib", "network", "firmware"))
        return render(request, "providers/new_files.html", 400, said=said, **shown)


async def _added(  # noqa: PLR0917
    asking: ApiClient, name: str, kind: str, settings: dict[str, Any], secrets: dict[str, str], login: str | None = None
) -> RedirectResponse:
    body = {"name": name, "kind": kind, "settings": settings, "secrets": secrets}
    body |= {"login": login} if login is not None else {}
    added = await asking.post(ProviderCheck, "/v1/providers", body)
    return RedirectResponse(f"/ui/providers/{part(added.provider.name)}", 303)


# Parts


def path_of(request: Request) -> str:
    """Return the API's address of the provider that a page is about."""
    return f"/v1/providers/{part(request.path_params['provider'])}"


def no_numbers(numbers: Mapping[str, int | str]) -> dict[str, str]:
    """Return what is said at the fields in which something else than a whole number was typed."""
    return {name: _("Write a whole number.") for name, number in numbers.items() if isinstance(number, str)}


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


def _where(provider: Provider) -> str:
    auth = provider.settings.get("auth") or {}
    return str(provider.settings.get("host") or auth.get("auth_url") or provider.settings.get("url") or "")


def _told(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the settings as they are kept, in one list of names and values; secrets aren't among them."""
    told: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            told += [(inner, str(one)) for inner, one in value.items() if one not in (None, "")]
        elif value not in (None, "", []):
            told.append((name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return told


ROUTES = [
    Page("/providers", listed, "GET"),
    Page("/providers/new/vsphere", new_vsphere, "GET", "migration:provider:create"),
    Page("/providers/new/vsphere", add_vsphere, "POST", "migration:provider:create"),
    Page("/providers/new/openstack", new_openstack, "GET", "migration:provider:create"),
    Page("/providers/new/openstack", add_openstack, "POST", "migration:provider:create"),
    Page("/providers/new/files", new_files, "GET", "migration:provider:create"),
    Page("/providers/new/files", add_files, "POST", "migration:provider:create"),
    Page("/providers/{provider}", one, "GET"),
    Page("/providers/{provider}/check", check, "POST", "migration:provider:check"),
    Page("/providers/{provider}/remove", ask_to_remove, "GET", "migration:provider:delete"),
    Page("/providers/{provider}/remove", remove, "POST", "migration:provider:delete"),
]
