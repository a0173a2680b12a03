"""A cloud's key manager: secrets in the Barbican of whoever it is asked as.

Its API: https://docs.openstack.org/barbican/latest/api/. Nothing that it is asked, or answers, gets into a log.
"""

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from longshore.configuration import Keystone
from longshore.errors import AccessDenied, LongshoreError, NotFound, ProviderError, Unreachable

_TIMEOUT = 20.0  # seconds for an answer
_REMEMBER = 3600.0  # seconds: a secret in Barbican never changes, and a migration asks for its own before each step
_IN_DATABASE = 'keep secrets in the database: secrets = "database" in [server]'
_AGAIN = "Try again in a moment."
_TEXT, _BYTES = "text/plain", "application/octet-stream"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Asker:
    """The identity as which a Barbican is asked, with advice for whoever it refuses."""

    session: Callable[[], Any]  # keystoneauth's, which is made when something is first asked
    interface: str
    region: str | None
    who: str  # begins a sentence: "The server's user longshore"
    when_denied: str  # advice
    when_none: tuple[str, str]  # the catalogue has no key manager: a sentence, and advice
    when_gone: str  # advice, where a secret isn't there any more


def server_user(keystone: Keystone) -> Asker:
    """Return the server's own user, whom the secrets of providers belong to."""

    def session() -> Any:
        from keystoneauth1.identity import v3
        from keystoneauth1.session import Session

        login = v3.Password(auth_url=keystone.auth_url, **keystone.login())
        return Session(login, verify=str(keystone.cacert) if keystone.cacert else True, timeout=_TIMEOUT)

    return Asker(
        session,
        keystone.interface,
        keystone.region,
        who=f"The server's user {keystone.username}",
        when_denied=f"Its operator gives it the role creator in project {keystone.project_name}, or lets the server "
        f"{_IN_DATABASE}.",
        when_none=(
            "The cloud's catalogue has no key manager, and the server is to keep its secrets there.",
            f"The server's operator registers Barbican, or lets it {_IN_DATABASE}.",
        ),
        when_gone="Remove the provider and add it again, with its password.",
    )


class Barbican:
    """A cloud's key manager. Nothing is asked before it has to be. Safe for threads.

    All methods raise Unreachable, AccessDenied, or ProviderError with what Barbican said.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._lock = threading.Lock()
        self._session: Any = None
        self._known: dict[str, tuple[float, str]] = {}

    def offered(self) -> bool:
        """Tell whether the cloud's catalogue has a key manager."""
        with self._explained("look for Barbican"):
            return self._address() is not None

    def project_id(self) -> str:
        """Return the id of the project that the secrets belong to."""
        with self._explained("log in"):
            return self._logged_in().get_project_id() or ""

    def keep(self, name: str, content: str | bytes, *, private: bool) -> str:
        """Keep a secret and return its id there.

        One of this name that an earlier try has left is replaced: nobody knows that it is whole. `private`: only its
        maker may read it; otherwise anybody may whom the project lets read its secrets.
        """
        self.remove_named(name)
        return self.add(name, content, private=private)

    def add(self, name: str, content: str | bytes, *, private: bool) -> str:
        """Add a secret and return its id there; others of this name stay.

        People can have Barbican show them one that is a text.
        """
        with self._explained("keep a secret"):  # before there is one that others might read
            reader = self._logged_in().get_user_id() if private else None
        secret = {"name": name, "secret_type": "passphrase"}
        if isinstance(content, str):
            secret |= {"payload": content, "payload_content_type": _TEXT}
        else:
            coded = base64.b64encode(content).decode()
            secret |= {"payload": coded, "payload_content_type": _BYTES, "payload_content_encoding": "base64"}
        ref = _id_in(self._ask("keep a secret", "POST", "", json=secret).json())
        if reader is not None:  # else all of the service project may read it, as may the users of other services
            readers = {"read": {"project-access": False, "users": [reader]}}
            self._ask("keep a secret", "PUT", f"/{ref}/acl", json=readers)
        return ref

    def open(self, ref: str) -> str:
        """Return a secret in clear. Raises NotFound."""
        if not _ID.fullmatch(ref):  # which stands in an address that is asked with a token
            raise NotFound(f"{ref!a} is no secret in Barbican.")
        with self._lock:
            at, text = self._known.get(ref, (0.0, ""))
        if text and time.monotonic() - at < _REMEMBER:
            return text
        # Barbican hands one out as what it was given as, and as nothing else
        kinds = self._ask("open a secret", "GET", f"/{ref}").json().get("content_types") or {}
        accepted = {"Accept": kinds.get("default", _BYTES)}
        kept: bytes = self._ask("open a secret", "GET", f"/{ref}/payload", headers=accepted).content
        text = kept.decode()
        with self._lock:
            self._known[ref] = (time.monotonic(), text)
        return text

    def remove(self, ref: str) -> None:
        """Remove a secret, if it is there."""
        with self._lock:
            self._known.pop(ref, None)
        with suppress(NotFound):
            self._ask("remove a secret", "DELETE", f"/{ref}")

    def remove_named(self, name: str) -> None:
        """Remove all secrets of this name."""
        found = self._ask("look for a secret", "GET", "", params={"name": name, "limit": 100}).json()
        for secret in found["secrets"]:
            self.remove(_id_in(secret))

    def _ask(self, doing: str, method: str, path: str, **more: Any) -> Any:
        """Return Barbican's answer about secrets, as requests has it. Raises NotFound, too."""
        with self._explained(doing):
            address = self._address()
            if address is None:
                said, advice = self._asker.when_none
                raise ProviderError(said, advice=advice)
            url = f"{address.rstrip('/').removesuffix('/v1')}/v1/secrets{path}"
            answer = self._logged_in().request(url, method, raise_exc=False, log=False, **more)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise NotFound("The secret isn't in Barbican any more.", advice=self._asker.when_gone)
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            told = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
            payload = more.get("json", {}).get("payload")
            said = str(told.get("description") or answer.reason)
            raise self._refusal(doing, answer.status_code, answer.reason if payload and payload in said else said)
        return answer

    def _address(self) -> str | None:
        """Return Barbican's address in the catalogue. None: it has none."""
        from keystoneauth1.exceptions import CatalogException

        place = {"interface": self._asker.interface, "region_name": self._asker.region, "skip_discovery": True}
        with suppress(CatalogException):
            return cast(str | None, self._logged_in().get_endpoint(service_type="key-manager", **place))
        return None

    def _logged_in(self) -> Any:
        """Return the session: one for all that is asked, which logs in when something first is."""
        with self._lock:
            if self._session is None:
                self._session = self._asker.session()
            return self._session

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what keystoneauth raises into what a user is told: of Keystone, or of connections."""
        from keystoneauth1 import exceptions as auth

        try:
            yield
        except auth.ConnectionError:
            raise Unreachable(
                f"Barbican, or Keystone before it, didn't answer while trying to {doing}.", advice=_AGAIN
            ) from None
        except auth.ClientException as error:
            raise self._refusal(doing, getattr(error, "http_status", 0), str(error)) from None

    def _refusal(self, doing: str, status: int, said: str) -> LongshoreError:
        said = " ".join(said.split()).removesuffix(".")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unreachable(f"Barbican couldn't {doing}: {said}.", advice=_AGAIN)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return AccessDenied(
                f"{self._asker.who} may not {doing} in Barbican: {said}.", advice=self._asker.when_denied
            )
        return ProviderError(f"Barbican couldn't {doing}: {said}.")


def _id_in(secret: Mapping[str, Any]) -> str:
    """Return the end of the address by which Barbican calls a secret."""
    return str(secret["secret_ref"]).rstrip("/").rpartition("/")[2]
