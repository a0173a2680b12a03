"""Alerts, sent once when something begins to be said of a replica that can't wait, and once when it ceases to be.

A webhook is of whoever protects the machine: where it leads is looked at as every address that a caller names, and the
address itself may be a secret, so it is kept encrypted and said nowhere. A command is the operator's, of the
configuration alone; it gets what is to be told as JSON, on its standard input.
"""

import http.client
import json
import logging
import os
import ssl
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit

from longshore.errors import InvalidInput, LongshoreError, ProviderError
from longshore.flows import relays
from longshore.flows.replicas.standing import conditions_of
from longshore.flows.replicas.telling import Telling
from longshore.model.reach import Reach
from longshore.providers.reaching import HttpsConnection
from longshore.store import Store
from longshore.store.protection import TELLING, Protected

_WEBHOOK, _COMMAND = "webhook", "command"
TOLD = ("rpo-breached", "suspect", "drifted", "cannot-land")
_LONGEST = 2000  # characters of an address
_PATIENCE = 10.0  # seconds for a webhook's whole answer, however steadily it trickles
_TRIES = 3
_PAUSE = 1.0  # seconds between them
_COMMAND_TAKES = 30.0  # seconds at most

_log = logging.getLogger("longshore.engine")
_TELLING = Telling()


def watch(store: Store, telling: Telling = _TELLING) -> None:
    """Look at all replicas, and have told what has changed. Of several processes that look, one has it told; what it
    hasn't told when it dies is told by another one."""
    now = datetime.now(UTC)
    command = store.state.alert_command
    for one in store.protection.all(watched=not command):
        since = dict(one.alerted)
        begun = since.pop(TELLING, None)
        if begun is not None:
            if begun["by"] == relays.holder() or relays.lives_elsewhere(store, begun["by"]):
                continue
            untold = begun["untold"]
        else:
            said = {condition.code: condition.text for condition in conditions_of(one, now) if condition.code in TOLD}
            if said.keys() == since.keys():
                continue
            messages = [_message(one, code, said.get(code), now) for code in sorted(said.keys() ^ since.keys())]
            ways = [_WEBHOOK] * (one.webhook is not None) + [_COMMAND] * bool(command)
            untold = dict.fromkeys(ways, messages)
            since = {code: since.get(code) or now.isoformat(timespec="seconds") for code in said}
        if not store.protection.alert(
            one.id, one.alerted, {**since, TELLING: {"by": relays.holder(), "untold": untold}}
        ):
            continue
        # Whoever has a webhook that is slow to listen waits for it; the operator doesn't
        for way, messages in untold.items():
            if not telling.tell(f"{way}s of {one.project_id}", partial(_tell, store, one, way, messages)):
                if way == _WEBHOOK:
                    _missed(store, one, messages, "too many others are being told already.")
                store.protection.told(one.id, way)


def _tell(store: Store, one: Protected, way: str, messages: list[dict[str, Any]]) -> None:
    try:
        for message in messages:
            if way == _COMMAND:
                _run(store.state.alert_command, json.dumps(message).encode())
            elif one.webhook is not None:
                _tell_webhook(store, one, one.webhook, message)
    finally:
        store.protection.told(one.id, way)


def check_webhook(url: str) -> str:
    """Return the address if it can be a webhook's. Raise InvalidInput, without the address, if it can't."""
    _parts(url)
    return url


def _message(one: Protected, code: str, text: str | None, now: datetime) -> dict[str, Any]:
    return {
        "replica": one.id,
        "machine": one.machine_name,
        "project": one.project_id,
        "condition": code,
        "state": "begins" if text else "ends",
        "text": text or f"{code} is over.",
        "at": now.isoformat(timespec="seconds"),
    }


def _tell_webhook(store: Store, one: Protected, webhook: str, message: dict[str, Any]) -> None:
    try:
        url = store.migrations.text(one.id, webhook)
        _post(url, json.dumps(message).encode(), store.state.reach.for_servers_of(one.project_id))
    except (LongshoreError, OSError, http.client.HTTPException) as error:
        # Never the address
        _missed(store, one, [message], str(error) if isinstance(error, LongshoreError) else type(error).__name__)


def _missed(store: Store, one: Protected, messages: list[dict[str, Any]], why: str) -> None:
    of = ", ".join(message["condition"] for message in messages)
    store.events.say(one.id, None, f"The webhook couldn't be told of {of}: {why}", "warning")


def _post(url: str, body: bytes, reach: Reach | None) -> None:
    """Post the message, with a few tries. Raise LongshoreError, OSError or HTTPException when nobody has taken it."""
    parts = _parts(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    until = time.monotonic() + _TRIES * _PATIENCE
    for left in reversed(range(_TRIES)):
        try:
            status = _ask(parts, target, body, reach)
        except (OSError, http.client.HTTPException, ProviderError):
            if not left or time.monotonic() > until:
                raise
        else:
            if 200 <= status < 300:
                return
            if status < 500 or not left:
                raise InvalidInput(f"It answered with status {status}.")
        time.sleep(_PAUSE)


def _ask(parts: SplitResult, target: str, body: bytes, reach: Reach | None) -> int:
    assert parts.hostname is not None
    context = ssl.create_default_context()
    connection = HttpsConnection(
        parts.hostname,
        parts.port or 443,
        reach=reach,
        timeout=_PATIENCE,
        context=context,
        answered_within=_PATIENCE,
    )
    try:
        headers = {"Content-Type": "application/json", "User-Agent": "longshore"}
        connection.request("POST", target, body, headers)
        return connection.getresponse().status  # a redirect isn't followed, and what it says isn't read
    finally:
        connection.close()


def _parts(url: str) -> SplitResult:
    """Return the parts of a webhook's address. Raise InvalidInput, without the address: it may be a secret."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        good = False
    if not good or len(url) > _LONGEST or parts.username is not None or not (url.isascii() and url.isprintable()):
        raise InvalidInput("That is no address of a webhook.", advice="It begins with https:// and a host's name.")
    if " " in url:
        raise InvalidInput("That is no address of a webhook.", advice="It has no spaces.")
    return parts


def _run(command: Sequence[str], body: bytes) -> None:
    """Run the operator's command. Its output isn't kept, and of this process's environment it gets only where programs
    are."""
    try:
        ended = subprocess.run(
            list(command),
            input=body,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            cwd="/",
            timeout=_COMMAND_TAKES,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("the command for alerts failed: %s", type(error).__name__)
    else:
        if ended.returncode:
            _log.warning("the command for alerts ended with status %d", ended.returncode)
