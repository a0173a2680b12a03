"""What a service refuses whoever asks is said beforehand, and is what it then refuses."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest
from test_tenants import VSPHERE, Api
from tokens import GROUNDS, access

from in_process import longshore
from longshore.configuration import Keystone, QuotaSettings
from longshore.service import create_app
from longshore.store import StateDirectory, Store

PLAYBOOK = {"defaults": {"before": "/x.yml"}, "name": "shop", "source": "vc", "target": "cloud", "machines": ["web"]}


@pytest.fixture
def api(tmp_path):
    keystone = Keystone(auth_url="https://cloud:5000/v3", password="service")
    store = Store(StateDirectory(tmp_path / "state", None, keystone, "database"))
    api = Api(store)
    grounds = replace(GROUNDS, vault_endpoints=("https://s3.example",), files_directories=("/srv/images",))
    api.app = create_app(store, access=replace(access(), grounds=grounds, quotas=QuotaSettings(plans=7)))
    yield api
    store.close()


def test_a_server_says_what_it_refuses_its_callers_and_refuses_that(api):
    told = api.did("ann-reader", "GET", "/v1/features")
    assert (told["playbooks"], told["gate_commands"], told["resource_files"]) == (False, False, False)
    assert (told["vault_endpoints"], told["files_directories"]) == (["https://s3.example"], ["/srv/images"])
    assert (told["quotas"]["plans"], told["provider_from_token"]) == (7, True)
    assert api("ann", "PUT", "/v1/plans/shop", PLAYBOOK).json()["code"] == "not-on-a-server"
    assert api("ann", "POST", "/v1/tenancy/exports", {"provider": "cloud", "directory": "/etc"}).status_code == 403
    safe = told["provider_settings"]["vsphere"]
    assert {"host", "username", "labels"} <= set(safe)
    assert "vddk_libdir" not in safe
    unsafe = {**VSPHERE, "settings": {**VSPHERE["settings"], "vddk_libdir": "/lib"}}
    assert api("ann", "POST", "/v1/providers", unsafe).status_code == 400
    assert api("ann-nothing", "GET", "/v1/features").status_code == 403


def test_ones_own_refuses_nothing(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))

    async def ask():
        transport = httpx.ASGITransport(create_app(store, local_files=True))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return (await http.get("/v1/features")).json()

    told = asyncio.run(ask())
    store.close()
    assert (told["playbooks"], told["gate_commands"], told["resource_files"]) == (True, True, True)
    unlimited = ("vault_endpoints", "files_directories", "provider_settings", "quotas")
    assert [told[name] for name in unlimited] == [None] * 4
    assert told["provider_from_token"] is False


def test_the_command_says_it_to_people_and_programs(tmp_path):
    said = longshore(tmp_path / "state", "features")
    assert said.returncode == 0, said.stderr
    assert "| playbooks           | yes " in said.stdout
    assert "no limits" in said.stdout
    plain = json.loads(longshore(tmp_path / "state", "features", "-f", "json").stdout)
    assert (plain["playbooks"], plain["quotas"]) == (True, None)
