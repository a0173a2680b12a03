"""The caller, and what the operator lets those who ask from elsewhere do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from longshore.configuration import QuotaSettings
from longshore.errors import LongshoreError
from longshore.providers.grounds import Grounds
from longshore.store import Scope, Store

OPEN = frozenset({"/", "/healthz", "/readyz", "/metrics"})  # who asks may be anybody


class Unauthenticated(LongshoreError):
    """There is no valid token."""

    code = "unauthenticated"


class Forbidden(LongshoreError):
    """The caller's roles don't allow it."""

    code = "forbidden"


class IdentityUnavailable(LongshoreError):
    """Keystone can't be asked whether a token is valid."""

    code = "identity-unavailable"


@dataclass(frozen=True, slots=True)
class Caller:
    project_id: str
    user_id: str = ""
    user_domain_id: str = ""
    project_domain_id: str = ""
    roles: tuple[str, ...] = ()
    remote: bool = True  # not the user at whose command, and on whose machine, the service runs
    token: str = field(default="", repr=False)
    restricted: bool = False  # the token is from an application credential that may make no other

    def works_here(self, store: Store) -> bool:
        """Tell whether this machine does the work, for one of its users. Else another one reads the disks."""
        return not self.remote and not store.state.shared_database

    def scope(self, *, everything: bool = False, quotas: QuotaSettings | None = None) -> Scope:
        return Scope(self.project_id, everything, quotas)


EMBEDDED = Caller("", remote=False)


class Tokens(Protocol):
    def caller(self, method: str, path: str, headers: Mapping[str, str]) -> Caller:
        """Return who sent these headers (names in lower case).

        Raises Unauthenticated, Forbidden for a token of no project, IdentityUnavailable.
        """

    def caller_now(self, method: str, path: str, headers: Mapping[str, str]) -> Caller:
        """Return the caller as `caller` does, with hardly anything remembered.

        It is for answers that go on for long after their caller was let in.
        """


class Policy(Protocol):
    def allows(self, rule: str, caller: Caller) -> bool: ...


@dataclass(frozen=True, slots=True)
class Access:
    """The means by which a server on the network tells callers apart. Without them a service is somebody's own."""

    tokens: Tokens
    policy: Policy
    grounds: Grounds = field(default_factory=Grounds)
    quotas: QuotaSettings = field(default_factory=QuotaSettings)
