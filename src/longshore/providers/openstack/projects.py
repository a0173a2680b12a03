"""Projects of a Keystone: by what people call them, and who is in them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from keystoneauth1 import exceptions as auth
from keystoneauth1.identity import v3

from longshore.errors import Conflict, NotFound
from longshore.providers.openstack.delegation import session_as, with_version
from longshore.providers.openstack.faults import explained


def project_id_of(auth_url: str, token: str, cacert: str | None, wanted: str) -> str:
    """Return the id of the one project with this id or name. Raises NotFound, Conflict where several have the name,
    AccessDenied when the token's user may not ask, Unreachable."""
    keystone = with_version(auth_url)
    session: Any = session_as(v3.Token(keystone, token), cacert)
    with explained(f"look for project {wanted}"):
        listed = session.get(f"{keystone}/projects", params={"name": wanted}).json()["projects"]
        ids = [str(project["id"]) for project in listed]
        if not ids:
            try:
                ids = [str(session.get(f"{keystone}/projects/{quote(wanted, safe='')}").json()["project"]["id"])]
            except auth.NotFound:
                raise NotFound(f"Keystone knows no project {wanted}.", advice="See: openstack project list.") from None
    if len(ids) > 1:
        raise Conflict(f"Several projects are called {wanted}: {', '.join(ids)}.", advice="Say which one by its id.")
    return ids[0]


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
