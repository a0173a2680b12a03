"""Cinder tells, and changes, who may use a type only while the type is private; it is opened when it encrypts."""

from types import SimpleNamespace

import pytest
from openstack.exceptions import NotFoundException
from resource_files import exported, imported, of
from small_cloud import SmallCloud
from small_volumes import PUBLIC

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


LUKS = {"cipher": "aes-xts-plain64", "control_location": "front-end", "key_size": 256, "provider": "luks"}


def test_nobody_may_use_a_type_before_it_encrypts(files):
    given = {"name": "secret", "is_public": True, "encryption": LUKS, "extra_specs": {"tier": "gold"}}
    files.write("longshore/volume_types.yml", {"type": "openstack.block_storage.VolumeType", "params": given})
    with SmallCloud(volumes=True) as small:
        small.fail("POST", "/encryption$", status=400)
        assert of(imported(small.connect("admin"), files.path, "volume_types"), "failed") == {("volume type", "secret")}
        (made,) = small.volumes.types.values()
        assert (made[PUBLIC], small.volumes.encryption) == (False, {})
        assert of(imported(small.connect("admin"), files.path, "volume_types"), "changed") == {
            ("volume type", "secret")
        }
        assert (made[PUBLIC], made["extra_specs"]) == (True, {"tier": "gold"})
        assert list(small.volumes.encryption.values()) == [LUKS]


def test_limits_of_a_types_volumes_are_named(files):
    with SmallCloud(volumes=True) as small:
        small.volumes.types = {"t": {"id": "t", "name": "slow", "extra_specs": {}, PUBLIC: True, "qos_specs_id": "q"}}
        notes = exported(small.connect("admin"), files.path, "volume_types").notes
        assert notes == ["volume_types: qos_specs_id of 1 isn't carried."]
