"""`?dry_run=true`: what would become of something, while nothing does."""

import pytest
from anns_api import anns_api
from cloud_stand_in import Cloud
from test_backup_policies_api import POLICIES, WANTED, ask, store  # noqa: F401 fixtures
from test_replica_files import FILE, SHOP, WEB
from test_replicas_api import api as replicas_api  # noqa: F401 a fixture
from test_tenants import MIGRATION, PLAN, VSPHERE, snapshot

SECRET = "#cloud-config\npassword: swordfish"


@pytest.fixture
def api(tmp_path, monkeypatch):
    with anns_api(tmp_path, monkeypatch, Cloud) as api:
        yield api


def would(api, method, path, body, token="ann"):
    """Ask what would become of it, and see that nothing has. Then have it become so, and return both answers."""
    before = snapshot(api)
    answer = api(token, method, f"{path}?dry_run=true", body)
    assert answer.status_code == 200, answer.text
    assert snapshot(api) == before
    return answer.json(), api.did(token, method, path, body)


def test_a_plan(api):
    path = "/v1/plans/shop"
    foreseen, made = would(api, "PUT", path, PLAN)
    assert foreseen == made
    assert made["changed"]
    foreseen, made = would(api, "PUT", path, PLAN)
    assert foreseen == made
    assert not made["changed"]
    foreseen, made = would(api, "PUT", path, {**PLAN, "description": "other"})
    assert foreseen == made
    assert (made["plan"]["description"], made["changed"]) == ("other", True)


def test_parts_of_a_plan(api):
    api.did("ann", "PUT", "/v1/plans/shop", PLAN)
    before = api.did("ann", "GET", "/v1/plans/shop")
    foreseen, made = would(api, "PATCH", "/v1/plans/shop", {"defaults": {"type": "warm"}})
    assert (foreseen["changed"], foreseen["version"]) == (True, before["version"])
    assert foreseen["plan"] == api.did("ann", "GET", "/v1/plans/shop")["plan"]
    assert (made["changed"], made["plan"]) == (True, None)
    foreseen, _made = would(api, "PATCH", "/v1/plans/shop/machines/web", {"wave": 3})
    assert foreseen["plan"]["machines"][0]["wave"] == 3
    assert not would(api, "PATCH", "/v1/plans/shop/machines/web", {"wave": 3})[0]["changed"]


def test_what_would_be_refused_is(api):
    api.did("ann", "PUT", "/v1/plans/shop", PLAN)
    for body in ({**PLAN, "name": "other"}, {**PLAN, "machines": 3}):
        assert api("ann", "PUT", "/v1/plans/shop?dry_run=true", body).status_code == 400
    assert api("ann-reader", "PUT", "/v1/plans/shop?dry_run=true", PLAN).status_code == 403
    assert api("bob", "PATCH", "/v1/plans/shop?dry_run=true", {}).status_code == 404


def test_a_text_of_a_plan_is_neither_kept_nor_shown(api):
    plan = {**PLAN, "defaults": {"user_data": SECRET}}
    foreseen = api.did("ann", "PUT", "/v1/plans/shop?dry_run=true", plan)
    assert "swordfish" not in str(foreseen)
    api.did("ann", "PUT", "/v1/plans/shop", plan)
    assert not api.did("ann", "PUT", "/v1/plans/shop?dry_run=true", plan)["changed"]
    other = api.did("ann", "PUT", "/v1/plans/shop?dry_run=true", {**PLAN, "defaults": {"user_data": SECRET + "!"}})
    assert other["changed"]
    assert "swordfish" not in str(other)


def test_a_provider(api):
    new = {**VSPHERE, "name": "second"}
    foreseen, made = would(api, "POST", "/v1/providers", new)
    assert (foreseen["provider"]["id"], foreseen["changed"], foreseen["found"]) == ("", True, {"version": "8"})
    assert foreseen["provider"]["settings"] == made["provider"]["settings"]
    assert api("ann", "POST", "/v1/providers?dry_run=true", new).status_code == 409
    wrong = {**new, "name": "third", "secrets": {"password": "wrong"}}
    assert api("ann", "POST", "/v1/providers?dry_run=true", wrong).status_code == 403
    path = "/v1/providers/second"
    change = {"settings": {"username": "other"}, "secrets": {"password": "right"}}
    foreseen, made = would(api, "PATCH", path, change)
    assert foreseen["provider"]["settings"] == made["provider"]["settings"]
    assert (foreseen["changed"], made["changed"]) == (True, True)
    foreseen, made = would(api, "PATCH", path, change)
    assert (foreseen["changed"], made["changed"]) == (False, False)
    assert "right" not in str(foreseen)


def test_a_policy_of_backups(ask, store):  # noqa: F811
    foreseen = ask("POST", f"{POLICIES}?dry_run=true", WANTED)
    assert foreseen.status_code == 200, foreseen.text
    assert ask("GET", POLICIES).json() == []
    assert store.migrations.all() == []
    made = ask("POST", POLICIES, WANTED).json()
    by_its_id = {"id", "due_at", "verify_due_at", "prove_due_at"}
    assert {n: v for n, v in foreseen.json().items() if n not in by_its_id} == {
        n: v for n, v in made.items() if n not in by_its_id
    }
    assert foreseen.json()["id"] == ""
    assert ask("POST", f"{POLICIES}?dry_run=true", WANTED).status_code == 409
    change = {"retention": "last 9", "schedule": "daily 03:00 Europe/Berlin"}
    foreseen = ask("PATCH", f"{POLICIES}/nightly?dry_run=true", change).json()
    assert ask("GET", POLICIES).json() == [made]
    assert ask("PATCH", f"{POLICIES}/nightly", change).json() == foreseen
    assert foreseen["retention"] == "last 9, zone UTC"


def test_a_file_of_replicas(replicas_api):  # noqa: F811
    content = {"replicas": [WEB], "groups": [SHOP]}
    foreseen, made = would(replicas_api, "PUT", FILE, content)
    assert [(one["what"], one["id"]) for one in foreseen] == [("made", ""), ("made", "")]
    assert [one["what"] for one in made] == ["made", "made"]
    foreseen, made = would(replicas_api, "PUT", FILE, content)
    assert foreseen == made
    assert [one["what"] for one in foreseen] == ["as it was", "as it was"]
    changed = {"replicas": [WEB | {"rpo": "1h"}], "groups": [SHOP | {"gates": {"1": {"pause": "3m"}}}]}
    foreseen, made = would(replicas_api, "PUT", FILE, changed)
    assert foreseen == made
    assert [one["what"] for one in foreseen] == ["changed", "changed"]


def test_a_migration_is_checked_and_none_begun(api):
    before = snapshot(api)

    def blockers(wanted):
        found = api.did("ann", "POST", "/v1/migrations/check", wanted)
        return [one["code"] for one in found if one["severity"] == "blocker"]

    assert blockers(MIGRATION) == []
    unmapped = {**MIGRATION, "request": {}}
    assert blockers(unmapped) == ["network-unmapped"]
    assert snapshot(api) == before
    assert api("ann", "POST", "/v1/migrations", unmapped).status_code == 400
    assert api("ann-reader", "POST", "/v1/migrations/check", MIGRATION).status_code == 403
    inspection = {**MIGRATION, "request": {"type": "inspection"}}
    assert api("ann", "POST", "/v1/migrations/check", inspection).status_code == 400
    api.did("ann", "POST", "/v1/migrations", MIGRATION)
    assert api("ann", "POST", "/v1/migrations/check", MIGRATION).status_code == 409
