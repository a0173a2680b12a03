"""Providers that were shared and taken back: what the other project still may do with what it has begun there."""

import pytest
from cloud_stand_in import Cloud
from test_tenants import MIGRATION, OPENSTACK, PLAN, VSPHERE, Api

from longshore.engine import embedded
from longshore.model.point import Consistency
from longshore.model.replica import PointDisk, Stage
from longshore.providers.registry import connect as really
from longshore.store import Scope, StateDirectory, Store
from longshore.store.tables import utc_now, with_zone
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault

pytestmark = pytest.mark.long

REFUSED = (403, "not-shared-any-more")
POLICY = {"name": "nightly", "source": "lent", "vault": "own", "machines": ["web"], "schedule": "daily"}
REPLICA = {"machine": "web", "source": "lent", "target": "target", "schedule": "daily", "retention": "last 2"}


def connect(kind, *rest, **kept):
    return really(kind, *rest, **kept) if kind == "vault" else Cloud(kind, *rest)


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


@pytest.fixture
def api(store, tmp_path, monkeypatch):
    """Bob's project has a vault of its own, and may use the operator's vCenter, OpenStack and second vault."""
    monkeypatch.setattr("longshore.flows.clouds.connect", connect)
    monkeypatch.setattr("longshore.service.providers.connect", connect)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    api = Api(store)
    for name, project in (("own", "project-b"), ("second", "project-admin")):
        Vault.create(Directory(tmp_path / name), None)
        store.scoped(Scope(project)).providers.add(name, "vault", {"directory": str(tmp_path / name)}, {})
    api.did("admin", "POST", "/v1/providers", VSPHERE | {"name": "lent"})
    api.did("admin", "POST", "/v1/providers", OPENSTACK | {"name": "target"})
    for name in ("lent", "target", "second"):
        api.did("admin", "PUT", f"/v1/providers/{name}/shares/project-b")
    return api


def take_back(api, *names):
    for name in names:
        api.did("admin", "DELETE", f"/v1/providers/{name}/shares/project-b")


def refused(answer, name):
    assert (answer.status_code, answer.json()["code"]) == REFUSED, answer.text
    assert f"The provider {name} isn't shared with this project any more. Ask who has shared it" in answer.text
    return True


@pytest.fixture
def policy(api):
    return api.did("bob", "POST", "/v1/backup-policies", POLICY | {"retention": "last 2", "copy_to": "second"})["id"]


@pytest.fixture
def replica(api, store):
    """With a point that a machine could be made of."""
    id_ = api.did("bob", "POST", "/v1/replicas", REPLICA | {"request": MIGRATION["request"]})["id"]
    moment = with_zone(utc_now())
    store.points.begin(id_, 1, moment, goes_on=False)
    store.points.complete(
        id_,
        1,
        usable_at=moment,
        consistency=Consistency.CRASH,
        disks=[PointDisk("2000", "Hard disk 1", 1 << 20, "v", "s-1", "ab" * 32)],
        machine={"machine": {"name": "web", "ref": "vm-1"}},
        sync={
            "at": moment.isoformat(),
            "number": 0,
            "bytes_read": 1,
            "final": False,
            "seconds": 1,
            "bytes_changed": 1,
            "bytes_written": 1,
            "bytes_verified": 1,
        },
        state={},
    )
    store.replicas.update(id_, stage=Stage.PROTECTED.value)
    return id_


CHANGES = [
    {"schedule": "every 15m"},
    {"retention": "last 9"},
    {"machines": ["payroll"]},
    {"filter": {"name": "*"}},
    {"filter": {}},
    {"verify": "daily"},
    {"copy_to": "second"},
    {"prove": "daily", "prove_on": "target"},
    {"paused": False},
    {"paused": True, "schedule": "every 15m"},
]


@pytest.mark.parametrize("body", CHANGES, ids=str)
def test_a_policy_is_not_changed(api, store, policy, body):
    before = store.backup_policies.get(policy)
    take_back(api, "lent")
    assert refused(api("bob", "PATCH", "/v1/backup-policies/nightly", body), "lent")
    assert store.backup_policies.get(policy) == before


def test_a_policy_is_not_run_and_looks_at_nothing(api, store, policy):
    take_back(api, "lent")
    for path in ("run", "check"):
        assert refused(api("bob", "POST", f"/v1/backup-policies/nightly/{path}"), "lent")
    assert not store.backup_policies.get(policy).asked
    admins = api("admin", "POST", f"/v1/backup-policies/{policy}/run?all_projects=true")
    assert refused(admins, "lent")  # it is the policy's project that would use it


def test_a_policy_can_be_paused_and_deleted(api, store, policy):
    take_back(api, "lent")
    assert api.did("bob", "PATCH", "/v1/backup-policies/nightly", {"paused": True})["paused"]
    api.did("bob", "DELETE", "/v1/backup-policies/nightly")
    assert store.backup_policies.all() == []


def test_a_policy_whose_second_vault_was_taken_back_goes_on_without_it(api, policy):
    take_back(api, "second")
    api.did("bob", "POST", "/v1/backup-policies/nightly/run")
    assert refused(api("bob", "PATCH", "/v1/backup-policies/nightly", {"schedule": "every 15m"}), "second")
    changed = api.did("bob", "PATCH", "/v1/backup-policies/nightly", {"schedule": "every 15m", "copy_to": "never"})
    assert (changed["schedule"], changed["copy_to"]) == ("every 15m", None)


def test_shared_again_it_is_as_it_was(api, policy):
    take_back(api, "lent")
    api.did("admin", "PUT", "/v1/providers/lent/shares/*")
    api.did("bob", "POST", "/v1/backup-policies/nightly/run")
    api.did("bob", "PATCH", "/v1/backup-policies/nightly", {"filter": {"name": "w*"}})


@pytest.mark.parametrize("name", ["lent", "target"])
def test_a_replica_is_not_changed_nor_synchronised(api, store, replica, name):
    before = store.replicas.get(replica)
    take_back(api, name)
    for method, path, body in (
        ("PATCH", "", {"schedule": "every 15m"}),
        ("PATCH", "", {"retention": "last 5"}),
        ("POST", "/sync", None),
        ("POST", "/audit", None),
        ("POST", "/migrate", None),
        ("POST", "/resume", None),
        ("POST", "/failover", {"planned": True}),
    ):
        assert refused(api("bob", method, f"/v1/replicas/{replica}{path}", body), name)
    assert store.replicas.get(replica) == before
    assert api.did("bob", "POST", f"/v1/replicas/{replica}/pause", {})["paused"]
    api.did("bob", "DELETE", f"/v1/replicas/{replica}")


@pytest.mark.parametrize("path", ["test", "failover"])
def test_no_machine_is_made_of_a_point_at_a_target_that_was_taken_back(api, replica, path):
    take_back(api, "target")
    assert refused(api("bob", "POST", f"/v1/replicas/{replica}/{path}", {}), "target")
    assert [one["id"] for one in api.did("bob", "GET", "/v1/jobs")] == [replica]


def test_points_that_are_at_a_target_of_ones_own_are_of_use_without_the_source(api, replica):
    """It isn't asked for a failover: that is what there are replicas for."""
    take_back(api, "lent")
    api.did("bob", "POST", f"/v1/replicas/{replica}/test", {})


@pytest.mark.parametrize("path", ["test", "failover"])
def test_a_group_of_replicas_does_not_land_there(api, replica, path):
    api.did("bob", "POST", "/v1/replica-groups", {"name": "rack", "members": {replica: 1}})
    take_back(api, "target")
    assert refused(api("bob", "POST", f"/v1/replica-groups/rack/{path}", {}), "target")
    api.did("admin", "PUT", "/v1/providers/target/shares/project-b")
    take_back(api, "lent")
    assert refused(api("bob", "POST", "/v1/replica-groups/rack/failover", {"planned": True}), "lent")


def test_nothing_new_begins_there(api, store):
    api.did("bob", "PUT", "/v1/plans/shop", PLAN | {"source": "lent", "target": "target"})
    ids = {name: store.providers.get(name).id for name in ("lent", "target")}
    take_back(api, "lent", "target")
    move = MIGRATION | {"source": ids["lent"], "target": ids["target"]}
    for path, body in (
        ("/v1/plans/shop/start", {}),
        ("/v1/plans/shop/check", {}),
        ("/v1/migrations", move),
        ("/v1/backups", {"machine": "web", "source": ids["lent"], "vault": "own"}),
        ("/v1/backup-policies", POLICY | {"source": ids["lent"], "retention": "last 2"}),
        ("/v1/replicas", REPLICA | {"source": ids["lent"], "target": ids["target"]}),
    ):
        answer = api("bob", "POST", path, body)
        assert answer.status_code == 404, (path, answer.text)
        assert "There is no provider named" in answer.json()["message"]
    assert api.did("bob", "GET", "/v1/jobs") == []


def test_a_warm_migration_is_not_cut_over(api):
    warm = MIGRATION | {"source": "lent", "target": "target"}
    id_ = api.did("bob", "POST", "/v1/migrations", warm | {"request": warm["request"] | {"type": "warm"}})["id"]
    take_back(api, "target")
    assert refused(api("bob", "POST", f"/v1/migrations/{id_}/cutover"), "target")
    assert refused(api("bob", "POST", f"/v1/migrations/{id_}/keep-as-replica", {"schedule": "daily"}), "target")
    assert api.did("bob", "POST", f"/v1/migrations/{id_}/cancel")["cancel_requested"]


def test_what_an_administrator_begins_with_a_projects_providers_is_that_projects(api, store, replica):
    """Its jobs see what that project does, and not what the administrator's own does."""
    made = api.did("admin", "POST", f"/v1/replicas/{replica}/test?all_projects=true", {})
    assert store.migrations.get(made["id"]).project_id == "project-admin"  # whose target it is
    api.did("bob", "POST", "/v1/providers", VSPHERE | {"name": "bobs"})
    api.did("bob", "POST", "/v1/providers", OPENSTACK | {"name": "bobs-cloud"})
    move = MIGRATION | {
        name: store.providers.get(called).id for name, called in (("source", "bobs"), ("target", "bobs-cloud"))
    }
    begun = api.did("admin", "POST", "/v1/migrations?all_projects=true", move)
    assert store.migrations.get(begun["id"]).project_id == "project-b"
