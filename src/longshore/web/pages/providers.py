"""Clouds: listed, added, checked, removed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.schemas import Fingerprint, PlanSummary, Provider, ProviderCheck
from longshore.errors import LongshoreError
from longshore.model.locations import url_of
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, whole
from longshore.web.given_logins import given_login
from longshore.web.page import Page, Question, declare_form, declare_verb, deletes
from longshore.web.rendering import render, show_form
from longshore.web.things import PROVIDER
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
    try:
        found = await request.state.asking.post(ProviderCheck, f"{PROVIDER.path_of(request)}/check")
    except LongshoreError as error:
        return await _shown(request, None, error)
    return await _shown(request, found.found, None)


async def _shown(request: Request, found: dict[str, str] | None, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    provider = await PROVIDER.read(request)
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


_REMOVE = Question(
    marked("Remove %(name)s?"),
    (
        marked("Its settings and its password are forgotten. Nothing in the cloud itself is touched."),
        marked("It is refused while a migration or a replica has it."),
    ),
    marked("Remove"),
    "danger",
)


# Adding a vCenter: its certificate is looked at first


VDDK = marked(
    "By it VMware lets others read disks: the directory on this machine that has lib64/libvixDiskLib.so in it, such as "
    "/opt/vmware-vix-disklib-distrib. It is looked for nowhere else. Empty: machines are seen, but their disks "
    "can't be read."
)


async def _vsphere(
    request: Request, said: Form, trouble: LongshoreError | None, fingerprint: str | None = None
) -> Response:
    fingerprint = fingerprint or said["fingerprint"] or None
    if trouble is not None and fingerprint is None:  # nothing else is asked for until then
        trouble.field = trouble.field or "host"
    # Where it is has been said before the certificate was seen
    fields = ("host", "port") if fingerprint is None else ("name", "username", "password", "vddk_libdir")
    template = "providers/new_vsphere.html"
    return show_form(request, template, said, trouble, fields, fingerprint=fingerprint, vddk=_(VDDK))


async def add_vsphere(request: Request, said: Form) -> str | Response:
    asking: ApiClient = request.state.asking
    where = {"host": said["host"], "port": number_or_text(said["port"] or str(_VCENTER))}
    if not said["fingerprint"]:
        return await _vsphere(request, said, None, (await asking.post(Fingerprint, "/v1/fingerprint", where)).sha256)
    if not said["compared"]:
        raise LongshoreError(_("The fingerprint has to be compared first."))
    settings = {**where, "username": said["username"], "fingerprint": said["fingerprint"]}
    settings |= {"vddk_libdir": said["vddk_libdir"]} if said["vddk_libdir"] else {}
    return await _added(asking, said["name"], "vsphere", settings, {"password": said.exact("password")})


# Adding an OpenStack: by password or application credential


# Where a refusal can stand
_OF_OPENSTACK = (
    *("name", "auth_url", "login", "given", "given_entry", "given_password", "username", "password", "project_name"),
    *("user_domain_name", "project_domain_name", "region", "ceph_conf", "ceph_user", "cacert"),
)


async def _openstack(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    return show_form(request, "providers/new_openstack.html", said, trouble, _OF_OPENSTACK)


_OF_FILES = ("name", "url", "ca_file", "cpus", "memory_mib", "network", "firmware")
# By how one logs in what that takes; what has a default isn't among it
_NEEDED = {
    "here": (),
    "entry": ("login",),
    "given": ("given",),
    "credential": ("auth_url", "credential_id", "credential_secret"),
    "password": ("auth_url", "username", "password", "project_name"),
}


async def add_openstack(request: Request, said: Form) -> str | Response:
    if missing := [name for name in _NEEDED.get(said["by"], ()) if not said[name]]:
        wrong = dict.fromkeys(missing, _("This is needed to log in so."))
        return render(request, "providers/new_openstack.html", 400, said=said, wrong=wrong, trouble=None)
    return await _openstack_added(request.state.asking, said)


async def _openstack_added(asking: ApiClient, said: Form) -> str:
    """Add an OpenStack as a form says, and return the address of its page. Raises LongshoreError."""
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


async def _files(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    if trouble is not None:
        trouble.field = trouble.field or "url"  # where they are is all that can't be right by itself
    return show_form(request, "providers/new_files.html", said, trouble, _OF_FILES)


async def add_files(request: Request, said: Form) -> str | Response:
    numbers = {name: number_or_text(said[name]) for name in ("cpus", "memory_mib") if said[name]}
    if wrong := no_numbers(numbers):
        return render(request, "providers/new_files.html", 400, said=said, wrong=wrong, trouble=None)
    settings: dict[str, Any] = {name: said[name] for name in ("ca_file", "network", "firmware") if said[name]}
    settings |= {"url": url_of(said["url"]), **numbers}
    return await _added(request.state.asking, said["name"], "files", settings, {})


async def _added(  # noqa: PLR0917
    asking: ApiClient, name: str, kind: str, settings: dict[str, Any], secrets: dict[str, str], login: str | None = None
) -> str:
    body = {"name": name, "kind": kind, "settings": settings, "secrets": secrets}
    body |= {"login": login} if login is not None else {}
    added = await asking.post(ProviderCheck, "/v1/providers", body)
    return PROVIDER.at(provider=added.provider.name)


# Parts


def no_numbers(numbers: Mapping[str, int | str]) -> dict[str, str]:
    """Return what is said at the fields in which something else than a whole number was typed."""
    return {name: _("Write a whole number.") for name, number in numbers.items() if isinstance(number, str)}


def number_or_text(text: str) -> int | str:
    """Return the number that was typed, or what was typed instead, which is refused by the field."""
    return text if (number := whole(text)) is None else number


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


_MAKES = "migration:provider:create"
ROUTES = [
    Page("/providers", listed, "GET"),
    *declare_form("/providers/new/vsphere", _MAKES, _vsphere, add_vsphere),
    *declare_form("/providers/new/openstack", _MAKES, _openstack, add_openstack),
    *declare_form("/providers/new/files", _MAKES, _files, add_files),
    Page(PROVIDER.page, one, "GET"),
    *declare_verb(PROVIDER, "check", "migration:provider:check", does=check),
    *declare_verb(PROVIDER, "remove", "migration:provider:delete", _REMOVE, deletes(PROVIDER, "/providers")),
]
