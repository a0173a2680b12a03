"""Cinder tells, and changes, who may use a type only while the type is private."""

from types import SimpleNamespace

import pytest
from openstack.exceptions import NotFoundException

from longshore.tenancy.services.compute import VolumeTypes


class Cinder:
    def __init__(self, public, allowed=()):
        self.public, self.allowed = public, set(allowed)

    def update_type(self, _id, *, is_public):
        self.public = is_public

    def get_type_access(self, _id):
        if self.public:
            raise NotFoundException("Access list not available for public volume types.")
        return [{"project_id": one} for one in self.allowed]

    def add_type_access(self, _id, project):
        self.get_type_access(_id)
        self.allowed.add(project)

    def remove_type_access(self, _id, project):
        self.get_type_access(_id)
        self.allowed.remove(project)


@pytest.mark.parametrize(
    ("cinder", "values"),
    [
        (Cinder(public=True), {"is_public": False, "access": ["one"]}),
        (Cinder(public=False, allowed=["one"]), {"is_public": True, "access": []}),
        (Cinder(public=False, allowed=["two"]), {"access": ["one"]}),
    ],
)
def test_a_type_changes_who_may_use_it_while_it_is_private(cinder, values):
    cloud = SimpleNamespace(connection=SimpleNamespace(block_storage=cinder))
    types = VolumeTypes(cloud, SimpleNamespace(service="block_storage"))
    types.update(SimpleNamespace(id="t"), values)
    assert (cinder.public, cinder.allowed) == (values.get("is_public", False), set(values["access"]))
