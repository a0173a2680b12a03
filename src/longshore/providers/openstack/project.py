"""Logging in to a project, and saying what is found there."""

from collections.abc import Mapping
from typing import Any

import requests
from keystoneauth1 import exceptions as auth
from keystoneauth1.identity import v3
from openstack import exceptions as sdk
from os_service_types import ServiceTypes

from longshore.errors import AccessDenied, InvalidInput, ProviderError
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.lent import lend
from longshore.providers.openstack.named import Part
from longshore.providers.openstack.relay_attach import transport_of
from longshore.providers.openstack.relay_pool import RelayPool

_SERVICES = ("compute", "network", "block-storage", "image")
# Microversions, of the Queens release (2018) or before: what attachments of volumes are, and servers with their flavors
_NEEDED = {"block storage": (3, 54), "compute": (2, 47)}


class Project(Part):
    """May be used from several threads: keystoneauth's session, which holds all state, allows it."""

    def __init__(
        self, settings: OpenstackSettings, secrets: Mapping[str, str], servers: RelayPool | None = None
    ) -> None:
        """`servers` are needed to open volumes through one."""
        with explained("read the cloud's settings"):
            self._lent = lend(settings, secrets)
        super().__init__(self._lent.connection)
        self._settings = settings
        self._attachments = transport_of(self._connection, settings, servers)

    def check(self) -> dict[str, str]:
        return look(self._connection)

    def close(self) -> None:
        self._lent.close()


def look(connection: Any) -> dict[str, str]:
    """Return who we are there, and what its services speak. Raises AccessDenied, Unreachable, ProviderError."""
    with explained("log in"):
        access = connection.session.auth.get_access(connection.session)
    if not access.project_id:
        raise AccessDenied(
            f"User {access.username} logged in, but to no project.", advice="Name the project (project_name)."
        )
    found = {
        "cloud": str(connection.session.auth.auth_url),
        "user": str(access.username),
        "project": str(access.project_name),
        "roles": ", ".join(sorted(access.role_names)),
    }
    if region := _region(connection, access):
        found["region"] = region
    found |= _limits_of_login(connection, access)
    for service in ("compute", "network", "block storage"):
        with explained(f"reach its {service} service"):
            proxy = getattr(connection, service.replace(" ", "_"))
            found[service] = _version(service, proxy.get_endpoint_data())
    return found


def _region(connection: Any, access: Any) -> str:
    """Return the region of its services; empty: the catalogue has no regions. Raises InvalidInput where one has to be
    named, or the one that is named isn't there."""
    types = ServiceTypes()
    ours = {kind for service in _SERVICES for kind in types.get_all_types(service)}
    regions: dict[str, set[str]] = {}
    for service in access.service_catalog.catalog:
        kind = types.get_service_type(service.get("type") or "") or ""
        if kind in ours and not connection.config.get_endpoint(kind):
            known = {one.get("region_id") or one.get("region") for one in service.get("endpoints") or ()}
            regions.setdefault(kind, set()).update(known - {None, ""})
    there = set().union(*regions.values())
    listed = ", ".join(sorted(there))
    if named := connection.config.region_name:
        if there and named not in there:
            raise InvalidInput(f"The cloud has no region {named}.", advice=f"It has: {listed}.")
        return str(named)
    if any(len(some) > 1 for some in regions.values()):
        raise InvalidInput(
            f"The cloud has several regions ({listed}), and none is named: one service would be asked in one of them, "
            "and the next in another.",
            advice="Name one: region_name in clouds.yaml, or OS_REGION_NAME.",
        )
    return listed


def _limits_of_login(connection: Any, access: Any) -> dict[str, str]:
    """Return what ends the login, or narrows it, as far as the cloud tells its user."""
    found = {}
    if any(isinstance(method, v3.TOTPMethod) for method in getattr(connection.session.auth, "auth_methods", ())):
        found["login"] = "by a passcode, which is good once: what runs for long needs an application credential"
    if "token" in str(connection.config.config.get("auth_type")) and access.expires is not None:
        found["login ends"] = f"{access.expires}: no new token comes after this one, and what runs then stops"
    if not access.application_credential_id:
        return found
    kept = {"access_rules": access.application_credential_access_rules}
    url = f"/users/{access.user_id}/application_credentials/{access.application_credential_id}"
    try:
        answer = connection.identity.get(url)
        kept |= answer.json()["application_credential"] if answer.ok else {}
    except (auth.ClientException, sdk.SDKException, requests.RequestException, ValueError, KeyError):
        pass  # its own access rules may forbid that: what the token says has to do
    if ends := kept.get("expires_at"):
        found["login ends"] = f"{ends}: the application credential is good until then, and what runs then stops"
    if rules := kept.get("access_rules"):
        found["login may only"] = (
            f"what {len(rules)} access rule(s) of the application credential allow, for "
            f"{', '.join(sorted({str(rule.get('service')) for rule in rules}))}; what they leave out is refused, also "
            "in mid-move"
        )
    return found


def _version(service: str, endpoint: Any | None) -> str:
    """Return the newest (micro)version an endpoint speaks. Raises ProviderError when there is none, or it is too
    old."""
    if endpoint is None:
        raise ProviderError(
            f"The cloud's catalogue has no {service} service for this user.", advice="Check region and interface."
        )
    newest = endpoint.max_microversion or endpoint.api_version or ()
    if tuple(newest) < (needed := _NEEDED.get(service, ())):
        raise ProviderError(
            f"The cloud's {service} service is too old: it speaks version {_dotted(newest)}, "
            f"and {_dotted(needed)} is needed.",
            advice="Longshore needs OpenStack Queens (2018) or newer.",
        )
    return _dotted(newest)


def _dotted(version: Any) -> str:
    return ".".join(str(part) for part in version)
