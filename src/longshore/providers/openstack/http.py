"""HTTP of OpenStack's libraries: to addresses that may be reached, within times and sizes."""

import http
import json
import re
import socket
import threading
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from keystoneauth1.exceptions import Unauthorized
from keystoneauth1.session import TCPKeepAliveAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError

from longshore.errors import ProviderError, Unreachable
from longshore.model.reach import Reach
from longshore.providers.openstack.faults import kept_words
from longshore.providers.openstack.pace import ASKED_WITHIN, RequestPace, asked_to_wait
from longshore.providers.reaching import CONNECTED_WITHIN, Answer, Bound, addresses

SILENCE = 120.0  # seconds without a byte of an answer: Nova may wait a minute for its own parts
# What may be asked again when no answer comes. Others may have been carried out: a server would be made twice, so
# whoever asked for it looks for it first
_ASKED_AGAIN = ("GET", "HEAD", "PUT", "DELETE")
# What Traefik, NGINX, Apache and HAProxy answer (404) while the service behind them is restarted, or out of their
# settings, and (400) to a request that they don't let through
_OF_A_PROXY = re.compile(
    rb"404 page not found|default backend - 404|<center>nginx|not found on this server|your browser sent", re.I
)
# What is taken for gone where it isn't found
_ONE_THING = re.compile(r"/(?:servers|volumes|snapshots|attachments|ports|floatingips|images|networks)/[\w-]+")


def bound(connection: Any, reach: Reach | None) -> None:
    """Before anything is sent. `connection`: an openstacksdk Connection. `reach`: None for a user's own command."""
    session = connection.session
    session.timeout = SILENCE
    if reach is not None:
        session.session.trust_env = False  # no proxy, and no password of ~/.netrc, in somebody else's name
    session.auth._lock = _LoginLock()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(reach))


class _LoginLock:
    """A lock in the place of keystoneauth's, for which a thread waits for ever that has it already: it logs in once
    more where a Keystone answers 401 to the question which versions it has."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._held:
            self._lock.release()
            raise Unauthorized("Keystone wants a login before it says how to log in.")
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
        self._lock.release()


class Adapter(TCPKeepAliveAdapter):  # type: ignore[misc]
    def __init__(self, reach: Reach | None) -> None:
        self._reach = reach
        self._pace = RequestPace()
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS if self._reach is None else _pools_within(self._reach)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request. Raises ProviderError, AccessDenied, Unreachable, and what requests raises."""
        until = time.monotonic() + ASKED_WITHIN
        while True:
            if seconds := self._pace.wait(until):
                raise Unreachable(f"{urlsplit(str(request.url)).hostname} asks to wait for {seconds:.0f} s more.")
            began = time.monotonic()
            answer = self._send(request, *args, **kwargs)
            asked = asked_to_wait(answer)
            if asked is None:
                self._pace.speed_up()
                break
            self._pace.slow_down(began, asked)
            if not _has_kept_body(request) or time.monotonic() + asked > until:
                break
            answer.close()
        _refuse_stand_in(request, answer)
        if self._reach is not None and answer.status_code >= http.HTTPStatus.BAD_REQUEST:
            _withhold(answer)
        return answer

    def _send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        silence = kwargs.pop("timeout", None)
        if self._reach is not None:
            request.headers["Accept-Encoding"] = "identity"  # a small answer stays one
        try:
            answer: requests.Response = super().send(request, *args, timeout=(CONNECTED_WITHIN, silence), **kwargs)
        except (requests.ConnectionError, requests.Timeout) as error:
            if not _was_sent(error) or _may_be_repeated(request):
                raise
            raise requests.RequestException(str(error)) from None  # keystoneauth asks again for the others alone
        except LocationParseError as error:  # which requests doesn't expect at that moment: https://cloud..example
            raise requests.exceptions.InvalidURL(str(error)) from None
        if self._reach is not None:
            _refuse_compressed(answer)
        if kwargs.get("stream"):  # whoever asked for it reads it by parts
            answer.raw._original_response.bound.lift()
        else:
            try:
                answer._content = Bound().all(answer.iter_content(1 << 16))
            except ProviderError:
                answer.close()
                raise
        if self._reach is not None:
            _refuse_detour(request, answer)
        return answer


def _was_sent(error: requests.RequestException) -> bool:
    """Tell whether the request may have arrived: the connection for it was there."""
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)):
        return False
    why = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(why, (NewConnectionError, ConnectTimeoutError))


def _may_be_repeated(request: requests.PreparedRequest) -> bool:
    return request.method in _ASKED_AGAIN and _has_kept_body(request)


def _has_kept_body(request: requests.PreparedRequest) -> bool:
    """Tell whether a body is read while it is sent, so that it can't be sent once more: of an image nothing would
    arrive."""
    return isinstance(request.body, (bytes, str, type(None)))


def _refuse_stand_in(request: requests.PreparedRequest, answer: requests.Response) -> None:
    """Only the cloud itself can say that something isn't there any more. Raises Unreachable."""
    if answer.status_code not in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.BAD_REQUEST):
        return
    if not _ONE_THING.search(str(request.url)):
        return
    if _OF_A_PROXY.search(answer.content):
        raise Unreachable(
            f"{urlsplit(str(request.url)).hostname} answers in the place of the cloud's service (HTTP "
            f"{answer.status_code}), which it doesn't reach.",
            advice="Check that the service is up behind its proxy.",
        )


def _refuse_compressed(answer: requests.Response) -> None:
    """A few bytes could become as many as an answer may have. Raises ProviderError."""
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        answer.close()
        raise ProviderError("The cloud answered with something compressed, unasked.", code="answer-compressed")


def _refuse_detour(request: requests.PreparedRequest, answer: requests.Response) -> None:
    """A token goes to the host that it is for. Raises ProviderError."""
    if not answer.is_redirect:
        return
    asked = urlsplit(str(request.url))
    try:
        told = urlsplit(urljoin(str(request.url), answer.headers["location"]))
    except ValueError:  # no address at all
        told = urlsplit("")
    if told.hostname != asked.hostname or (told.scheme, asked.scheme) == ("http", "https"):
        answer.close()
        raise ProviderError(
            f"{asked.hostname} sends its callers to another host, where this server doesn't follow.",
            advice="Name the address that it ends at.",
            code="redirect-refused",
        )


def _withhold(answer: requests.Response) -> None:
    """Withhold what somebody's "cloud" says when it refuses: it may be what a service of this network says to this
    server. Its meaning stays, as far as Longshore goes by it; a cloud that the operator lists is told in full."""
    said = answer._content if isinstance(answer._content, bytes) else b""
    try:
        answer.reason = http.HTTPStatus(answer.status_code).phrase
    except ValueError:
        answer.reason = "refused"
    words = kept_words(said.decode(errors="replace")) or f"{answer.reason}."
    answer.headers = requests.structures.CaseInsensitiveDict({"Content-Type": "application/json"})
    answer._content = json.dumps({"error": {"message": words, "code": answer.status_code}}).encode()
    answer.encoding = "utf-8"


class _Plain(HTTPConnection):
    response_class = Answer


class _Tls(HTTPSConnection):
    response_class = Answer


def _pools(plain: type[HTTPConnection], tls: type[HTTPSConnection]) -> dict[str, type[HTTPConnectionPool]]:
    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


_POOLS = _pools(_Plain, _Tls)


def _pools_within(reach: Reach) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(_Within, _Plain):
        pass

    class Tls(_Within, _Tls):
        pass

    Plain.reach = Tls.reach = reach
    return _pools(Plain, Tls)


class _Within:
    """urllib3's connection, to an address that was looked at. TLS still asks for the name."""

    reach: Reach

    def _new_conn(self: Any) -> socket.socket:
        name = self._dns_host
        try:
            found = addresses(name.strip("[]"), self.port, self.reach)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        try:
            for number, address in enumerate(found, 1):
                self._dns_host = address
                try:
                    opened: socket.socket = super()._new_conn()  # type: ignore[misc]
                except (NewConnectionError, ConnectTimeoutError):
                    if number == len(found):
                        raise
                else:
                    return opened
        finally:
            self._dns_host = name
        raise AssertionError("the last address is connected to, or raises")
