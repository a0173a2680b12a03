"""Application credentials: what a user's token lets others do in the user's name, for longer than the token lives.

Keystone gives one the roles that the token has, in the token's project and no other; restricted, as it is made here, it
can make no further ones. It ends when it is deleted, or when the user loses a role or is deleted.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from keystoneauth1 import exceptions as auth
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from longshore.errors import AccessDenied, NotFound
from longshore.providers.openstack.faults import explained

_TIMEOUT = 30.0  # seconds for an answer
# While somebody else is given a role, Keystone may not find those of a token's user for a moment, and says 400
_ROLES_NOT_FOUND = {"retriable_status_codes": [400], "status_code_retries": 2, "status_code_retry_delay": 0.5}


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    id: str
    secret: str


class Delegation:
    """Keystone, asked in somebody's name about a user's application credentials.

    All methods raise AccessDenied when Keystone doesn't allow it, Unreachable, ProviderError.
    """

    def __init__(self, session: Any, keystone: str) -> None:
        self._session = session
        self._keystone = keystone

    @classmethod
    def with_token(cls, auth_url: str, token: str, cacert: str | None) -> "Delegation":
        keystone = with_version(auth_url)
        return cls(session_as(Token(keystone, token), cacert), keystone)

    @classmethod
    def with_password(cls, auth_url: str, login: Mapping[str, str], cacert: str | None) -> "Delegation":
        """Log in by a password. `login`: username, password, project_name and domains."""
        keystone = with_version(auth_url)
        return cls(session_as(v3.Password(auth_url=keystone, **login), cacert), keystone)

    def make(self, user_id: str, name: str) -> ApplicationCredential:
        wanted = {"name": name, "description": "Longshore acts by it in this project", "unrestricted": False}
        with explained(f"make the application credential {name}"):
            answer = self._session.post(self._of(user_id), json={"application_credential": wanted}, **_ROLES_NOT_FOUND)
        made = answer.json()["application_credential"]
        return ApplicationCredential(made["id"], made["secret"])

    def remove(self, user_id: str, ref: str) -> None:
        """Remove a credential. Nothing to do when it isn't there."""
        with explained(f"remove the application credential {ref}"), suppress(auth.NotFound):
            self._session.delete(f"{self._of(user_id)}/{ref}")

    def named(self, user_id: str, name: str) -> list[str]:
        """Return the ids of those of this name."""
        with explained(f"look for the application credential {name}"):
            answer = self._session.get(self._of(user_id), params={"name": name})
        return [one["id"] for one in answer.json()["application_credentials"]]

    def _of(self, user_id: str) -> str:
        return f"{self._keystone}/users/{user_id}/application_credentials"


def still_opens(auth_url: str, credential: ApplicationCredential, cacert: str | None) -> bool:
    """Tell whether Keystone still lets it in: not one that was deleted, as with its user."""
    login = v3.ApplicationCredential(
        auth_url=with_version(auth_url),
        application_credential_id=credential.id,
        application_credential_secret=credential.secret,
    )
    try:
        with explained("log in"):
            session_as(login, cacert).get_token()
    except (AccessDenied, NotFound):  # Keystone tells one that it doesn't know by 404
        return False
    return True


def session_as(login: Any, cacert: str | None) -> Any:
    return Session(login, verify=cacert or True, timeout=_TIMEOUT)


def with_version(auth_url: str) -> str:
    return f"{re.sub(r'/+(v3)?/*$', '', auth_url)}/v3"
