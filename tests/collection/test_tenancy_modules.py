"""A tenant's resources by the collection's modules: exported, edited, imported elsewhere, and nothing to do the second
time."""

import os
from dataclasses import asdict

import pytest
from modules import Modules
from playbooks import BIN, task
from small_cloud import SmallCloud

from longshore.providers.openstack.connection import OpenstackSettings
from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

KINDS = ["networks", "subnets", "security_groups", "security_group_rules"]


@pytest.fixture
def tenants(tmp_path):
    state = tmp_path / "state"
    with SmallCloud() as cloud:
        store = Store(StateDirectory(state))
        for project in ("old", "new"):
            who = {
                "auth_url": f"{cloud.url}/v3",
                "username": f"user-of-{project}",
                "project_name": project,
                "user_domain_id": "default",
                "project_domain_id": "default",
            }
            settings = OpenstackSettings(auth=who, auth_type="v3password", region="R")
            store.providers.add(project, "openstack", asdict(settings), {"password": "x"})
        store.close()
        network = cloud.connect("old").network.create_network(name="front")
        cloud.connect("old").network.create_subnet(
            name="front-v4", network_id=network.id, ip_version=4, cidr="10.1.0.0/24"
        )
        known = {name: value for name, value in os.environ.items() if not name.startswith(("LONGSHORE_", "OS_"))}
        known["LONGSHORE_STATE"] = str(state)
        with Modules(tmp_path, BIN / "longshore", known) as modules:
            yield modules, cloud


@pytest.mark.turns("playbooks")
def test_a_tenant_is_carried_once(tenants):
    modules, cloud = tenants
    files = modules.place / "tenant"
    asked = {"directory": str(files), "only": KINDS}
    carry = task("tenancy_export", provider="old", **asked), task("tenancy_import", provider="new", **asked)
    assert modules.run(*carry, check=True)[0] == ["changed", "changed"]
    assert not files.exists()
    anew = task("tenancy_export", provider="old", overwrite=True, **asked)
    assert modules.run(carry[0], carry[0], anew)[0] == ["changed", "ok", "ok"]
    told, (said,) = modules.run(carry[1], check=True)
    assert told == ["changed"]
    assert said["diff"]["after"]["network front"] == "made"
    assert not list(cloud.connect("new").network.networks(name="front", project_id="new"))
    assert modules.run(*carry, carry[1])[0] == ["ok", "changed", "ok"]
    edited = (files / "networks.yml").read_text().replace("mtu: 1450", "mtu: 1400")
    (files / "networks.yml").write_text(edited)
    assert modules.run(carry[0], check=True)[0] == ["ok"], "what somebody has edited stays"


@pytest.mark.turns("playbooks")
def test_files_that_cant_be_read_are_told_by_name(tenants):
    modules, _cloud = tenants
    files = modules.place / "tenant"
    files.mkdir()
    (files / "networks.yml").write_text("resources: 3\n")
    told, (said,) = modules.run(task("tenancy_import", provider="new", directory=str(files)))
    assert told == ["fatal"]
    assert "networks.yml" in said["msg"]
