"""Things that pages are about: how pages and the API address one of each kind, and how people call it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse

from longshore.api.backup_policies import BackupPolicyDetails
from longshore.api.backups import Vault, VaultPointDetails
from longshore.api.groups import Group
from longshore.api.replicas import Point, Replica
from longshore.api.schemas import Migration, PlanView, Provider
from longshore.client.calls import part
from longshore.errors import NotFound

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Thing(Generic[T]):
    """A kind of thing. Addresses have places for the parts that the page's own address names."""

    kind: type[T]  # its shape in the API
    called: Callable[[T], str]
    page: str  # of one, below /ui
    api: str = ""  # below /v1; empty: as its page
    verbs: str = ""  # where its page is told to do something; empty: behind its page, as /VERB
    whole: Callable[[T], Mapping[str, str]] = lambda _: {}  # parts of addresses that may be shortened, in full

    def at(self, **named: str) -> str:
        """Return the address of the page of one."""
        return _filled(f"/ui{self.page}", named)

    def page_of(self, request: Request) -> str:
        return self.at(**request.path_params)

    def path_of(self, request: Request) -> str:
        """Return the API's address of the one that a request is about."""
        return _filled(f"/v1{self.api or self.page}", request.path_params)

    def route_of(self, verb: str) -> str:
        return (self.verbs or f"{self.page}/{{verb}}").replace("{verb}", verb)

    def address_of(self, verb: str, request: Request, found: T | None = None) -> str:
        """Return where one is told to do something. `found`: that very one, whatever its page's address may mean
        later."""
        whole = self.whole(found) if found is not None else {}
        return _filled(f"/ui{self.route_of(verb)}", {**request.path_params, **whole})

    async def read(self, request: Request) -> T:
        """Return the one that a request is about. Raises LongshoreError."""
        found: T = await request.state.asking.get(self.kind, self.path_of(request))
        return found

    def back(self, request: Request) -> RedirectResponse:
        return RedirectResponse(self.page_of(request), 303)


def _filled(address: str, named: Mapping[str, str]) -> str:
    return address.replace(":path", "").format(**{name: part(word) for name, word in named.items()})


class _Known(Protocol):
    @property
    def id(self) -> str: ...


K = TypeVar("K", bound=_Known)


def one_of(found: Iterable[K], id_: str, otherwise: str) -> K:
    """Return the one of this id. Raises NotFound, which says `otherwise`."""
    for one in found:
        if one.id == id_:
            return one
    raise NotFound(otherwise)


PROVIDER = Thing(Provider, lambda one: one.name, "/providers/{provider}")
PLAN = Thing(PlanView, lambda one: str(one.plan["name"]), "/plans/{name}")
MIGRATION = Thing(Migration, lambda one: one.machine_name, "/migrations/{migration}")
REPLICA = Thing(Replica, lambda one: one.machine_name, "/replicas/{replica}")
REPLICA_POINT = Thing(Point, lambda one: str(one.number), "/replicas/{replica}/points/{number}")
GROUP = Thing(Group, lambda one: one.name, "/replicas/groups/{group}", "/replica-groups/{group}")
POLICY = Thing(BackupPolicyDetails, lambda one: one.name, "/backups/policies/{policy}", "/backup-policies/{policy}")
VAULT = Thing(Vault, lambda one: one.name, "/backups/vaults/{vault}", "/vaults/{vault}")
VAULT_POINT = Thing(
    VaultPointDetails,
    lambda one: one.machine_name,
    "/backups/vaults/{vault}/points/{point:path}",
    "/vaults/{vault}/points/{point}",
    "/backups/vaults/{vault}/{verb}/{point:path}",
    lambda one: {"point": one.name},
)
