"""vSphere's tags. They aren't in the SOAP API: vCenter's REST API has them, behind the same pinned certificate.

Reading them takes several calls, so it is done only when somebody asks for tags. A tag is written CATEGORY/NAME.
"""

import base64
import http.client
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from longshore.errors import AccessDenied, InvalidInput, LongshoreError, NotFound, ProviderError, Unreachable
from longshore.model.strict_reading import read_json
from longshore.providers.reaching import HttpsConnection
from longshore.providers.vsphere.certificate import reaching, trusted_context
from longshore.providers.vsphere.session import REQUEST_TIMEOUT, VsphereSession

OBJECTS = 500  # machines asked about at once; vCenter allows 2000
_TAGS = "/api/cis/tagging/tag"
_CATEGORIES = "/api/cis/tagging/category"
_ASSOCIATIONS = "/api/cis/tagging/tag-association"


def of(session: VsphereSession, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the tags of machines, by reference; of those that have any. Empty where the server knows no tags (an ESXi
    host).

    Raises AccessDenied, Unreachable, ProviderError.
    """
    attached: dict[str, list[str]] = {}
    with _rest(session) as rest:
        if rest is None:
            return {}
        for start in range(0, len(refs), OBJECTS):
            asked = [{"type": "VirtualMachine", "id": ref} for ref in refs[start : start + OBJECTS]]
            answer = rest.ask("POST", f"{_ASSOCIATIONS}?action=list-attached-tags-on-objects", {"object_ids": asked})
            for found in answer:
                attached.setdefault(found["object_id"]["id"], []).extend(found["tag_ids"])
        names = _names(rest, {tag for ids in attached.values() for tag in ids})
    told = {ref: tuple(sorted(names[tag] for tag in ids if tag in names)) for ref, ids in attached.items()}
    return {ref: tags for ref, tags in told.items() if tags}


def find_tagged(session: VsphereSession, wanted: str) -> set[str]:
    """Return references of the machines that have a tag, called NAME or CATEGORY/NAME; of several with that name, any.

    Raises NotFound when there is no such tag, InvalidInput where the server knows none at all.
    """
    with _rest_with_tags(session) as rest:
        names = _names(rest, rest.ask("GET", _TAGS))
        ids = [tag for tag, name in names.items() if wanted in (name, name.partition("/")[2])]
        if not ids:
            known = ", ".join(sorted(names.values())) or "none"
            raise NotFound(f'{session.label} has no tag "{wanted}".', advice=f"It has: {known}.")
        return _having(rest, ids)


def is_attached(session: VsphereSession, machine_ref: str, wanted: str) -> bool:
    """Tell whether a machine has the tag CATEGORY/NAME. Raises InvalidInput when there is no such tag."""
    with _rest_with_tags(session) as rest:
        return machine_ref in _having(rest, [_tag(session, rest, wanted)])


def attach(session: VsphereSession, machine_ref: str, wanted: str, *, on: bool) -> bool:
    """Give a machine the tag CATEGORY/NAME, or take it away; says whether anything had to be changed.

    Raises InvalidInput when there is no such tag.
    """
    with _rest_with_tags(session) as rest:
        tag = _tag(session, rest, wanted)
        if (machine_ref in _having(rest, [tag])) == on:
            return False
        asked = {"object_id": {"type": "VirtualMachine", "id": machine_ref}}
        rest.ask("POST", f"{_ASSOCIATIONS}/{quote(tag, safe='')}?action={'attach' if on else 'detach'}", asked)
        return True


def _tag(session: VsphereSession, rest: "_Rest", wanted: str) -> str:
    """Find the id of the tag CATEGORY/NAME."""
    for tag, name in _names(rest, rest.ask("GET", _TAGS)).items():
        if name == wanted:
            return tag
    raise InvalidInput(f'{session.label} has no tag "{wanted}".', advice="Make it in vCenter: CATEGORY/NAME.")


def _having(rest: "_Rest", tags: Sequence[str]) -> set[str]:
    """Return the machines that have any of these tags, by reference."""
    answer = rest.ask("POST", f"{_ASSOCIATIONS}?action=list-attached-objects-on-tags", {"tag_ids": list(tags)})
    return {one["id"] for found in answer for one in found["object_ids"] if one["type"] == "VirtualMachine"}


class _Rest:
    """A session of the REST API, which is none of the SOAP API."""

    def __init__(self, session: VsphereSession, connection: http.client.HTTPSConnection) -> None:
        self._label = session.label
        self._connection = connection
        self._headers = {"Content-Type": "application/json"}

    def log_in(self, username: str, password: str) -> bool:
        """Log in. Returns False where there is no REST API."""
        basic = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._connection.request("POST", "/api/session", headers={"Authorization": f"Basic {basic}"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise AccessDenied(
                f"{self._label} refused the user name or the password of {username} when it was asked for tags."
            )
        if answer.status >= http.HTTPStatus.BAD_REQUEST:  # an ESXi host, or a vCenter that is too old
            return False
        self._headers["vmware-api-session-id"] = str(self._decode(answer, body, "log in to its REST API"))
        return True

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        return self._decode(answer, answer.read(), "read tags")

    def log_out(self) -> None:
        self._connection.request("DELETE", "/api/session", headers=self._headers)
        self._connection.getresponse().read()

    def _decode(self, answer: http.client.HTTPResponse, body: bytes, what: str) -> Any:
        if answer.status in (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.UNAUTHORIZED):
            raise AccessDenied(
                f"The account may not {what} on {self._label}.", advice="Give it a role with the right to read tags."
            )
        if answer.status == http.HTTPStatus.NOT_FOUND:
            raise NotFound(f"{self._label} couldn't {what}: one of them isn't there any more.")
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ProviderError(f"{self._label} couldn't {what}: HTTP status {answer.status}.")
        try:
            return read_json(body) if body else None
        except ValueError:
            raise ProviderError(f"{self._label} couldn't {what}: it answered with something that isn't JSON.") from None


@contextmanager
def _rest(session: VsphereSession) -> Iterator[_Rest | None]:
    settings = session.settings
    context = trusted_context(settings.host, settings.port, settings.fingerprint, settings.ca_file, settings.reach)
    connection = HttpsConnection(
        settings.host, settings.port, reach=settings.reach, timeout=REQUEST_TIMEOUT, context=context
    )
    rest = _Rest(session, connection)
    there = False
    try:
        with reaching(settings.host, settings.port):
            there = rest.log_in(settings.username, session.password)
            yield rest if there else None
            if there:
                there = False
                rest.log_out()
    except http.client.HTTPException as error:
        raise Unreachable(f"{session.label} broke off or answered with HTTP {error}.") from error
    finally:
        connection.close()
        if there:  # vCenter has room for some hundred sessions of one user; what went wrong is what has to be told
            with suppress(LongshoreError, OSError, http.client.HTTPException):
                rest.log_out()
            connection.close()


@contextmanager
def _rest_with_tags(session: VsphereSession) -> Iterator[_Rest]:
    """Open the REST API. Raises InvalidInput where the server knows no tags."""
    with _rest(session) as rest:
        if rest is None:
            raise InvalidInput(
                f"{session.label} can't be asked for tags.",
                advice="Tags need a vCenter of version 7.0 Update 2 or newer.",
            )
        yield rest


def _names(rest: _Rest, ids: Iterable[str]) -> dict[str, str]:
    """Return CATEGORY/NAME of each tag by its id. Those that somebody has deleted meanwhile are left out."""
    categories: dict[str, str] = {}
    names = {}
    for tag in sorted(ids):
        with suppress(NotFound):
            told = rest.ask("GET", f"{_TAGS}/{quote(tag, safe='')}")
            category = told["category_id"]
            if category not in categories:
                categories[category] = rest.ask("GET", f"{_CATEGORIES}/{quote(category, safe='')}")["name"]
            names[tag] = f"{categories[category]}/{told['name']}"
    return names
