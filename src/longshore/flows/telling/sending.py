"""The ways by which a notice is told: a POST, a mail, the operator's command. Each comes to an end in a bounded time.

Where a channel leads is looked at as every address that a caller names, and may be a secret: no error says it.
"""

import hashlib
import hmac
import http.client
import json
import os
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from typing import Any
from urllib.parse import SplitResult, urlsplit

from longshore.border.texts import shortened
from longshore.errors import InvalidInput, LongshoreError, ProviderError
from longshore.model.channel import ChannelKind, MailServer, Notice, Tls
from longshore.model.reach import Reach
from longshore.providers.reaching import HttpsConnection, open_socket
from longshore.store import Store
from longshore.store.channels import ChannelRecord

_LONGEST = 2000  # characters of an address
PATIENCE = 10.0  # seconds of silence, and for a receiver's whole answer to a POST
MAIL_TAKES = 60.0  # seconds for a whole mail, however steadily its server trickles
_COMMAND_TAKES = 30.0  # seconds at most
_MOST_SAID = 20  # messages that a chat or a mail spells out; a webhook gets all
_LARGEST_SAID = 500  # characters of one of them
# What may go wrong with whoever is told, and isn't ours
TROUBLES = (LongshoreError, OSError, http.client.HTTPException, smtplib.SMTPException)


def send(store: Store, channel: ChannelRecord, notice: Notice) -> None:
    """Tell a notice by a channel, once. Raises one of TROUBLES when its receiver hasn't taken it."""
    reach = None if channel.of_all else store.state.reach.for_servers_of(channel.project_id)
    if channel.kind is ChannelKind.COMMAND:
        _run(store.state.alert_command, _as_json(notice, channel))
        return
    secrets = store.channels.secrets(channel.id)
    if channel.kind is ChannelKind.MAIL:
        if channel.mail is None:
            raise InvalidInput("It has no mail server.")
        _mail(channel.mail, secrets.get("password"), notice, reach)
        return
    if channel.kind is ChannelKind.WEBHOOK:
        body = _as_json(notice, channel)
    else:
        chat = _as_slack(notice) if channel.kind is ChannelKind.SLACK else _as_teams(notice)
        body = json.dumps(chat).encode()
    _post(secrets["address"], body, _headers(notice, body, secrets.get("key")), reach)


def why(error: Exception) -> str:
    """Return what went wrong, without an address or what the receiver has said, which may hold anything."""
    if isinstance(error, LongshoreError):
        return error.message
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "The mail server doesn't take the user and password."
    if isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPSenderRefused):
        return "The mail server refuses the sender or the recipient."
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server answered with status {error.smtp_code}."
    if isinstance(error, ssl.SSLCertVerificationError):
        return "Its certificate isn't one to be trusted."
    if isinstance(error, socket.gaierror):
        return "Nobody knows a host of that name."
    if isinstance(error, ConnectionRefusedError):
        return "Nobody takes connections there."
    if isinstance(error, TimeoutError):
        return "It didn't answer in time."
    return f"It couldn't be told ({type(error).__name__})."


def check_address(url: str) -> str:
    """Return the address if it can be one that is told. Raise InvalidInput, without the address, if it can't."""
    _parts(url)
    return url


def _as_json(notice: Notice, channel: ChannelRecord) -> bytes:
    said = {"id": notice.id, "channel": notice.channel, "project": channel.project_id}
    return json.dumps({**said, "messages": list(notice.messages)}).encode()


def _headers(notice: Notice, body: bytes, key: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "longshore", "Longshore-Delivery": notice.id}
    if key:
        at = str(int(time.time()))
        signature = hmac.new(key.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers |= {"Longshore-Timestamp": at, "Longshore-Signature": f"sha256={signature}"}
    return headers


def lines_of(notice: Notice) -> list[str]:
    """Return the messages in plain text, the first ones of many, with how many more there are."""
    said = [shortened(message["text"], _LARGEST_SAID) for message in notice.messages[:_MOST_SAID]]
    more = len(notice.messages) - len(said)
    return [*said, f"… and {more} more: longshore job list."] if more > 0 else said


def _as_slack(notice: Notice) -> dict[str, Any]:
    escaped = (line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in lines_of(notice))
    return {"text": "\n".join(escaped), "mrkdwn": False, "unfurl_links": False}


def _as_teams(notice: Notice) -> dict[str, Any]:
    # RichTextBlock: what TextBlock shows is taken for Markdown
    blocks = [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line}]} for line in lines_of(notice)]
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": {**card, "body": blocks}}]}


def _post(url: str, body: bytes, headers: dict[str, str], reach: Reach | None) -> None:
    """Post it. Raise LongshoreError, OSError or HTTPException when nobody has taken it."""
    parts = _parts(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    assert parts.hostname is not None
    connection = HttpsConnection(
        parts.hostname,
        parts.port or 443,
        reach=reach,
        timeout=PATIENCE,
        context=ssl.create_default_context(),
        answered_within=PATIENCE,
    )
    try:
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status  # a redirect isn't followed, and what it says isn't read
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise ProviderError(f"It answered with status {status}.")


def _parts(url: str) -> SplitResult:
    """Return the parts of an address that is told. Raise InvalidInput, without the address: it may be a secret."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        good = False
    plain = url.isascii() and url.isprintable() and " " not in url
    if not good or not plain or len(url) > _LONGEST or parts.username is not None:
        advice = "It begins with https:// and a host's name, and has no spaces."
        raise InvalidInput("That is no address of a webhook.", advice=advice, field="address")
    return parts


class _Smtp(smtplib.SMTP):
    """The standard library's, within `reach`, and over after MAIL_TAKES seconds."""

    def __init__(self, server: MailServer, reach: Reach | None) -> None:
        super().__init__(timeout=PATIENCE, local_hostname=socket.gethostname())
        self._server = server
        self._reach = reach
        self._double: socket.socket | None = None
        self._timer = threading.Timer(MAIL_TAKES, self._break_off)
        self._timer.daemon = True
        self._timer.start()
        try:
            self._host = server.host  # whose certificate it shows
            self.connect(server.host, server.port)
        except BaseException:
            self.end()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened = open_socket(host, port, timeout, self._reach)
        opened.settimeout(timeout)
        self._double = opened.dup()  # TLS takes the other one over
        if self._server.tls is Tls.IMPLICIT:
            return ssl.create_default_context().wrap_socket(opened, server_hostname=host)
        return opened

    def end(self) -> None:
        self._timer.cancel()
        self.close()
        if self._double is not None:
            self._double.close()

    def _break_off(self) -> None:
        if self._double is not None:
            with suppress(OSError):
                self._double.shutdown(socket.SHUT_RDWR)


def _mail(server: MailServer, password: str | None, notice: Notice, reach: Reach | None) -> None:
    """Hand a mail to its server. Raise LongshoreError, OSError or SMTPException when that hasn't taken it."""
    smtp = _Smtp(server, reach)
    try:
        if server.tls is Tls.STARTTLS:
            smtp.starttls(context=ssl.create_default_context())
        if server.user and password and server.tls is not Tls.NONE:
            smtp.login(server.user, password)
        smtp.send_message(mail_of(server, notice), server.sender, [server.to])
        # It is taken: whether the server says good-bye is nothing to us
    finally:
        smtp.end()


def mail_of(server: MailServer, notice: Notice) -> EmailMessage:
    """Return a notice as a mail: the first messages of many, and the same id at each try."""
    mail = EmailMessage()
    lines = lines_of(notice)
    count = len(notice.messages)
    mail["Subject"] = f"[longshore] {shortened(lines[0], 120)}" if count == 1 else f"[longshore] {count} messages"
    mail["From"], mail["To"] = server.sender, server.to
    mail["Message-ID"] = f"<{notice.id}@longshore.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(lines) + f"\n\n-- \nChannel {notice.channel} of Longshore\n")
    return mail


def _run(command: Sequence[str], body: bytes) -> None:
    """Run the operator's command. Its output isn't kept, and of this process's environment it gets only where programs
    are. Raise ProviderError when it hasn't taken it."""
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
    except subprocess.TimeoutExpired:
        raise ProviderError(f"The command took more than {_COMMAND_TAKES:.0f} s.") from None
    except OSError as error:
        raise ProviderError(f"The command couldn't be run ({type(error).__name__}).") from None
    if ended.returncode:
        raise ProviderError(f"The command ended with status {ended.returncode}.")
