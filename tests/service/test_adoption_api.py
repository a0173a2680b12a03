"""Who may adopt what is found at a target: whose provider it is, and nobody twice."""

import pytest
from cloud_stand_in import MACHINE, Cloud
from test_tenants import OPENSTACK, Api

from longshore.engine import embedded
from longshore.flows.replicas import marks
from longshore.model.point import Consistency
from longshore.model.target import Marked, MarkedSnapshot, MarkedVolume
from longshore.store import StateDirectory, Store

ID = "0d9b0f0e-5f0b-4f52-9f2a-6f8f3b0f7a01"
DISK = MACHINE.disks[0]
OWNER = "longshore:owner"


class WithReplica(Cloud):
    def marked(self, _key):
        volume = {**marks.of_volume(ID, MACHINE, DISK), OWNER: f"{ID}/volume-2000"}
        taken = marks.of_snapshot(ID, 7, "2026-11-20T00:00:00Z", Consistency.CRASH, MACHINE, DISK, "ab" * 32)
        snapshot = {**taken, OWNER: f"{ID}/point-7-2000"}
        return Marked(
            (MarkedVolume("v", 1 << 30, volume),), (MarkedSnapshot("s", "v", 1 << 30, usable=True, metadata=snapshot),)
        )


@pytest.fixture
def api(tmp_path, monkeypatch):
    """Ann and Bob each have the cloud, and Ann has lent hers to Bob under its name."""
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", WithReplica)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    api = Api(store)
    api.did("ann", "POST", "/v1/providers", OPENSTACK)
    yield api
    store.close()


def adopt(api, who, target="cloud"):
    return api(who, "POST", "/v1/replicas/adopt", {"target": target, "machines": ["web"]})


def test_what_is_found_is_seen_by_readers_and_adopted_by_members(api):
    (found,) = api.did("ann-reader", "GET", "/v1/providers/cloud/replicas")
    assert (found["id"], found["points"], found["objection"]) == (ID, 1, None)
    assert adopt(api, "ann-reader").status_code == 403
    assert adopt(api, "ann").json()[0]["adopted"] is True
    (point,) = api.did("ann", "GET", f"/v1/replicas/{ID}/points")
    assert (point["number"], point["state"], point["moment"]) == (7, "usable", "2026-11-20T00:00:00Z")
    test = api.did("ann", "POST", f"/v1/replicas/{ID}/test", {"networks": {"VM Network": "private"}})
    assert test["request"]["point"] == 7


def test_what_one_project_has_another_doesnt_get(api):
    assert adopt(api, "ann").is_success
    api.did("bob", "POST", "/v1/providers", OPENSTACK)
    answer = adopt(api, "bob")
    assert (answer.status_code, "is a replica here already" in answer.json()["message"]) == (409, True)
    assert api.did("bob", "GET", "/v1/replicas") == []


def test_a_volume_of_another_record_isnt_adopted(api):
    from longshore.model.target import Owner
    from longshore.store import NewMigration, ThingKind

    target = api.store.providers.get("cloud").id
    (other,) = api.store.migrations.add_together([NewMigration("db", "vm-2", target, target, {"type": "cold"})])
    entry = api.store.ledger.intend(Owner(other.id, "volume-1"), target, ThingKind.VOLUME)
    api.store.ledger.settle(entry.id, entry.state, ref="v")
    answer = adopt(api, "ann")
    assert (answer.status_code, "v was made by something else here" in answer.json()["message"]) == (409, True)


def test_with_whom_a_target_is_shared_may_not_take_what_is_there(api):
    provider = api.did("ann", "GET", "/v1/providers/cloud")
    api.did("admin", "PUT", f"/v1/providers/{provider['id']}/shares/project-b?all_projects=true")
    for answer in (adopt(api, "bob"), api("bob", "GET", "/v1/providers/cloud/replicas")):
        assert (answer.status_code, "may be others'" in answer.json()["message"]) == (403, True)
