"""What the last check of a provider came to is told to its own project until the next one."""

import pytest
from anns_api import anns_api
from cloud_stand_in import Cloud
from test_tenants import VSPHERE


@pytest.fixture
def api(tmp_path, monkeypatch):
    with anns_api(tmp_path, monkeypatch, Cloud) as api:
        yield api


def test_a_check_is_kept_with_its_time_and_what_it_came_to(api):
    at = f"/v1/providers/{VSPHERE['name']}"
    added = api.did("ann", "GET", at)["last_check"]
    assert (added["found"], added["error"]) == ({"version": "8"}, None)
    record = api.store.providers.get(VSPHERE["name"])
    api.store.providers.change(record.id, record.settings, {"password": "wrong"})
    assert api("ann", "POST", f"{at}/check").status_code == 403
    failed = api.did("ann", "GET", at)["last_check"]
    assert failed["error"] == "The vCenter refuses this password. Check it."
    assert (failed["code"], failed["found"], failed["at"] > added["at"]) == ("access-denied", {}, True)
    listed = {p["name"]: p["last_check"] for p in api.did("ann", "GET", "/v1/providers")}
    assert listed[VSPHERE["name"]] == failed
    changed = api.did("ann", "PATCH", at, {"secrets": {"password": "right"}})
    assert changed["provider"]["last_check"]["error"] is None
    assert api("ann", "PATCH", at, {"secrets": {"password": "wrong"}}).status_code == 403
    assert api.did("ann", "GET", at)["last_check"]["error"] is None, "what was refused isn't the provider"


def test_whom_it_is_lent_to_sees_nothing_of_it(api):
    api.did("admin", "PUT", f"/v1/providers/{VSPHERE['name']}/shares/project-b?all_projects=true")
    (lent,) = api.did("bob", "GET", "/v1/providers")
    assert (lent["shared"], lent["last_check"]) == (True, None)
