"""Operations of load balancers: while the service works on one, nothing of it can be changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openstack import exceptions as sdk
from openstack import resource
from openstack.load_balancer.v2.health_monitor import HealthMonitor
from openstack.load_balancer.v2.l7_policy import L7Policy
from openstack.load_balancer.v2.listener import Listener
from openstack.load_balancer.v2.load_balancer import LoadBalancer

from longshore.errors import AccessDenied, NotFound, ProviderError
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.waiting import wait_for
from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.operations import Operations, asked_of_each

READY_TIMEOUT = 1800.0  # seconds: a load balancer may be a server that has to boot first
_BUSY_PAUSE = 1.0  # seconds between tries while somebody else has it changed


class OctaviaOperations(Operations):
    """Operations of flavors, as the API has them."""

    @property
    def plural(self) -> str:
        return self.kind.plural.removeprefix("load_balancer_")

    @property
    def single(self) -> str:
        return self.kind.name.removeprefix("load balancer ").replace(" ", "_")

    def knock(self) -> None:
        """Ask for one load balancer, for all of its kinds: whoever may list these may use the service."""
        next(iter(self.proxy.load_balancers(limit=1)), None)


class Balancing(OctaviaOperations):
    """A load balancer and everything of it: changed one after the other, each when the last change is done."""

    def asked_for(self) -> dict[str, Any]:
        return {"project_id": self.cloud.project_id}

    @property
    def parent(self) -> Field:
        """Return the field that names what it belongs to. A load balancer itself has none, and isn't asked for it."""
        return self.kind.by_name[str(self.kind.parent)]

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        balancer = self._balancer_of(values[self.parent.attribute])
        off = {f.attribute: False for f in self.kind.fields if f.whole and wanted.params.get(f.name) is not None}
        with self.cloud.alone(balancer):
            raw = self._when_free(balancer, lambda: self._create({**values, **off}))
            self.cloud.balancers[raw.id] = balancer
            self._until_ready(balancer)
        return self.identity(raw)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        balancer = self._of_raw(raw)
        with self.cloud.alone(balancer):
            self._when_free(balancer, lambda: self._update(raw, values))
            self._until_ready(balancer)

    def finish(self, identity: str, values: Mapping[str, Any]) -> None:
        made = self.cloud.balancers.get(identity)
        balancer = made or self._of_raw(self.cloud.by_id(self.kind)[identity])
        with self.cloud.alone(balancer):
            self._when_free(balancer, lambda: getattr(self.proxy, f"update_{self.single}")(identity, **values))
            self._until_ready(balancer)

    def _create(self, values: Mapping[str, Any]) -> Any:
        if self.wider:
            return self.wider.new(**values).create(self.proxy)
        return getattr(self.proxy, f"create_{self.single}")(**values)

    def _update(self, raw: Any, values: Mapping[str, Any]) -> None:
        # As what was listed: by its id alone it would be the SDK's own
        getattr(self.proxy, f"update_{self.single}")(raw if self.wider else raw.id, **values)

    def _of_raw(self, raw: Any) -> str:
        return self._balancer_of(self.value(raw, self.parent))

    def _balancer_of(self, identity: str) -> str:
        """Return the load balancer of what this belongs to, made just now or there before."""
        made = self.cloud.balancers.get(identity)
        if made is not None:
            return made
        kind = self.cloud.kind(str(self.parent.refs[self.parent.name]))
        operations = self.cloud.operations(kind)
        assert isinstance(operations, Balancing)
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


class _LoadBalancer(LoadBalancer):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A load balancer with the security groups of its address, of which older versions of openstacksdk don't know."""

    vip_sg_ids = resource.Body("vip_sg_ids", type=list)


class LoadBalancers(Balancing):
    wider = _LoadBalancer

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        made = self._create(values)
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


class _Listener(Listener):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A listener with what says which clients may connect, of which openstacksdk doesn't know."""

    client_authentication = resource.Body("client_authentication")
    client_ca_tls_container_ref = resource.Body("client_ca_tls_container_ref")
    client_crl_container_ref = resource.Body("client_crl_container_ref")


class Listeners(Balancing):
    wider = _Listener

    def value(self, raw: Any, field: Field) -> Any:
        return _first(raw.load_balancers) if field.name == "load_balancer_ref" else super().value(raw, field)


class Pools(Balancing):
    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "load_balancer_ref":
            return _first(raw.loadbalancers)
        value = super().value(raw, field)
        if field.name == "session_persistence" and value:
            return {name: each for name, each in value.items() if each is not None}
        return value


class Nested(Balancing):
    """Operations of parts that openstacksdk asks for, and lists, by what they belong to."""

    def listing(self) -> Iterable[Any]:
        parents = self.cloud.own(self.cloud.kind(str(self.parent.refs[self.parent.name])))
        found = asked_of_each(lambda parent: getattr(self.proxy, self.plural)(parent.id), parents)
        for parent, children in found:
            for child in children:
                setattr(child, self.parent.attribute, parent.id)  # openstacksdk knows some by another name
        return [child for _, children in found for child in children]

    def _create(self, values: Mapping[str, Any]) -> Any:
        rest = {name: value for name, value in values.items() if name != self.parent.attribute}
        return getattr(self.proxy, f"create_{self.single}")(values[self.parent.attribute], **rest)

    def _update(self, raw: Any, values: Mapping[str, Any]) -> None:
        getattr(self.proxy, f"update_{self.single}")(raw.id, getattr(raw, self.parent.attribute), **values)


class Members(Nested):
    def value(self, raw: Any, field: Field) -> Any:
        if field.name == "network_ref":
            subnet = self.cloud.subnet(raw.subnet_id) if raw.subnet_id else None
            return subnet and subnet.network_id
        return super().value(raw, field)


class _HealthMonitor(HealthMonitor):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A health monitor with what it says to members, of which openstacksdk doesn't know."""

    domain_name = resource.Body("domain_name")
    http_version = resource.Body("http_version", type=float)


class HealthMonitors(Balancing):
    wider = _HealthMonitor

    def value(self, raw: Any, field: Field) -> Any:
        return _first(raw.pools) if field.name == "pool_ref" else super().value(raw, field)


class _L7Policy(L7Policy):  # type: ignore[misc]  # openstacksdk isn't typed here
    """A policy with the kind of redirection that it answers, of which openstacksdk doesn't know."""

    redirect_http_code = resource.Body("redirect_http_code", type=int)


class L7Policies(Balancing):
    wider = _L7Policy


def _first(named: Iterable[Mapping[str, Any]] | None) -> str | None:
    """The service tells what something belongs to as a list of one."""
    return next((str(each["id"]) for each in named or ()), None)
