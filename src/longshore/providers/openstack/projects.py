"""Projects of a Keystone, by what people call them."""

from typing import Any
from urllib.parse import quote

from keystoneauth1 import exceptions as auth
from keystoneauth1.identity.v3 import Token

from longshore.errors import Conflict, NotFound
from longshore.providers.openstack.delegation import session_as, with_version
from longshore.providers.openstack.faults import explained


def project_id_of(auth_url: str, token: str, cacert: str | None, wanted: str) -> str:
    """Return the id of the one project with this id or name. Raises NotFound, Conflict where several have the name,
    AccessDenied when the token's user may not ask, Unreachable."""
    keystone = with_version(auth_url)
    session: Any = session_as(Token(keystone, token), cacert)
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
