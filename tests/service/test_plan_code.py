"""What has landed of a plan as code, over REST and by its command."""

from dataclasses import replace

import pytest
from anns_api import anns_api
from cloud_stand_in import Cloud
from test_tenants import PLAN

from longshore.errors import NotFound
from longshore.model.as_built import BuiltServer, CodeFormat
from longshore.model.status import Status

AT = "/v1/plans/shop/iac"
WEB = BuiltServer("server-1", "web", "SHUTOFF", "small", None, "nova", {"longshore:source": "vm-1"})


class Built(Cloud):
    gone = ()

    def as_built(self, server_ids):
        for one in server_ids:
            if one in self.gone:
                raise NotFound(f"Server {one} isn't there any more.")
        return [replace(WEB, id=one) for one in server_ids]


@pytest.fixture
def api(tmp_path, monkeypatch):
    with anns_api(tmp_path, monkeypatch, Built) as api:
        machines = [{"machine": "web", "ref": "vm-1"}, {"machine": "db", "ref": "vm-2", "wave": 2}]
        mapped = {"mappings": {"networks": {"VM Network": "private"}}}
        api.did("ann", "PUT", "/v1/plans/shop", {**PLAN, **mapped, "machines": machines})
        yield api


def land(api, type="cold", **fields):
    (started,) = api.did("ann", "POST", "/v1/plans/shop/start", {"wave": 1, "type": type})
    api.store.migrations.update(started["id"], status=Status.DONE.value, server_id="server-1", **fields)


@pytest.mark.parametrize("form", [one.value for one in CodeFormat])
def test_what_has_landed_is_written_and_the_rest_named(api, form):
    land(api)
    code = api.did("ann-reader", "GET", f"{AT}?format={form}")
    assert "server-1" in code["text"]
    assert code["file_name"].startswith("shop.")
    assert "Not landed, so left out: db." in code["notes"]
    assert any("web is off" in note for note in code["notes"])


def test_what_has_not_landed_is_refused(api):
    refused = api("ann", "GET", f"{AT}?format=tofu")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "No machine of the plan has landed" in refused.json()["message"]
    land(api)
    refused = api("ann", "GET", f"{AT}?format=tofu&machine=web&machine=db")
    assert refused.status_code == 409
    assert "db" in refused.json()["message"]
    assert api.did("ann", "GET", f"{AT}?format=tofu&machine=web")["text"]
    assert api("ann", "GET", f"{AT}?format=tofu&machine=nobody").status_code == 400


def test_a_dry_run_has_landed_nothing(api):
    land(api, type="dry-run")
    assert api("ann", "GET", f"{AT}?format=tofu").status_code == 409


def test_a_server_that_is_gone_is_told(api, monkeypatch):
    land(api)
    monkeypatch.setattr(Built, "gone", ("server-1",))
    assert api("ann", "GET", f"{AT}?format=heat").status_code == 404


def test_another_tool_and_anothers_plan_are_refused(api):
    land(api)
    assert api("ann", "GET", f"{AT}?format=pulumi").status_code in (400, 422)
    assert api("ann", "GET", AT).status_code in (400, 422)
    assert api("bob", "GET", f"{AT}?format=tofu").status_code == 404
