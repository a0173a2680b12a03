"""The login to a cloud, and what has been made since: what the operations of all kinds share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any

from longshore.errors import AccessDenied
from longshore.providers.openstack.faults import explained
from longshore.tenancy.blobs import BLOBS
from longshore.tenancy.kind import AUTH, ResourceKind
from longshore.tenancy.kinds import BY_NAME
from longshore.tenancy.passwords import Passwords


class CloudLogin(ABC):
    """A connection to one cloud, as one user in one project."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        with explained("log in"):
            access = connection.session.auth.get_access(connection.session)
        if not access.project_id:
            raise AccessDenied(
                f"User {access.username} logged in, but to no project.", advice="Name the project (project_name)."
            )
        self.project_id: str = access.project_id
        self.project_name: str = access.project_name
        self.project_domain: tuple[str, str] = (access.project_domain_id, access.project_domain_name)
        self.user_id: str = access.user_id
        self.user_name: str = access.username
        self.user_domain: str = access.user_domain_name
        self.is_admin = "admin" in access.role_names
        self.passwords: Passwords | None = None  # where those of new users go
        self.blobs = Path(BLOBS)  # where the bytes of images are
        self.moved: Callable[[int], None] = lambda count: None  # told of bytes of images as they go
        self.new_subnets: dict[str, Any] = {}  # made just now, by id
        self.rules_to_come: dict[str, list[dict[str, Any]]] = {}  # by the name of the new security group that has them
        self.given_rules: dict[str, list[dict[str, Any]]] = {}  # by security group: made by the API itself, and wanted
        self.balancers: dict[str, str] = {}  # the load balancer of what was made just now for one, by their ids
        self.zones: list[tuple[str, str]] | None = None  # the network service's: of what, and their names
        self.remarks: list[str] = []  # what an import found out only when it made things, each a sentence
        self._busy: dict[str, Lock] = defaultdict(Lock)
        self._busy_lock = Lock()

    @abstractmethod
    def operations(self, kind: ResourceKind) -> object:
        """Return the operations of another kind."""

    @abstractmethod
    def all(self, kind: ResourceKind) -> list[Any]:
        """Return all of a kind that one may see."""

    @abstractmethod
    def own(self, kind: ResourceKind) -> list[Any]:
        """Return those of them that one exports and may change."""

    @property
    @abstractmethod
    def extensions(self) -> frozenset[str]:
        """Return the aliases of the network API's extensions."""

    @abstractmethod
    def find(self, kinds: str, reference: Mapping[str, Any]) -> list[Any]:
        """Return what a reference may mean."""

    @abstractmethod
    def called(self, kind: ResourceKind, raw: Any) -> str:
        """Return what files call a resource."""

    @abstractmethod
    def by_id(self, kind: ResourceKind) -> dict[str, Any]: ...

    def kind(self, name: str) -> ResourceKind:
        return BY_NAME[name]

    def subnet(self, identity: str) -> Any:
        """Return a subnet that is there, or that was made just now; None when it can't be seen."""
        return self.new_subnets.get(identity) or self.by_id(BY_NAME["subnet"]).get(identity)

    def alone(self, identity: str) -> AbstractContextManager[Any]:
        """Have one thread at a time work on what has this identity."""
        with self._busy_lock:
            return self._busy[identity]

    def is_own_user(self, reference: Mapping[str, Any]) -> bool:
        """Tell whether a reference names the user one is logged in as."""
        name, domain = reference["name"], reference.get("domain_name")
        return name == AUTH or (name == self.user_name and domain in (None, AUTH, self.user_domain))
