"""What Keystone's own roles may do with a server of Longshore's. Zed has no manager."""

import pytest
from people import member, refused_as_osc, register, stranger, unregister
from served import serving

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def registered(tmp_path_factory, lab, admin_cloud):
    """Yield a server that is in the catalogue."""
    with serving(tmp_path_factory.mktemp("served"), lab, admin_cloud.identity) as served:
        try:
            done = register(served.config)
            assert done.returncode == 0, done.stderr
            yield served
        finally:
            unregister(admin_cloud.identity)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("role", ["member", "manager"])
def test_who_may_work_adds_the_project_and_a_reader_beside_them_only_looks(lab, admin_cloud, role):
    identity = admin_cloud.identity
    if identity.find_role(role) is None:
        pytest.skip(f"this cloud has no role {role}")
    project = identity.find_project(lab.cloud["auth"]["project_name"])
    with (
        member(identity, "ann", project, role) as ann,
        member(identity, "rob", project, "reader") as rob,
        stranger(identity) as bob,
    ):
        refused_as_osc(rob("migration", "provider", "add", "openstack", "cloud"), "Your roles don't allow this")
        ann.did("migration", "provider", "add", "openstack", "cloud")
        try:
            assert "cloud" in {one["Name"] for one in rob.json("migration", "provider", "list")}
            assert rob.json("migration", "machine", "list", "cloud") == ann.json(
                "migration", "machine", "list", "cloud"
            )
            refused_as_osc(rob("migration", "provider", "delete", "cloud"), "Your roles don't allow this")
            refused_as_osc(ann("migration", "list", "--all-projects"), "Your roles don't allow")
            assert bob.json("migration", "provider", "list") == []
        finally:
            ann.did("migration", "provider", "delete", "cloud")
