"""People who are still in a project, as Keystone tells a service's user."""

from collections.abc import Mapping

from keystoneauth1.identity import v3

from longshore.errors import NotFound
from longshore.providers.openstack.delegation import session_as, with_version
from longshore.providers.openstack.faults import explained


def is_member(auth_url: str, login: Mapping[str, str], cacert: str | None, user_id: str, project_id: str) -> bool:
    """Tell whether a user is there, is enabled, and has a role in a project, be it by a group.

    `login`: username, password, project_name and domains of who asks. Raises AccessDenied when they may not ask that,
    Unreachable, ProviderError.
    """
    keystone = with_version(auth_url)
    session = session_as(v3.Password(auth_url=keystone, **login), cacert)
    asked = {"user.id": user_id, "scope.project.id": project_id, "effective": "true"}
    try:
        with explained("ask who is in a project"):
            user = session.get(f"{keystone}/users/{user_id}").json()["user"]
            found = session.get(f"{keystone}/role_assignments", params=asked).json()["role_assignments"]
    except NotFound:
        return False
    return bool(user.get("enabled", True) and found)
