"""Operations of load balancers: while the service works on one, nothing of it can be changed."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openstack import exceptions as sdk
from openstack import resource
from openstack.load_balancer.v2.listener import Listener

from longshore.errors import AccessDenied, NotFound, ProviderError
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.waiting import wait_for
from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.operations import Operations, asked_of_each

READY_TIMEOUT = 1800.0  # seconds: a load balancer may be a server that has to boot first
_BUSY_PAUSE = 1.0  # seconds between tries while somebody else has it changed


class _Octavia(Operations):
    def knock(self) -> None:
        """Ask for one load balancer, for all of its kinds: whoever may list these may use the service."""
        next(iter(self.proxy.load_balancers(limit=1)), None)


class _Balancing(_Octavia, ABC):
    """A load balancer and everything of it: changed one after the other, each when the last change is done."""

    def listing(self) -> Iterable[Any]:
        found: Iterable[Any] = getattr(self.proxy, self.plural)(project_id=self.cloud.project_id)
        return found

    @property
    def plural(self) -> str:
        """Return openstacksdk's word for several."""
        return self.kind.plural.removeprefix("load_balancer_")

    @property
    def single(self) -> str:
        return self.kind.name.removeprefix("load balancer ").replace(" ", "_")

    @abstractmethod
    def balancer_of(self, values: Any) -> str:
        """Return the id of the load balancer that something with these values belongs to."""

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        balancer = self.balancer_of(values)
        with self.cloud.alone(balancer):
            raw = self._when_free(balancer, lambda: self._create(values))
            self.cloud.balancers[raw.id] = balancer
            self._until_ready(balancer)
        return self.identity(raw)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        balancer = self._of_raw(raw)
        with self.cloud.alone(balancer):
            self._when_free(balancer, lambda: self._update(raw, values))
            self._until_ready(balancer)

    def _create(self, values: Mapping[str, Any]) -> Any:
        return getattr(self.proxy, f"create_{self.single}")(**values)

    def _update(self, raw: Any, values: Mapping[str, Any]) -> None:
        getattr(self.proxy, f"update_{self.single}")(raw.id, **values)

    def _of_raw(self, raw: Any) -> str:
        return self.balancer_of({f.attribute: self.value(raw, f) for f in self.kind.fields})

    def _parents(self, name: str, identity: str) -> str:
        """Return the load balancer of what this belongs to, made just now or there before."""
        made = self.cloud.balancers.get(identity)
        if made is not None:
            return made
        kind = self.cloud.kind(name)
        operations = self.cloud.operations(kind)
        assert isinstance(operations, _Balancing)
        return operations._of_raw(self.cloud.by_id(kind)[identity])

    def _when_free(self, balancer: str, change: Callable[[], Any]) -> Any:
        """Do it when the load balancer is free. Others than us may be changing it: the service refuses then, and is
        asked again."""
        self._until_ready(balancer)
        end = time.monotonic() + READY_TIMEOUT
        while True:
            try:
                return change()
            except sdk.ConflictException as busy:
                if "immutable" not in str(busy) or time.monotonic() > end:
                    raise
                time.sleep(_BUSY_PAUSE)

    def _until_ready(self, balancer: str) -> None:
        def ready() -> bool | None:
            found = self.proxy.get_load_balancer(balancer)
            if found.provisioning_status == "ERROR":
                raise ProviderError(
                    f"The load-balancer service couldn't set up {found.name or balancer}: it is in state ERROR.",
                    advice="Ask the cloud's operator why; remove it, or have it failed over, before you try again.",
                )
            return True if found.provisioning_status == "ACTIVE" else None

        wait_for(ready, what=f"Setting up load balancer {balancer}", timeout=READY_TIMEOUT)


class Flavors(_Octavia):
    def listing(self) -> Iterable[Any]:
        found: Iterable[Any] = self.proxy.flavors()
        return found


class LoadBalancers(_Balancing):
    @property
    def plural(self) -> str:
        return "load_balancers"

    @property
    def single(self) -> str:
        return "load_balancer"

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        made = self.proxy.create_load_balancer(**values)
        self.cloud.balancers[made.id] = made.id
        self._until_ready(made.id)
        return str(made.id)

    def choices(self, field: Field) -> frozenset[str] | None:
        listings = {"availability_zone": self.proxy.availability_zones, "provider": self.proxy.providers}
        if field.name not in listings:
            return None
        try:
            with explained("list what load balancers may be made with"):
                return frozenset(each.name for each in listings[field.name]())
        except (AccessDenied, NotFound):  # old versions have no zones
            return None

    def _of_raw(self, raw: Any) -> str:
        return str(raw.id)

    def balancer_of(self, values: Any) -> str:
        return str(values["id"])


class _Listener(Listener):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A listener with what says which clients may connect, of which openstacksdk doesn't know."""

    client_authentication = resource.Body("client_authentication")
    client_ca_tls_container_ref = resource.Body("client_ca_tls_container_ref")
    client_crl_container_ref = resource.Body("client_crl_container_ref")


class Listeners(_Balancing):
    def listing(self) -> Iterable[Any]:
        found: Iterable[Any] = _Listener.list(self.proxy, project_id=self.cloud.project_id)
        return found

    def _create(self, values: Mapping[str, Any]) -> Any:
        return _Listener.new(**values).create(self.proxy)

    def value(self, raw: Any, field: Field) -> Any:
        return _first(raw.load_balancers) if field.name == "load_balancer_ref" else super().value(raw, field)

    def balancer_of(self, values: Any) -> str:
        return str(values["load_balancer_id"])


class Pools(_Balancing):
    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "load_balancer_ref":
            return _first(raw.loadbalancers)
        value = super().value(raw, field)
        if field.name == "session_persistence" and value:
            return {name: each for name, each in value.items() if each is not None}
        return value

    def balancer_of(self, values: Any) -> str:
        return str(values["loadbalancer_id"])


class Members(_Balancing):
    def listing(self) -> Iterable[Any]:
        pools = self.cloud.own(self.cloud.kind("load balancer pool"))
        found = asked_of_each(lambda pool: self.proxy.members(pool.id), pools)
        return [member for _, members in found for member in members]

    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "network_ref":
            subnet = self.cloud.subnet(raw.subnet_id) if raw.subnet_id else None
            return subnet and subnet.network_id
        return super().value(raw, field)

    def balancer_of(self, values: Any) -> str:
        return self._parents("load balancer pool", values["pool_id"])

    def _create(self, values: Mapping[str, Any]) -> Any:
        return self.proxy.create_member(values["pool_id"], **{k: v for k, v in values.items() if k != "pool_id"})

    def _update(self, raw: Any, values: Mapping[str, Any]) -> None:
        self.proxy.update_member(raw.id, raw.pool_id, **values)


class HealthMonitors(_Balancing):
    def value(self, raw: Any, field: Field) -> Any:
        return _first(raw.pools) if field.name == "pool_ref" else super().value(raw, field)

    def balancer_of(self, values: Any) -> str:
        return self._parents("load balancer pool", values["pool_id"])


class L7Policies(_Balancing):
    def balancer_of(self, values: Any) -> str:
        return self._parents("listener", values["listener_id"])


class L7Rules(_Balancing):
    def listing(self) -> Iterable[Any]:
        policies = self.cloud.own(self.cloud.kind("l7 policy"))
        found = asked_of_each(lambda policy: self.proxy.l7_rules(policy.id), policies)
        for policy, rules in found:
            for rule in rules:
                rule.l7_policy_id = policy.id  # openstacksdk knows it by another name when it lists them
        return [rule for _, rules in found for rule in rules]

    def balancer_of(self, values: Any) -> str:
        return self._parents("l7 policy", values["l7_policy_id"])

    def _create(self, values: Mapping[str, Any]) -> Any:
        rest = {k: v for k, v in values.items() if k != "l7_policy_id"}
        return self.proxy.create_l7_rule(values["l7_policy_id"], **rest)

    def _update(self, raw: Any, values: Mapping[str, Any]) -> None:
        self.proxy.update_l7_rule(raw.id, raw.l7_policy_id, **values)


def _first(named: Iterable[Mapping[str, Any]] | None) -> str | None:
    """The service tells what something belongs to as a list of one."""
    return next((str(each["id"]) for each in named or ()), None)
