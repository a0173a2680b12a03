"""Log-ins of people: what Keystone gives for a password, an application credential or a token."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from keystoneauth1 import access
from keystoneauth1 import exceptions as auth
from keystoneauth1.identity import v3

from longshore.errors import AccessDenied, ProviderError
from longshore.providers.openstack.delegation import session_as, with_version
from longshore.providers.openstack.faults import explained

SECOND_FACTOR = "second-factor"  # code of an AccessDenied where the password was right and isn't enough


class PasscodeAsked(AccessDenied):
    """The password was right. `receipt`: says so to Keystone when a passcode (TOTP) is brought within some minutes."""

    def __init__(self, receipt: str) -> None:
        super().__init__("Keystone asks for a passcode besides the password.", code=SECOND_FACTOR)
        self.receipt = receipt


@dataclass(frozen=True, slots=True)
class Issued:
    token: str = field(repr=False)
    ends_at: datetime  # with its zone
    user_id: str
    user_name: str
    project_id: str | None  # None: it is of no project
    project_name: str


class Logins:
    """All methods raise AccessDenied or NotFound when Keystone doesn't let somebody in, Unreachable, ProviderError."""

    def __init__(self, auth_url: str, cacert: str | None) -> None:
        self._keystone = with_version(auth_url)
        self._cacert = cacert

    def with_password(self, domain: str, user: str, password: str) -> Issued:
        """Log in to no project, also where the user has one that is used by default. Raises PasscodeAsked, too."""
        who = {"username": user, "password": password, "user_domain_name": domain}
        return self._issued(v3.Password(auth_url=self._keystone, unscoped=True, include_catalog=False, **who))

    def with_passcode(self, domain: str, user: str, receipt: str, passcode: str) -> Issued:
        """Log in to no project by a passcode, once the password was right."""
        asked = [
            v3.TOTPMethod(username=user, user_domain_name=domain, passcode=passcode),
            v3.ReceiptMethod(receipt=receipt),
        ]
        return self._issued(v3.Auth(self._keystone, asked, unscoped=True, include_catalog=False))

    def with_credential(self, id_: str, secret: str) -> Issued:
        """Log in to the application credential's project."""
        login = v3.ApplicationCredential(
            auth_url=self._keystone,
            application_credential_id=id_,
            application_credential_secret=secret,
            include_catalog=False,
        )
        return self._issued(login)

    def with_token(self, token: str) -> Issued:
        """Ask what a token is good for, and return that with the token itself. `token`: ASCII, without spaces."""
        answer = self._ask("GET", "/auth/tokens?nocatalog", token, subject=token, doing="log in")
        return _issued(access.create(body=answer.json(), auth_token=token))

    def of_project(self, token: str, project_id: str) -> Issued:
        login = v3.Token(auth_url=self._keystone, token=token, project_id=project_id, include_catalog=False)
        return self._issued(login)

    def projects(self, token: str) -> list[tuple[str, str]]:
        """Return the ids and names of those projects that the token's user has a role in and that are enabled, by
        name."""
        listed = self._ask("GET", "/auth/projects", token, doing="list projects").json()["projects"]
        return sorted(
            ((str(one["id"]), str(one["name"])) for one in listed if one.get("enabled", True)), key=lambda one: one[1]
        )

    def revoke(self, token: str) -> None:
        """Nobody can use it any more."""
        self._ask("DELETE", "/auth/tokens", token, subject=token, doing="end a token")

    def _issued(self, login: Any) -> Issued:
        with explained("log in"):
            try:
                return _issued(login.get_access(session_as(None, self._cacert)))
            except auth.MissingAuthMethods as missing:
                given = {*missing.methods, "totp"}
                if missing.receipt and any(given.issuperset(rule) for rule in missing.required_auth_methods):
                    raise PasscodeAsked(missing.receipt) from None
                raise AccessDenied(
                    "Keystone wants more of you than a password and a passcode, and these pages can't ask for that.",
                    advice="Use an application credential, or a token.",
                    code=SECOND_FACTOR,
                ) from None

    def _ask(self, method: str, path: str, token: str, *, doing: str, subject: str = "") -> Any:
        headers = {"X-Auth-Token": token} | ({"X-Subject-Token": subject} if subject else {})
        with explained(doing):
            return session_as(None, self._cacert).request(
                f"{self._keystone}{path}", method, headers=headers, authenticated=False, log=False
            )


def _issued(known: Any) -> Issued:
    if known.auth_token is None or known.expires is None:
        raise ProviderError("Keystone's answer has no token in it.")
    return Issued(
        token=known.auth_token,
        ends_at=known.expires,
        user_id=known.user_id or "",
        user_name=known.username or "",
        project_id=known.project_id,
        project_name=known.project_name or "",
    )
