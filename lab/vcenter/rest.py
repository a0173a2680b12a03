"""The part of the REST API that SOAP has nothing for: tags. Its sessions are its own, apart from those of SOAP."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .context import Context
from .hardware import identity
from .virtual_machine import VirtualMachine

MOST_OBJECTS = 2000
"""As a real vCenter: a longer list of objects is refused."""

_sessions: set[str] = set()


class _Refused(Exception):
    def __init__(self, status: int, kind: str) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind


def answer(context: Context, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Status and JSON text of one call."""
    address = urlsplit(target)
    path = [unquote(part) for part in address.path.strip("/").split("/")]
    action = parse_qs(address.query).get("action", [""])[0]
    given = {name.lower(): value for name, value in headers.items()}
    try:
        if path == ["api", "session"] and method == "POST":
            return 201, json.dumps(_log_in(context, given.get("authorization", "")))
        token = given.get("vmware-api-session-id", "")
        if token not in _sessions:
            raise _Refused(401, "UNAUTHENTICATED")
        if path == ["api", "session"] and method == "DELETE":
            _sessions.discard(token)
            return 204, ""
        return 200, json.dumps(_Tags(context).ask(method, path, action, json.loads(body or b"null")))
    except _Refused as refusal:
        return refusal.status, json.dumps({"error_type": refusal.kind, "messages": []})


def _log_in(context: Context, authorization: str) -> str:
    settings = context.settings
    right = b"Basic " + base64.b64encode(f"{settings.user}:{settings.password}".encode())
    if not hmac.compare_digest(authorization.encode(), right):
        raise _Refused(401, "UNAUTHENTICATED")
    token = secrets.token_hex(16)
    _sessions.add(token)
    return token


class _Tags:
    """Tags and categories as the machines' specifications have them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._attached = {machine.moid: machine.spec.tags for machine in context.of_type(VirtualMachine)}
        known = {tag for tags in self._attached.values() for tag in tags}
        self._tags = {_tag_id(tag): tag for tag in known}
        self._categories = {_category_id(name): name for name in {tag.partition("/")[0] for tag in known}}

    def ask(self, method: str, path: list[str], action: str, body: Any) -> Any:
        match method, path[3:], action:
            case "GET", ["tag"], "":
                return sorted(self._tags)
            case "GET", ["tag", tag], "" if tag in self._tags:
                category, _, name = self._tags[tag].partition("/")
                return {
                    "id": tag,
                    "name": name,
                    "category_id": _category_id(category),
                    "description": "",
                    "used_by": [],
                }
            case "GET", ["category", category], "" if category in self._categories:
                return {"id": category, "name": self._categories[category], "cardinality": "MULTIPLE"}
            case "POST", ["tag-association"], "list-attached-tags-on-objects":
                return self._on_objects(body["object_ids"])
            case "POST", ["tag-association"], "list-attached-objects-on-tags":
                return [self._with_tag(tag) for tag in body["tag_ids"]]
            case "POST", ["tag-association", tag], "attach" | "detach" if tag in self._tags:
                return self._attach(self._tags[tag], body["object_id"]["id"], on=action == "attach")
        raise _Refused(404, "NOT_FOUND")

    def _attach(self, tag: str, moid: str, *, on: bool) -> None:
        machine = self._context.objects.get(moid)
        if not isinstance(machine, VirtualMachine):
            raise _Refused(404, "NOT_FOUND")
        others = tuple(other for other in machine.spec.tags if other != tag)
        machine.spec = replace(machine.spec, tags=(*others, tag) if on else others)

    def _on_objects(self, objects: list[dict[str, str]]) -> list[dict[str, Any]]:
        if len(objects) > MOST_OBJECTS:
            raise _Refused(400, "INVALID_ARGUMENT")
        return [
            {"object_id": one, "tag_ids": [_tag_id(tag) for tag in self._attached.get(one["id"], ())]}
            for one in objects
        ]

    def _with_tag(self, tag: str) -> dict[str, Any]:
        if tag not in self._tags:
            raise _Refused(404, "NOT_FOUND")
        having = [moid for moid, tags in self._attached.items() if self._tags[tag] in tags]
        return {"tag_id": tag, "object_ids": [{"id": moid, "type": "VirtualMachine"} for moid in having]}


def _tag_id(tag: str) -> str:
    return f"urn:vmomi:InventoryServiceTag:{identity('tag', tag)}:GLOBAL"


def _category_id(name: str) -> str:
    return f"urn:vmomi:InventoryServiceCategory:{identity('category', name)}:GLOBAL"
