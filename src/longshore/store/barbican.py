"""The cloud's key manager, through castellan: secrets of providers as secrets of the server's own user in Barbican."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from longshore.configuration import Keystone
from longshore.errors import AccessDenied, LongshoreError, NotFound, ProviderError, Unreachable

_SERVICE_TYPE = "key-manager"
_TIMEOUT = 20.0  # seconds for an answer
_REMEMBER = 3600.0  # seconds: a secret in Barbican never changes, and a migration asks for its own before each step
_IN_DATABASE = 'keep secrets in the database: secrets = "database" in [server]'


class Barbican:
    """`keystone`: as whom it is asked. Nothing is asked before it has to be. Safe for threads.

    All methods raise Unreachable, AccessDenied, or ProviderError with what Barbican said.
    """

    def __init__(self, keystone: Keystone) -> None:
        self._keystone = keystone
        self._lock = threading.Lock()
        self._manager: Any = None
        self._known: dict[str, tuple[float, dict[str, str]]] = {}

    def offered(self) -> bool:
        """Whether the cloud's catalogue has a key manager."""
        with self._asking("look for Barbican") as manager:
            return bool(manager.is_in_catalogue())

    def keep(self, name: str, values: Mapping[str, str]) -> str:
        """Its id there. One of this name that an earlier try has left is replaced: nobody knows that it is whole."""
        self.remove_named(name)
        return self.add(name, values)

    def add(self, name: str, values: Mapping[str, str]) -> str:
        """Its id there; others of this name stay."""
        from castellan.common.objects.passphrase import Passphrase

        with self._asking("keep a secret") as manager:
            ref = str(manager.store(self._keystone, Passphrase(json.dumps(dict(values)).encode(), name=name)))
            manager.make_private(ref)
            return ref

    def open(self, ref: str) -> dict[str, str]:
        """In clear. Raises NotFound."""
        with self._lock:
            at, values = self._known.get(ref, (0.0, {}))
        if values and time.monotonic() - at < _REMEMBER:
            return dict(values)
        with self._asking("open a secret") as manager:
            values = json.loads(manager.get(self._keystone, ref).get_encoded())
        with self._lock:
            self._known[ref] = (time.monotonic(), values)
        return dict(values)

    def remove(self, ref: str) -> None:
        """Nothing to do when it isn't there."""
        with self._lock:
            self._known.pop(ref, None)
        with suppress(NotFound), self._asking("remove a secret") as manager:
            manager.delete(self._keystone, ref)

    def remove_named(self, name: str) -> None:
        """All of this name."""
        with self._asking("look for a secret") as manager:
            found = manager.named(name)
        for ref in found:
            self.remove(ref)

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Any]:
        with self._lock:
            if self._manager is None:
                self._manager = _manager(self._keystone)
            manager = self._manager
        try:
            yield manager
        except LongshoreError:
            raise
        except Exception as error:  # noqa: BLE001 what isn't known is raised as it is
            raise _explained(error, doing, self._keystone) from None


def _manager(keystone: Keystone) -> Any:
    """castellan's own, but with one session for all it asks: its own logs in each time, and waits for ever."""
    from barbicanclient import client
    from castellan.key_manager.barbican_key_manager import BarbicanKeyManager
    from keystoneauth1.exceptions import EndpointNotFound
    from keystoneauth1.identity import v3
    from keystoneauth1.session import Session
    from oslo_config import cfg

    # What goes wrong is raised; these would also write it into the log, with a stack of their own
    for library in ("castellan", "barbicanclient"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    login = v3.Password(auth_url=keystone.auth_url, **keystone.login())
    session = Session(login, verify=str(keystone.cacert) if keystone.cacert else True, timeout=_TIMEOUT)
    place = {"service_type": _SERVICE_TYPE, "interface": keystone.interface, "region_name": keystone.region}

    class Manager(BarbicanKeyManager):  # type: ignore[misc]
        def _get_barbican_client(self, _context: Any) -> Any:
            return client.Client(session=session, **place)

        def is_in_catalogue(self) -> bool:
            try:
                return session.get_endpoint(skip_discovery=True, **place) is not None
            except EndpointNotFound:
                return False

        def make_private(self, ref: str) -> None:
            """Without, all of the service project may read it, as may the users of other services."""
            barbican = client.Client(session=session, **place)
            readers = [session.get_user_id()]
            barbican.acls.create(ref, users=readers, project_access=False, ref_type="secret").submit()

        def named(self, name: str) -> list[str]:
            found = client.Client(session=session, **place).secrets.list(limit=100, name=name)
            return [self._retrieve_secret_uuid(secret.secret_ref) for secret in found]

    conf = cfg.ConfigOpts()
    conf([], project="longshore", default_config_files=[], default_config_dirs=[])
    return Manager(conf)


def _explained(error: Exception, doing: str, keystone: Keystone) -> LongshoreError:
    """castellan wraps what it was told: what that was, it leaves in the context."""
    from barbicanclient import exceptions as barbican
    from castellan.common import exception as castellan
    from keystoneauth1 import exceptions as auth

    cause = error.__context__ if isinstance(error, castellan.KeyManagerError) and error.__context__ else error
    if isinstance(cause, castellan.ManagedObjectNotFoundError):
        return NotFound(
            "The secret isn't in Barbican any more.", advice="Remove the provider and add it again, with its password."
        )
    if isinstance(cause, auth.ConnectionError):
        return Unreachable(f"Barbican, or Keystone before it, didn't answer while trying to {doing}.", advice=_AGAIN)
    if isinstance(cause, barbican.HTTPServerError) or getattr(cause, "http_status", 0) >= 500:
        return Unreachable(f"Barbican couldn't {doing}: {_words(cause)}", advice=_AGAIN)
    status = getattr(cause, "status_code", None) or getattr(cause, "http_status", None)
    if status in (401, 403):
        return AccessDenied(
            f"The server's user {keystone.username} may not {doing} in Barbican: {_words(cause)}",
            advice=f"Its operator gives it the role creator in project {keystone.project_name}, or lets the server "
            f"{_IN_DATABASE}.",
        )
    if isinstance(cause, auth.CatalogException):
        return ProviderError(
            "The cloud's catalogue has no key manager, and the server is to keep its secrets there.",
            advice=f"The server's operator registers Barbican, or lets it {_IN_DATABASE}.",
        )
    if isinstance(cause, auth.ClientException | barbican.HTTPError | barbican.BarbicanException):
        return ProviderError(f"Barbican couldn't {doing}: {_words(cause)}")
    raise error


_AGAIN = "Try again in a moment."


def _words(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said if said.endswith((".", "!", "?")) else f"{said}."
