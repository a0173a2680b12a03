"""A cloud's key manager, through castellan: secrets in the Barbican of whoever it is asked as."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from longshore.configuration import Keystone
from longshore.errors import AccessDenied, LongshoreError, NotFound, ProviderError, Unreachable

_SERVICE_TYPE = "key-manager"
_TIMEOUT = 20.0  # seconds for an answer
_REMEMBER = 3600.0  # seconds: a secret in Barbican never changes, and a migration asks for its own before each step
_IN_DATABASE = 'keep secrets in the database: secrets = "database" in [server]'
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
        self._manager: Any = None
        self._known: dict[str, tuple[float, str]] = {}

    def offered(self) -> bool:
        """Tell whether the cloud's catalogue has a key manager."""
        with self._asking("look for Barbican") as manager:
            return bool(manager.is_in_catalogue())

    def project_id(self) -> str:
        """Return the id of the project that the secrets belong to."""
        with self._asking("log in") as manager:
            return str(manager.project_id())

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
        from castellan.common.objects.passphrase import Passphrase

        with self._asking("keep a secret") as manager:
            ref = str(manager.store(self._asker, Passphrase(content, name=name)))
            if private:
                manager.make_private(ref)
            return ref

    def open(self, ref: str) -> str:
        """Return a secret in clear. Raises NotFound."""
        if not _ID.fullmatch(ref):  # which stands in an address that is asked with a token
            raise NotFound(f"{ref!a} is no secret in Barbican.")
        with self._lock:
            at, text = self._known.get(ref, (0.0, ""))
        if text and time.monotonic() - at < _REMEMBER:
            return text
        with self._asking("open a secret") as manager:
            kept = manager.get(self._asker, ref).get_encoded()
        text = kept.decode() if isinstance(kept, bytes) else str(kept)
        with self._lock:
            self._known[ref] = (time.monotonic(), text)
        return text

    def remove(self, ref: str) -> None:
        """Remove a secret, if it is there."""
        with self._lock:
            self._known.pop(ref, None)
        with suppress(NotFound), self._asking("remove a secret") as manager:
            manager.delete(self._asker, ref)

    def remove_named(self, name: str) -> None:
        """Remove all secrets of this name."""
        with self._asking("look for a secret") as manager:
            found = manager.named(name)
        for ref in found:
            self.remove(ref)

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Any]:
        try:
            with self._lock:
                if self._manager is None:
                    self._manager = _manager(self._asker)
                manager = self._manager
            yield manager
        except LongshoreError:
            raise
        except Exception as error:  # noqa: BLE001 what isn't known is raised as it is
            raise _explained(error, doing, self._asker) from None


def _manager(asker: Asker) -> Any:
    """Return castellan's key manager, but with one session for all it asks.

    Its own logs in each time, and waits for ever.
    """
    from barbicanclient import client
    from castellan.key_manager.barbican_key_manager import BarbicanKeyManager
    from keystoneauth1.exceptions import EndpointNotFound
    from oslo_config import cfg

    # What goes wrong is raised; these would also write it into the log, with a stack of their own
    for library in ("castellan", "barbicanclient"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    session = asker.session()
    place = {"service_type": _SERVICE_TYPE, "interface": asker.interface, "region_name": asker.region}

    class Manager(BarbicanKeyManager):  # type: ignore[misc]
        def _get_barbican_client(self, _context: Any) -> Any:
            return client.Client(session=session, **place)

        def is_in_catalogue(self) -> bool:
            try:
                return session.get_endpoint(skip_discovery=True, **place) is not None
            except EndpointNotFound:
                return False

        def project_id(self) -> str:
            return session.get_project_id() or ""

        def make_private(self, ref: str) -> None:
            """Let only its maker read a secret.

            Otherwise all of the service project may read it, as may the users of other services.
            """
            barbican = client.Client(session=session, **place)
            readers = [session.get_user_id()]
            barbican.acls.create(ref, users=readers, project_access=False, ref_type="secret").submit()

        def named(self, name: str) -> list[str]:
            found = client.Client(session=session, **place).secrets.list(limit=100, name=name)
            return [self._retrieve_secret_uuid(secret.secret_ref) for secret in found]

    conf = cfg.ConfigOpts()
    conf([], project="longshore", default_config_files=[], default_config_dirs=[])
    return Manager(conf)


def _explained(error: Exception, doing: str, asker: Asker) -> LongshoreError:
    """Return the error that tells a user of a failure.

    castellan wraps what it was told, and leaves that in the context.
    """
    from barbicanclient import exceptions as barbican
    from castellan.common import exception as castellan
    from keystoneauth1 import exceptions as auth

    cause = error.__context__ if isinstance(error, castellan.KeyManagerError) and error.__context__ else error
    if isinstance(cause, castellan.ManagedObjectNotFoundError):
        return NotFound("The secret isn't in Barbican any more.", advice=asker.when_gone)
    if isinstance(cause, auth.ConnectionError):
        return Unreachable(f"Barbican, or Keystone before it, didn't answer while trying to {doing}.", advice=_AGAIN)
    if isinstance(cause, barbican.HTTPServerError) or getattr(cause, "http_status", 0) >= 500:
        return Unreachable(f"Barbican couldn't {doing}: {_words(cause)}", advice=_AGAIN)
    status = getattr(cause, "status_code", None) or getattr(cause, "http_status", None)
    if status in (401, 403):
        return AccessDenied(
            f"{asker.who} may not {doing} in Barbican: {_words(cause)}",
            advice=asker.when_denied,
        )
    if isinstance(cause, auth.CatalogException):
        said, advice = asker.when_none
        return ProviderError(said, advice=advice)
    if isinstance(cause, auth.ClientException | barbican.HTTPError | barbican.BarbicanException):
        return ProviderError(f"Barbican couldn't {doing}: {_words(cause)}")
    raise error


_AGAIN = "Try again in a moment."


def _words(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said if said.endswith((".", "!", "?")) else f"{said}."
