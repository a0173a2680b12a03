"""Logging in to a project, and saying what is found there."""

from typing import Any

from longshore.errors import AccessDenied, ProviderError
from longshore.providers.openstack.faults import explained

ATTACHMENTS_SINCE = (3, 54)  # the Block Storage microversion whose attachments we use, of the Queens release (2018)


def look(connection: Any) -> dict[str, str]:
    """Who we are there, and what its services speak. Raises AccessDenied, Unreachable, ProviderError."""
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
    with explained("find its services"):
        services = {
            "compute": connection.compute,
            "network": connection.network,
            "block storage": connection.block_storage,
        }
    for service, proxy in services.items():
        with explained(f"reach its {service} service"):
            found[service] = _version(service, proxy.get_endpoint_data())
    return found


def _version(service: str, endpoint: Any | None) -> str:
    """The newest (micro)version an endpoint speaks. Raises ProviderError when there is none, or it is too old."""
    if endpoint is None:
        raise ProviderError(
            f"The cloud's catalogue has no {service} service for this user.", advice="Check region and interface."
        )
    newest = endpoint.max_microversion or endpoint.api_version or ()
    if service == "block storage" and tuple(newest) < ATTACHMENTS_SINCE:
        raise ProviderError(
            f"The cloud's block storage service is too old: it speaks version {_dotted(newest)}, "
            f"and {_dotted(ATTACHMENTS_SINCE)} is needed.",
            advice="Longshore needs OpenStack Queens (2018) or newer.",
        )
    return _dotted(newest)


def _dotted(version: Any) -> str:
    return ".".join(str(part) for part in version)
