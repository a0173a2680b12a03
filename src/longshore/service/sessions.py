"""Logging in to the pages, and out of them: with Keystone's tokens, which the browser never sees.

What a page then asks of the API it asks with the token of the session's project, as any caller.
"""

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from longshore.configuration import ServiceSettings
from longshore.errors import FAULT, AccessDenied, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.model.session import PasscodeWanted, Session, SessionKind
from longshore.model.wall_link import WallLink
from longshore.providers.openstack.logins import SECOND_FACTOR, Issued, Logins, PasscodeAsked
from longshore.providers.openstack.projects import is_member
from longshore.service.failed_logins import FailedLogins
from longshore.store import Scope, Store

_LONGEST = 4096  # characters: as long as Keystone lets passwords be
_MAKERS_ASKED_EVERY = 300.0  # seconds
_UNSAID = timedelta(minutes=10)  # that a log-in which Keystone has sent waits for its user's word
_log = logging.getLogger("longshore.server")
_audit = structlog.get_logger("longshore.audit")


class ServiceSessions:
    """Every method waits for the database, and most for Keystone: call them in threads.

    Those that log in answer with a key for the browser, of a new session in the place of the one that it had. They
    raise AccessDenied (code "login-refused") with the same words whatever was wrong, TooManyFailed,
    InvalidInput, Unreachable.
    """

    def __init__(self, store: Store, settings: ServiceSettings) -> None:
        keystone = settings.keystone
        self._kept = store.web_sessions
        self._store = store
        cacert = str(keystone.cacert) if keystone.cacert else None
        self._logins = Logins(keystone.auth_url, cacert)
        self._is_member = partial(is_member, keystone.auth_url, keystone.login(), cacert)
        self._asked_of_makers: dict[str, float] = {}  # when, by wall link, on the clock that only goes forward
        self._idle = timedelta(seconds=settings.web.idle)
        self._longest = timedelta(seconds=settings.web.longest)
        self._failed = FailedLogins()
        self._lock = threading.Lock()

    def with_password(self, domain: str, user: str, password: str, *, address: str, had: str | None) -> str:
        """Log in with a password, and return the key of the session.

        Raises PasscodeWanted, too, when Keystone asks for a passcode.
        """
        _refuse_unwieldy(domain, user, password)
        try:
            issue = partial(self._logins.with_password, domain, user, password)
            return self._begin(issue, _account(domain, user), address, had)
        except PasscodeAsked as asked:
            key = secrets.token_urlsafe(32)
            self._kept.put(SessionKind.HALF, key, _who(domain, user, asked.receipt))
            raise PasscodeWanted(key) from None

    def with_passcode(self, key: str, passcode: str, *, address: str, had: str | None) -> str:
        """Finish what `with_password` has begun, and return the key of the session.

        It may be tried again until it is right.
        """
        _refuse_unwieldy(passcode)
        half = self._kept.find(SessionKind.HALF, key, _UNSAID, used=False)
        if half is None:
            raise _refused()
        domain, user = half.project_name, half.user_name
        issue = partial(self._logins.with_passcode, domain, user, half.identity, passcode)
        begun = self._begin(issue, _account(domain, user), address, had)
        self._kept.forget(SessionKind.HALF, key)
        return begun

    def with_credential(self, id_: str, secret: str, *, address: str, had: str | None) -> str:
        _refuse_unwieldy(id_, secret)
        return self._begin(lambda: self._logins.with_credential(id_, secret), id_, address, had)

    def with_token(self, token: str, *, address: str, had: str | None) -> str:
        _refuse_unwieldy(token)
        if not _is_token(token):
            raise _refused()
        return self._begin(lambda: self._logins.with_token(token), token, address, had, lent=True)

    # What Keystone has sent a browser with (WebSSO): anybody can make a browser bring a token of their own

    def receive(self, token: str, *, address: str) -> str:
        """Return a key for the browser, by which its user may `accept`. It opens nothing."""
        _refuse_unwieldy(token)
        if not _is_token(token):
            raise _refused()
        issued = self._issued(lambda: self._logins.with_token(token), token, address, "log-in-received")
        key = secrets.token_urlsafe(32)
        waiting = replace(self._unchosen(issued), ends_at=min(issued.ends_at, datetime.now(UTC) + _UNSAID))
        self._kept.put(SessionKind.WAITING, key, waiting)
        return key

    def received(self, key: str) -> str | None:
        """Return the name of the user whose token waits to be accepted; None when nothing waits."""
        waiting = self._kept.find(SessionKind.WAITING, key, _UNSAID, used=False)
        return None if waiting is None else waiting.user_name

    def accept(self, key: str, *, address: str, had: str | None) -> str:
        """Begin a session with the token that waits, as the browser's user accepts it, and return its key."""
        waiting = self._kept.find(SessionKind.WAITING, key, _UNSAID, used=False)
        if waiting is None:
            raise _refused()
        self._kept.forget(SessionKind.WAITING, key)
        token = waiting.identity
        return self._begin(lambda: self._logins.with_token(token), token, address, had)

    def decline(self, key: str) -> None:
        """Revoke the token that waits: nobody is to use it."""
        waiting = self._kept.find(SessionKind.WAITING, key, _UNSAID, used=False)
        self._kept.forget(SessionKind.WAITING, key)
        if waiting is not None:
            self._revoke(waiting.identity)

    def find(self, key: str, *, used: bool) -> Session | None:
        """Return an open session, if there is one.

        `used`: somebody does something with it, and not a page by itself.
        """
        return self._kept.find(SessionKind.OPEN, key, self._idle, used=used)

    def wall(self, key: str) -> WallLink | None:
        """Return the wall link with this key; None when it has ended or was taken back.

        It ends, too, when Keystone tells that who made it isn't in the project any more. It is asked now and then, and
        a link goes on where it doesn't answer, or doesn't tell that to the server's user.
        """
        link = self._store.wall_links.of_key(key)
        if link is None or not self._maker_has_left(link):
            return link
        self._store.scoped(Scope(link.project_id)).wall_links.remove(link.id)
        _audit.info("wall-link-ended", why="its maker has left", name=link.name, project_id=link.project_id)
        return None

    def _maker_has_left(self, link: WallLink) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._asked_of_makers.get(link.id, -math.inf) < _MAKERS_ASKED_EVERY:
                return False
            self._asked_of_makers[link.id] = now
        try:
            return not self._is_member(link.user_id, link.project_id)
        except LongshoreError as error:
            _log.warning("it isn't known whether the maker of a wall link is in its project: %s", error)
            return False

    def projects(self, session: Session) -> list[tuple[str, str]]:
        """Return the ids and names of the projects that a session can be in."""
        if session.bound and session.project_id is not None:
            return [(session.project_id, session.project_name)]
        return self._logins.projects(session.identity)

    def choose(self, key: str, session: Session, project_id: str) -> str:
        """Move a session to another project, and return its new key.

        Raises InvalidInput for one that is bound to its project, AccessDenied, Unreachable.
        """
        if session.bound:
            raise InvalidInput("You have logged in to one project, and Keystone gives no token of another for that.")
        try:
            issued = self._logins.of_project(session.identity, project_id)
        except (AccessDenied, NotFound):
            raise AccessDenied("Keystone doesn't let you into that project.") from None
        if session.token:
            self._revoke(session.token)
        return self._keep(_in_project(session, issued), instead_of=key)

    def show_everything(self, key: str, session: Session, everything: bool) -> str:
        """Have a session show things of all projects, or of its own alone, and return its new key."""
        return self._keep(replace(session, everything=everything), instead_of=key)

    def log_out(self, key: str, *, but: str = "") -> None:
        """End a session here, and its tokens at Keystone as far as that answers. `but`: a token that stays.

        So does one that somebody has brought: they may use it elsewhere.
        """
        session = self._kept.find(SessionKind.OPEN, key, self._idle, used=False)
        self._kept.forget(SessionKind.OPEN, key)
        if session is not None:
            for token in {session.token, session.identity} - {"", but, session.identity if session.lent else ""}:
                self._revoke(token)
            _audit.info("audit", action="log-out", outcome="done", user_id=session.user_id)

    def _begin(
        self, issue: Callable[[], Issued], account: str, address: str, had: str | None, *, lent: bool = False
    ) -> str:
        issued = self._issued(issue, account, address, "log-in")
        if had is not None:
            self.log_out(had, but=issued.token)
        self._kept.forget_ended(self._idle)
        return self._keep(replace(self._session(issued), lent=lent), instead_of=None)

    def _issued(self, issue: Callable[[], Issued], account: str, address: str, action: str) -> Issued:
        """Return what Keystone issues, if it isn't asked too often. The log-in is counted and audited."""
        with self._lock:
            self._failed.begin(address, account)
        outcome, user_id = "failed", None
        try:
            issued = issue()
            outcome, user_id = "done", issued.user_id
        except LongshoreError as error:
            if isinstance(error, Unreachable) or error.code == FAULT:
                raise Unreachable("Keystone doesn't answer.", advice="Try again in a moment.") from None
            outcome = "refused"
            if error.code == SECOND_FACTOR:
                raise
            raise _refused() from None
        finally:
            if outcome != "refused":
                with self._lock:
                    self._failed.succeeded(address, account)
            _audit.info("audit", action=action, outcome=outcome, user_id=user_id, address=address)
        return issued

    def _unchosen(self, issued: Issued) -> Session:
        """Return a session in the token's own project, or in none yet."""
        return Session(
            user_id=issued.user_id,
            user_name=issued.user_name,
            project_id=issued.project_id,
            project_name=issued.project_name,
            bound=issued.project_id is not None,
            everything=False,
            ends_at=min(issued.ends_at, datetime.now(UTC) + self._longest),
            form_token="",
            identity=issued.token,
            token=issued.token if issued.project_id is not None else "",
        )

    def _session(self, issued: Issued) -> Session:
        """Return a session, in the only project that there is for it, if so."""
        session = self._unchosen(issued)
        if session.bound:
            return session
        with suppress(LongshoreError):  # then it is chosen on a page, which says what is wrong
            ids = [id_ for id_, _name in self._logins.projects(issued.token)]
            if len(ids) == 1:
                return _in_project(session, self._logins.of_project(issued.token, ids[0]))
        return session

    def _keep(self, session: Session, *, instead_of: str | None) -> str:
        """Keep a session with a new key and a new mark of its forms, and return the key.

        Pages that were open before can't act on it.
        """
        key = secrets.token_urlsafe(32)
        self._kept.put(SessionKind.OPEN, key, replace(session, form_token=secrets.token_urlsafe(24)), instead_of)
        return key

    def _revoke(self, token: str) -> None:
        with suppress(LongshoreError):  # it has ended, or does so in its time
            self._logins.revoke(token)


def _in_project(session: Session, issued: Issued) -> Session:
    return replace(
        session,
        project_id=issued.project_id,
        project_name=issued.project_name,
        everything=False,
        ends_at=min(session.ends_at, issued.ends_at),
        token=issued.token,
    )


def _account(domain: str, user: str) -> str:
    return f"{domain}/{user}"


def _who(domain: str, user: str, receipt: str) -> Session:
    """Return the session of a log-in that waits for its passcode.

    It is nobody's: the domain stands in the project's place, and the receipt for a token.
    """
    ends_at = datetime.now(UTC) + _UNSAID
    return Session(
        "",
        user,
        None,
        domain,
        bound=False,
        everything=False,
        ends_at=ends_at,
        form_token="",
        identity=receipt,
        token="",
    )


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _refuse_unwieldy(*said: str) -> None:
    if not all(said):
        raise InvalidInput("Something is missing.", advice="Fill in all fields.")
    if any(len(one) > _LONGEST for one in said):
        raise InvalidInput(f"A field is too long: {_LONGEST} characters are enough.")


def _refused() -> AccessDenied:
    return AccessDenied(
        "Keystone knows no such user, credential or token, or not with this secret.",
        advice="Check what you have typed, and try again.",
        code="login-refused",
    )
