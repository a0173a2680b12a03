"""Operations of kinds of the identity service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from openstack import exceptions as sdk

from longshore.tenancy.documents import Resource
from longshore.tenancy.kinds.identity import COMPUTE_LIMITS, NETWORK_LIMITS, STORAGE_LIMITS
from longshore.tenancy.operations import Operations, asked_of_each


class IdentityOperations(Operations):
    """A plain member may list none of these; what is known from the login then has to do."""

    def listing(self) -> Iterable[Any]:
        try:
            return list(super().listing())
        except sdk.ForbiddenException:
            return self.known()

    def known(self) -> list[Any]:
        return []


class Domains(IdentityOperations):
    def known(self) -> list[Any]:
        id_, name = self.cloud.project_domain
        return [SimpleNamespace(id=id_, name=name)]


class Projects(IdentityOperations):
    def known(self) -> list[Any]:
        domain_id, _ = self.cloud.project_domain
        return [SimpleNamespace(id=self.cloud.project_id, name=self.cloud.project_name, domain_id=domain_id)]


class Users(IdentityOperations):
    """Passwords can't be read from any cloud: a user who is made here gets a new one, if there is a place for it."""

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        body = dict(values)
        if self.cloud.passwords:
            body["password"] = self.cloud.passwords.new(wanted.params["domain_ref"]["name"], wanted.name)
        return super().create(body, wanted)


class Quotas(Operations):
    """The limits of a project, over all services. There always are some: they are only ever changed."""

    def listing(self) -> Iterable[Any]:
        connection = self.cloud.connection
        _ = connection.compute, connection.block_storage, connection.network  # made at first use, in one thread
        found = asked_of_each(self._of_project, self.cloud.all(self.cloud.kind("project")))
        return [quota for _, quotas in found for quota in quotas]

    def _of_project(self, project: Any) -> Iterable[Any]:
        """Yield its quotas. Nova answers 400 for a project that has been deleted, the others what they like."""
        try:
            yield self._of(project)
        except sdk.BadRequestException:
            self.cloud.connection.identity.get_project(project.id)  # raises NotFoundException
            raise

    def _of(self, project: Any) -> Any:
        connection = self.cloud.connection
        compute = connection.compute.get_quota_set(project.id)
        storage = connection.block_storage.get_quota_set(project.id)
        network = connection.network.get_quota(project.id)
        return SimpleNamespace(
            id=project.id,
            project_id=project.id,
            compute={name: getattr(compute, name) for name in COMPUTE_LIMITS},
            storage={name: getattr(storage, name) for name in STORAGE_LIMITS},
            network={name: value for name in NETWORK_LIMITS if (value := getattr(network, name, None)) is not None},
        )

    def own(self, raw: Any) -> bool:
        return True

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        connection = self.cloud.connection
        said = {service: {k: v for k, v in values.get(service, {}).items() if v is not None} for service in _SERVICES}
        if said["compute"]:
            connection.compute.update_quota_set(raw.id, **said["compute"])
        if said["storage"]:
            connection.block_storage.update_quota_set(raw.id, **said["storage"])
        if said["network"]:
            connection.network.update_quota(raw.id, **said["network"])

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Set the quotas of a project that is made in the same import."""
        self.update(SimpleNamespace(id=values["project_id"]), values)
        return str(values["project_id"])


_SERVICES = ("compute", "network", "storage")
