"""The OpenStack clouds that a server uses for its callers, and by which of its own means."""

import re
from collections.abc import Mapping
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.reach import same_keystone
from longshore.providers.grounds import Grounds

# Those that ask Keystone alone. Others send what they are given wherever the caller wants, or know no Keystone.
_AUTH_TYPES = {
    "password",
    "v3password",
    "token",
    "v3token",
    "v3applicationcredential",
    "v3totp",
}
# Of `auth`, what says who and where. Its secrets come apart from the settings, which are kept and shown in clear
_AUTH = {
    *("auth_url", "username", "user_id", "user_domain_id", "user_domain_name", "default_domain_id"),
    *("project_id", "project_name", "project_domain_id", "project_domain_name", "default_domain_name"),
    *("domain_id", "domain_name", "trust_id", "system_scope"),
    *("application_credential_id", "application_credential_name"),
}
_INTERFACE = re.compile(r"(public|internal|admin)(URL)?")


def for_callers(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    """Complete the settings with what the operator provides for this cloud. Raises InvalidInput."""
    auth = said.get("auth")
    url = auth.get("auth_url") if isinstance(auth, Mapping) else None
    if not isinstance(url, str):
        raise InvalidInput("The settings need auth.auth_url.")
    if said.get("auth_type", "password") not in _AUTH_TYPES:
        raise InvalidInput(
            f"A server doesn't log in by {said['auth_type']}.", advice=f"Use one of: {', '.join(sorted(_AUTH_TYPES))}."
        )
    assert isinstance(auth, Mapping)
    for name in auth:
        if name not in _AUTH:
            raise InvalidInput(
                f'A server doesn\'t take "{name}" in auth: settings are kept in clear.',
                advice="A password, token or the like belongs among the secrets.",
            )
    if not _INTERFACE.fullmatch(str(said.get("interface", "public"))):
        raise InvalidInput("An interface is public, internal or admin.")
    # Another OpenStack could answer with the names of volumes that aren't its own: this server's storage opens them
    ground = next((g for known, g in grounds.clouds.items() if same_keystone(known, url)), None)
    if ground is None and said.get("transport") == "relay":
        return said  # its volumes are reached through a server of its own, and nothing of this machine's storage is
    if ground is None:
        raise InvalidInput(
            f"This server doesn't open volumes of the OpenStack at {url} itself.",
            advice="Let it make a relay there (--transport relay), or ask its operator to list the cloud.",
            code="cloud-not-served",
        )
    own: dict[str, Any] = {"ceph_conf": ground.ceph_conf, "ceph_user": ground.ceph_user, "cacert": ground.cacert}
    asked = said.get("labels", [])
    if ground.labels and isinstance(asked, list):  # anything else is refused later, as it stands
        own["labels"] = list(dict.fromkeys([*ground.labels, *asked]))
    return said | {name: value for name, value in own.items() if value is not None}
