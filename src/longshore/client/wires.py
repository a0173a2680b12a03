"""The two ways to the service: in this process, or over the network with a Keystone token."""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from longshore.api.replicas import LEFT_OUT
from longshore.client.in_process import BAD, Begin, ask
from longshore.errors import AccessDenied, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.model.strict_reading import read_json

if TYPE_CHECKING:
    from longshore.configuration import Configuration  # not at the start of every command

ANSWER_WITHIN = 600.0  # seconds: a large inventory takes its time
CATALOGUE = "catalog"  # instead of a server's address: the one that the cloud's catalogue names
SERVICE_TYPE = "migration"

# An address that has gone to another machine says nothing to whoever waits for an answer: that one is asked soon, and
# doesn't know the connection. keystoneauth would wait for a minute
_LISTENING = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),  # seconds of silence
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),  # seconds between two questions
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5),
]


def left_out_in(headers: Mapping[str, str]) -> Sequence[str]:
    """Return the ids of what a list doesn't have, since it can't be read, as the headers of its answer tell."""
    return [id_ for id_ in headers.get(LEFT_OUT.lower(), "").split(",") if id_]


def _only_if(version: str | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": version}


class Wire(Protocol):
    remote: bool  # the service runs on another machine, for many
    left_out: Sequence[str]  # ids of what the last list couldn't have in it

    def address(self) -> str:
        """Return where the service is, without a slash at the end; empty for one in this process."""

    def ask(self, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> tuple[int, bytes]:
        """Ask, and return status and body of the answer. `if_match`: the header. Raises LongshoreError when there is
        none."""

    def fetch(self, path: str, begin: Begin) -> tuple[int, bytes]:
        """Ask by a GET whose body is given to what `begin` answers as it comes, unless it is an error's.

        Raises LongshoreError when there is no answer, or not all of it.
        """

    def close(self) -> None: ...


class Embedded:
    """The service runs inside this process, over the user's own state directory, and no port is opened."""

    remote = False

    def __init__(self, configuration: "Configuration") -> None:
        from longshore.service import mount

        self._app, self._unmount = mount(configuration)
        self._loop = asyncio.Runner()
        self.left_out: Sequence[str] = ()

    def address(self) -> str:
        return ""

    def ask(self, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> tuple[int, bytes]:
        return self._loop.run(ask(self._app, method, path, body, headers=_only_if(if_match), hear=self._hear))

    def _hear(self, headers: Mapping[str, str]) -> None:
        self.left_out = left_out_in(headers)

    def fetch(self, path: str, begin: Begin) -> tuple[int, bytes]:
        try:
            return self._loop.run(ask(self._app, "GET", path, begin=begin))
        except RuntimeError as error:
            if isinstance(error.__cause__, LongshoreError):  # it came when the answer had begun
                raise error.__cause__ from None
            raise

    def close(self) -> None:
        self._loop.close()
        self._unmount()


_BUSY_TRIES = 12
_PIECE = 1 << 20  # bytes


class Remote:
    """A server, with tokens that keystoneauth gets and renews.

    `session`: a keystoneauth session. `url`: the server; None: as the catalogue says.
    """

    remote = True

    def __init__(
        self, session: Any, url: str | None = None, *, region: str | None = None, interface: str | None = None
    ) -> None:
        from keystoneauth1.adapter import Adapter

        from longshore.client.asked_again import ASKED_AGAIN  # of urllib3, which takes a moment to import

        self.left_out: Sequence[str] = ()
        for each in session.session.adapters.values():
            each.poolmanager.connection_pool_kw["socket_options"] = _LISTENING
            each.max_retries = ASKED_AGAIN
        self._adapter = Adapter(
            session,
            service_type=SERVICE_TYPE,
            interface=interface or "public",
            region_name=region,
            endpoint_override=url,
            client_name="longshore",
            # A server that has enough to do for the project says when to come again
            retriable_status_codes=[429],
            status_code_retries=_BUSY_TRIES,
        )

    def address(self) -> str:
        return (self._adapter.get_endpoint() or "").rstrip("/").removesuffix("/v1")

    def ask(self, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> tuple[int, bytes]:
        answer = self._answer(method, path, json=body, headers=_only_if(if_match))
        self.left_out = left_out_in(answer.headers)
        return answer.status_code, answer.content

    def fetch(self, path: str, begin: Begin) -> tuple[int, bytes]:
        from requests import RequestException

        answer = self._answer("GET", path, stream=True)
        with answer:
            try:
                if answer.status_code >= BAD:
                    return answer.status_code, answer.content
                take = begin({name.lower(): value for name, value in answer.headers.items()})
                for piece in answer.iter_content(_PIECE):
                    take(piece)
            except RequestException:
                raise Unreachable(
                    "The server broke off before all was there.", advice="Its log says why; try again."
                ) from None
        return answer.status_code, b""

    def _answer(self, method: str, path: str, **how: Any) -> Any:
        from keystoneauth1 import exceptions as auth
        from urllib3.exceptions import LocationParseError

        try:
            self._log_in()
            return self._adapter.request(path, method, raise_exc=False, timeout=ANSWER_WITHIN, **how)
        except (auth.EndpointNotFound, auth.EmptyCatalog):
            raise NotFound(
                f"The cloud's catalogue has no service of type {SERVICE_TYPE}.",
                advice="Name the server: LONGSHORE_URL=https://…; its operator runs longshore server register.",
            ) from None
        except auth.Unauthorized:
            raise AccessDenied(
                "Keystone refuses your credentials.", advice="Check OS_CLOUD or the OS_* variables."
            ) from None
        except auth.MissingAuthPlugin:
            raise InvalidInput(
                "A server needs your credentials.", advice="Set OS_CLOUD or the OS_* variables."
            ) from None
        except auth.ConnectionError as error:
            raise Unreachable(f"The server doesn't answer: {_short(error)}.", advice="Is it running there?") from None
        except auth.ClientException as error:
            raise LongshoreError(f"The server could not be asked: {_short(error)}.") from None
        except LocationParseError as error:  # which requests doesn't expect at that moment: https://cloud..example
            raise InvalidInput(f"Such a host can't be: {_short(error)}.", advice="Check the address.") from None

    def _log_in(self) -> None:
        """Log in unless there is a token. Apart from what the server is asked, so that it is told who doesn't
        answer."""
        from keystoneauth1 import exceptions as auth

        try:
            self._adapter.get_token()
        except (auth.ConnectionError, auth.DiscoveryFailure, auth.HttpServerError) as error:
            raise Unreachable(f"Keystone doesn't answer: {_short(error)}.", advice="Try again in a moment.") from None

    def close(self) -> None:
        self._adapter.session.session.close()


def to_server(url: str) -> Remote:
    """Make a wire to a server, with the credentials of OS_CLOUD or the OS_* variables. `url` may be CATALOGUE. Raises
    InvalidInput."""
    from keystoneauth1 import exceptions as auth
    from openstack import exceptions as sdk

    from longshore.clouds_yaml import read_clouds

    if url != CATALOGUE and not _is_address(url):
        raise InvalidInput(f'"{url}" is no server\'s address.', advice="Write it as https://longshore.example:9797.")
    name = os.environ.get("OS_CLOUD")
    try:
        region = read_clouds(name or None).get_one(cloud=name or None)
        session = region.get_session()
    except (sdk.ConfigException, auth.ClientException) as error:
        if name and "was not found" in str(error):
            raise InvalidInput(
                f"OS_CLOUD is {name}, and no clouds.yaml has an entry of that name.",
                advice="Looked in the current directory, ~/.config/openstack and /etc/openstack; "
                "OS_CLIENT_CONFIG_FILE may name another file.",
            ) from None
        raise InvalidInput(
            f"A server needs your credentials, and they can't be read: {_short(error)}.",
            advice="Set OS_CLOUD or the OS_* variables, or leave LONGSHORE_URL out.",
        ) from None
    return Remote(
        session,
        None if url == CATALOGUE else url.rstrip("/").removesuffix("/v1"),
        region=region.region_name or None,
        interface=region.config.get("interface"),
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:  # a port that there isn't, or half of an address of IPv6
        return False


def fault_of(status: int, body: bytes) -> LongshoreError:
    """Return the error of an answer: the service's own sentence and code; or, when a proxy answered in its place, what
    can be said of that."""
    try:
        fault = read_json(body)
        advice = fault.get("advice") or ""
        message, field = fault["message"].removesuffix(advice).rstrip(), fault.get("field") or ""
        return LongshoreError(message, advice=advice, code=fault["code"], field=field)
    except (ValueError, TypeError, KeyError):
        return Unreachable(f"No Longshore server answers there (HTTP status {status}).", advice="Check the address.")


def _short(error: Exception) -> str:
    # Behind the first of these is the HTTP library's own representation of it
    said = str(error).strip().partition(": HTTP")[0]
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__
