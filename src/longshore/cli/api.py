"""longshore api: the REST API by lines of JSON, for programs."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from longshore.cli.command import Command
from longshore.cli.given_files import standard_input
from longshore.errors import InvalidInput
from longshore.model.strict_reading import read_json

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WORDS = {"method", "path", "body", "if_match"}


class AskApi(Command):
    """Ask the REST API by lines of JSON, and answer each by a line, for programs where no server runs.

    A line asks {"method": "GET", "path": "/v1/plans"}, with "body" and "if_match" where there is something to say. Its
    answer is {"status": 200, "body": …}: what a server would answer, text where that isn't JSON. A line that can't be
    read is answered with status 400; the end of the input ends it.
    """

    examples = ("longshore api",)

    def take_action(self, _args: Namespace) -> None:
        client = self.client  # which is refused before anything is read, where there is neither a server nor an engine
        for line in standard_input():
            try:
                asked = _read(line)
            except InvalidInput as fault:
                _answer(400, {"code": fault.code, "message": str(fault), "advice": fault.advice})
                continue
            status, body = client.asked(
                asked["method"], asked["path"], asked.get("body"), if_match=asked.get("if_match")
            )
            _answer(status, _said(body))


def _read(line: bytes) -> dict[str, Any]:
    """Return what a line asks. Raises InvalidInput."""
    asked = read_json(line)
    if not isinstance(asked, dict) or asked.keys() - _WORDS or asked.get("method") not in _METHODS:
        raise InvalidInput(
            "A line asks by method and path, with body and if_match where there is something to say.",
            advice=f"Methods are {', '.join(_METHODS)}.",
        )
    path, if_match = asked.get("path"), asked.get("if_match")
    if not (isinstance(path, str) and path.startswith("/") and path.isascii() and path.isprintable()):
        raise InvalidInput("A path begins with /, and is quoted as in an address.")
    if not (if_match is None or (isinstance(if_match, str) and if_match.isascii() and if_match.isprintable())):
        raise InvalidInput("What if_match says is the ETag of an answer.")
    return asked


def _said(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None  # noqa: TID251 it is what the service has written
    except ValueError:
        return body.decode(errors="replace")


def _answer(status: int, body: Any) -> None:
    print(json.dumps({"status": status, "body": body}), flush=True)
