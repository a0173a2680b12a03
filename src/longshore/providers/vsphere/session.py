"""One logged-in connection to a vCenter that stays usable: sessions that expire are renewed without anyone noticing."""

import http.client
import re
import threading
import xml.parsers.expat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from pyVmomi import SoapStubAdapter, vim, vmodl
from pyVmomi.VmomiSupport import GetServiceVersions, versionIdMap

from longshore.errors import LoginRefused, ProviderError, Unreachable
from longshore.model.reach import Reach
from longshore.providers.reaching import HttpsConnection
from longshore.providers.vsphere.certificate import (
    CONNECT_TIMEOUT,
    ServerCertificate,
    reaching,
    trusted_context,
    verified_certificate,
)
from longshore.providers.vsphere.faults import explained, words
from longshore.providers.vsphere.settings import VsphereSettings

REQUEST_TIMEOUT = 120.0  # seconds without a byte from the server; longer than any wait we ask it for
IDLE_CONNECTION = 45  # seconds after which an unused connection isn't trusted to be open at the other end any more
CONNECTIONS = 16  # kept open for later calls

# Asking these a second time, after a connection broke under the first, changes nothing at the server
_REPEATABLE = re.compile(
    r"^(Retrieve(?!.*_Task$)|Fetch$|Query|Find|CurrentTime|CreateContainerView|CreatePropertyCollector)"
)


class VsphereSession:
    """Opened at first use. Safe to use from several threads."""

    def __init__(self, settings: VsphereSettings, password: Callable[[], str]) -> None:
        self.settings = settings
        self.generation = 0  # counts logins: views, collectors and page tokens die with the login they were made in
        self._password = password
        self._lock = threading.RLock()
        self._stub: Any = None
        self._content: Any = None
        self._certificate: ServerCertificate | None = None

    def __repr__(self) -> str:
        return f"Session({self.label})"

    @property
    def label(self) -> str:
        """Return how errors name the server."""
        host, port = self.settings.host, self.settings.port
        return host if port == 443 else f"{host}:{port}"

    @property
    def password(self) -> str:
        """Return the password for those who have to log in beside this session; never to be shown."""
        return self._password()

    @property
    def content(self) -> Any:
        """Return the vim.ServiceInstanceContent; logs in first if that hasn't happened.

        Raises LoginRefused, FingerprintMismatch, Unreachable.
        """
        with self._lock:
            if self._content is None:
                self._open()
            return self._content

    @property
    def certificate(self) -> ServerCertificate:
        """Return the certificate this session trusts. Raises as `content` does."""
        with self._lock:
            if self._certificate is None:
                self._open()
            assert self._certificate is not None
            return self._certificate

    def object(self, kind: Any, ref: str) -> Any:
        """Return a managed object of a class such as vim.VirtualMachine, by its id; no call is made."""
        self.content  # noqa: B018 - the stub exists only once the session is open
        return kind(ref, self._stub)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Raise vSphere's faults and a broken line as Longshore's errors; `what` completes "couldn't …"."""
        with explained(self.label, what), self._reaching():
            yield

    def renew(self, generation: int) -> None:
        """Log in again, unless another thread did so since `generation`. Raises LoginRefused."""
        with self._lock:
            if self.generation == generation:
                self._stub.SetSessionId("")
                self._log_in()

    def close(self) -> None:
        with self._lock:
            if self._stub is None:
                return
            # Nobody waits for the answer: a session left behind ends by itself after half an hour
            with suppress(vmodl.MethodFault, OSError, http.client.HTTPException):
                self._content.sessionManager.Logout()
            self._stub.DropConnections()
            self._stub = self._content = self._certificate = None

    def _open(self) -> None:
        host, port = self.settings.host, self.settings.port
        reach = self.settings.reach
        context = trusted_context(host, port, self.settings.fingerprint, self.settings.ca_file, reach)
        certificate = verified_certificate(host, port, context, reach)
        with self.doing("log in"):
            self._stub = _Stub(
                self,
                host=host,
                port=port,
                version=_api_version(host, port, context, reach),
                sslContext=context,
                poolSize=CONNECTIONS,
                connectionPoolTimeout=IDLE_CONNECTION,
                httpConnectionTimeout=REQUEST_TIMEOUT,
            )
            try:
                self._content = vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
                self._log_in()
            except BaseException:
                self._stub = self._content = None
                raise
        self._certificate = certificate

    def _log_in(self) -> None:
        username = self.settings.username
        try:
            self._content.sessionManager.Login(username, self._password())
        except vim.fault.InvalidLogin as fault:
            raise LoginRefused(
                f"{self.label} refused the user name or the password of {username}: {words(fault)}.",
                advice="Check both; vCenter wants the domain too, as in administrator@vsphere.local.",
            ) from fault
        self.generation += 1

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        lines: AbstractContextManager[None] = reaching(self.settings.host, self.settings.port)
        try:
            with lines:
                yield
        except http.client.HTTPException as error:
            raise Unreachable(f"{self.label} broke off or answered with HTTP {error}.") from error
        except xml.parsers.expat.ExpatError as error:
            raise ProviderError(f"{self.label} answered with something that isn't vSphere's API: {error}.") from error


class _Stub(SoapStubAdapter):  # type: ignore[misc]
    """pyVmomi's SOAP client, made to outlive an expired session and an idle connection that the server has closed."""

    def __init__(self, session: VsphereSession, **options: Any) -> None:
        reach = session.settings.reach
        super().__init__(acceptCompressedResponses=reach is None, **options)
        self.scheme = partial(HttpsConnection, reach=reach)
        self._session = session

    def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:
        generation = self._session.generation
        try:
            return self._invoke(mo, info, args, outerStub)
        except vim.fault.NotAuthenticated:
            # The server did nothing, so it may be asked anything once more
            if info.wsdlName in ("Login", "Logout"):
                raise
            self._session.renew(generation)
            return self._invoke(mo, info, args, outerStub)

    def _invoke(self, mo: Any, info: Any, args: Any, outer_stub: Any) -> Any:
        try:
            return super().InvokeMethod(mo, info, args, outer_stub)
        except (ConnectionError, http.client.RemoteDisconnected):
            if not _REPEATABLE.match(info.wsdlName):
                raise
            return super().InvokeMethod(mo, info, args, outer_stub)


def _api_version(host: str, port: int, context: Any, reach: Reach | None) -> str:
    """Return the newest version of the API that both pyVmomi and the server know, from the server's own list."""
    connection = HttpsConnection(host, port, reach=reach, timeout=CONNECT_TIMEOUT, context=context)
    try:
        connection.request("GET", "/sdk/vimServiceVersions.xml")
        answer = connection.getresponse()
        text = answer.read(1 << 20).decode(errors="replace")
    finally:
        connection.close()
    offered = set(re.findall(r"<version>\s*([^<\s]+)\s*</version>", text))
    for version in GetServiceVersions("vim25"):
        if versionIdMap[version] in offered:
            return str(version)
    raise ProviderError(
        f"{host}:{port} isn't a vCenter or ESXi host that Longshore can talk to (HTTP status {answer.status}).",
        advice="Check the address and the port.",
    )
