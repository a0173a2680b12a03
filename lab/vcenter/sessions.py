"""Logging in and out. A session dies of idleness, as on a real vCenter, or by a test's wish."""

from __future__ import annotations

import datetime
import hmac
import uuid
from typing import Any, ClassVar

from pyVmomi import vim

from .context import Context
from .managed import ApiFault, Call, ManagedObject, fill, now, soap_method

IDLE_LIMIT = datetime.timedelta(minutes=30)


class Sessions:
    """The sessions by cookie."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._by_cookie: dict[str, Any] = {}

    def open(self) -> tuple[str, Any]:
        cookie = str(uuid.uuid4())
        session = fill(
            vim.UserSession(
                key=str(uuid.uuid4()),
                userName="VSPHERE.LOCAL\\Administrator",
                fullName="Administrator vsphere.local",
                locale="en",
                messageLocale="en",
                loginTime=now(),
                lastActiveTime=now(),
            )
        )
        with self.context.changed:
            self._by_cookie[cookie] = session
        self.context.table.write()
        return cookie, session

    def of(self, cookie: str) -> Any | None:
        return self._by_cookie.get(cookie)

    def touch(self, cookie: str) -> bool:
        """Whether the cookie's session is alive; asking counts as activity."""
        with self.context.changed:
            session = self._by_cookie.get(cookie)
            if session is None:
                return False
            if now() - session.lastActiveTime <= IDLE_LIMIT:
                session.lastActiveTime = now()
                return True
        self.close(cookie)
        return False

    def close(self, cookie: str) -> None:
        with self.context.changed:
            self._by_cookie.pop(cookie, None)
        self.context.table.write()

    def close_key(self, key: str) -> bool:
        cookies = [c for c, s in self.items() if s.key == key]
        for cookie in cookies:
            self.close(cookie)
        return bool(cookies)

    def close_all(self) -> int:
        with self.context.changed:
            count = len(self._by_cookie)
            self._by_cookie.clear()
        self.context.table.write()
        return count

    def items(self) -> list[tuple[str, Any]]:
        with self.context.changed:
            return list(self._by_cookie.items())


class SessionManager(ManagedObject):
    vim_type = vim.SessionManager
    computed: ClassVar[dict[str, str]] = {"sessionList": "session_list"}
    volatile = True

    def session_list(self) -> list[Any]:
        return [session for _, session in self.context.sessions.items()]

    @soap_method("Login")
    def login(self, call: Call) -> Any:
        settings = self.context.settings
        right_user = (call["userName"] or "").lower() == settings.user
        right_password = hmac.compare_digest((call["password"] or "").encode(), settings.password.encode())
        if not (right_user and right_password):
            raise ApiFault(vim.fault.InvalidLogin(), "Cannot complete login due to an incorrect user name or password.")
        call.new_cookie, session = self.context.sessions.open()
        return session

    @soap_method("Logout")
    def logout(self, call: Call) -> None:
        self.context.sessions.close(call.cookie)

    @soap_method("SessionIsActive")
    def session_is_active(self, call: Call) -> bool:
        return any(s.key == call["sessionID"] and s.userName == call["userName"] for s in self.session_list())

    @soap_method("TerminateSession")
    def terminate_session(self, call: Call) -> None:
        for key in call["sessionId"] or []:
            if not self.context.sessions.close_key(key):
                raise ApiFault(vim.fault.NotFound(), "The object or item referred to could not be found.")
