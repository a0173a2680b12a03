"""A playbook finds the server in the cloud's catalogue, by openstacksdk, with a login as clouds.yaml has it."""

import os

from playbooks import Playbooks, task
from stand import stand

from ports import port_to_serve
import pytest

pytestmark = pytest.mark.long


def test_the_server_is_found_in_the_catalogue_too(tmp_path):
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LONGSHORE_", "OS_"))}
    with stand(tmp_path, port_to_serve()) as (_at, keystone):
        auth = {"auth_url": keystone, "username": "ann", "password": "ann's secret", "project_name": "red"}
        auth |= dict.fromkeys(("user_domain_name", "project_domain_name"), "Default")
        playbooks = Playbooks(tmp_path, {"url": "catalog", "auth": auth}, known, secrets=(auth["password"],))
        found, any_region, elsewhere = (
            task("provider", name="nowhere", state="absent", region_name=name) for name in ("R", None, "elsewhere")
        )
        told, said = playbooks.run(found, any_region, elsewhere, fails=True)
    assert told == ["ok", "ok", "fatal"]
    assert "Longshore can't be reached: public endpoint for migration service in elsewhere region not found" in said
