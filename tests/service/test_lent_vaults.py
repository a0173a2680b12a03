"""A vault that its project shares with others: each finds the points that it has made, and its owner all of them."""

import base64
import hashlib
import secrets
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cloud_stand_in import Cloud
from test_tenants import OPENSTACK, PLAN, VSPHERE, Api

from longshore.engine import embedded
from longshore.errors import AccessDenied, NotFound
from longshore.flows.backups.retention import decide_of_policy
from longshore.flows.clouds import Clouds
from longshore.model.point import Hold
from longshore.providers.registry import connect as really
from longshore.store import Scope, StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.holds import delete_point, hold_point, holds, release_point
from longshore.vault.kept_plans import KeptPlan, keep_plan, kept_plans
from longshore.vault.points import object_of, own_points, point_names, read_point
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from point_in_vault import with_point

pytestmark = pytest.mark.long

POLICY = secrets.token_hex(8)


def connect(kind, *rest, **kept):
    return really(kind, *rest, **kept) if kind == "vault" else Cloud(kind, *rest)


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


def scoped(store, project_id):
    return store.scoped(Scope(project_id))


@pytest.fixture
def lent(store, tmp_path):
    """A vault of the operator's, shared with two projects."""
    made = Vault.create(Directory(tmp_path / "vault"), "the operator's words")
    operator = scoped(store, "project-admin")
    secret = {"pass_phrase": "the operator's words"}
    operator.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, secret)
    for project in ("project-a", "project-b"):
        operator.providers.share("offsite", project)
    return made


@pytest.fixture
def put(store, tmp_path, lent):
    """Makes a point as a backup of that project makes it. Answers its name."""

    def put(project_id, name="payroll", **more):
        with Clouds(store, project_id=project_id).vault(store.providers.get("offsite").id, "write") as vault:
            return with_point(vault, tmp_path, name, **more)

    return put


@pytest.fixture
def api(store, monkeypatch):
    monkeypatch.setattr("longshore.flows.clouds.connect", connect)
    monkeypatch.setattr("longshore.service.providers.connect", connect)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    return Api(store)


def names(answer):
    return [point["name"] for point in answer]


def test_each_project_finds_its_own_points_and_the_owner_all(api, put):
    hers, his, owners = put("project-a"), put("project-b"), put("project-admin")
    shown = {who: names(api.did(who, "GET", "/v1/vaults/offsite/points")) for who in ("ann", "bob", "admin")}
    assert shown == {"ann": [hers], "bob": [his], "admin": [hers, his, owners]}
    for who, theirs in shown.items():
        page = api.did(who, "GET", "/v1/vaults/offsite/contents")
        assert (page["of"], page["total"], names(page["points"])) == (len(theirs),) * 2 + (theirs[::-1],)
        listed = api.did(who, "GET", "/v1/providers/offsite/machines")
        assert [machine["ref"] for machine in listed] == theirs
        assert api.did(who, "GET", "/v1/providers/offsite/references") == theirs
        assert api.did(who, "POST", "/v1/vaults/offsite/check")["points"] == len(theirs)


def test_what_was_read_for_the_owner_is_shown_to_nobody_else(api, put):
    put("project-a")
    kept = "/v1/providers/offsite/inventory/machines"
    assert api.did("admin", "GET", kept)["of"] == 1
    assert api.did("bob", "GET", kept)["of"] == 0
    assert api.did("ann", "GET", kept)["of"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "points/{point}", None),
        ("DELETE", "points/{point}", None),
        ("POST", "points/{point}/hold", {"name": "ransom"}),
        ("POST", "points/{point}/release", {"name": "audit"}),
        ("GET", "files/{point}", None),
        ("GET", "files/{point}?find=shadow", None),
        ("GET", "file/{point}?path=/etc/shadow", None),
    ],
)
def test_another_projects_point_is_not_there(api, put, lent, tmp_path, method, path, body):
    root, image = tmp_path / "root", tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/shadow").write_text("root:ANNS-HASH:19000::::::\n")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, image, "2M"], check=True, capture_output=True)
    point = put("project-a", content_of_disk=image.read_bytes())
    api.did("ann", "POST", f"/v1/vaults/offsite/points/{point}/hold", {"name": "audit"})
    before = objects(lent)
    for word in (point,) if method == "DELETE" else (point, point.rpartition("/")[2], "payroll"):
        answer = api("bob", method, f"/v1/vaults/offsite/{path.format(point=word)}", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), answer.text
        assert "ANNS" not in answer.text
    assert objects(lent) == before
    if method == "GET":  # that she may is what tells that he may not
        assert api("ann", method, f"/v1/vaults/offsite/{path.format(point=point)}").status_code == 200


def test_restores_of_anothers_point_begin_nowhere(api, put, store):
    point = put("project-a")
    openstack = {"name": "cloud", "kind": "openstack", "secrets": {"password": "right"}}
    openstack["settings"] = {"auth": {"auth_url": "https://cloud:5000/v3", "username": "u", "project_name": "p"}}
    api.did("bob", "POST", "/v1/providers", openstack)
    asked = {"point": point, "vault": "offsite", "target": "cloud", "request": {"networks": {"VM Network": "private"}}}
    move = {"machine": point, "source": "offsite", "target": "cloud", "request": asked["request"]}
    for path, body in (
        ("/v1/restores", asked),
        ("/v1/restores/check", asked),
        ("/v1/restores", {**asked, "disk": 1}),
        ("/v1/migrations", move),
    ):
        answer = api("bob", "POST", path, body)
        assert answer.status_code == 404, (path, answer.text)
    assert api.did("bob", "GET", "/v1/jobs") == []


def test_what_concerns_all_that_is_in_it_is_its_owners(api, put):
    put("project-a")
    for path in ("prune", "recover"):
        answer = api("bob", "POST", f"/v1/vaults/offsite/{path}")
        assert answer.status_code == 403
        assert "another project's, which only shares it" in answer.json()["message"]
    assert api.did("bob", "GET", "/v1/jobs") == []
    assert api("admin", "POST", "/v1/vaults/offsite/prune").status_code == 202


def test_its_maker_deletes_and_holds_a_point(api, put):
    point = put("project-b")
    api.did("bob", "POST", f"/v1/vaults/offsite/points/{point}/hold", {"name": "audit"})
    assert api("bob", "DELETE", f"/v1/vaults/offsite/points/{point}").status_code == 409
    api.did("bob", "POST", f"/v1/vaults/offsite/points/{point}/release", {"name": "audit"})
    api.did("bob", "DELETE", f"/v1/vaults/offsite/points/{point}")
    assert api.did("admin", "GET", "/v1/vaults/offsite/points") == []


def test_once_it_is_shared_no_more_nothing_of_it_is_there(api, put):
    point = put("project-b")
    api.did("admin", "DELETE", "/v1/providers/offsite/shares/project-b")
    assert api("bob", "GET", "/v1/vaults/offsite/points").status_code == 404
    assert api("bob", "GET", f"/v1/vaults/offsite/points/{point}").status_code == 404
    assert names(api.did("admin", "GET", "/v1/vaults/offsite/points")) == [point]


def test_what_nobody_vouches_for_is_the_owners(api, lent, tmp_path):
    """As an installation for one person makes them, or another installation."""
    point = with_point(lent, tmp_path)
    assert names(api.did("admin", "GET", "/v1/vaults/offsite/points")) == [point]
    assert api.did("ann", "GET", "/v1/vaults/offsite/points") == []


def opened(store, project_id):
    return Clouds(store, project_id=project_id).vault(store.providers.get("offsite").id, "write")


def rewritten(vault, name, change, into=None):
    """The point's document, changed by somebody who has the vault's key, and written."""
    document = vault.keys.read_document(object_of(name), vault.store.read(object_of(name)))
    change(document)
    place = object_of(into or name)
    if into is None:
        vault.store.delete(place)
    vault.store.create(place, vault.keys.write_document(place, document))


@pytest.mark.parametrize("project_id", ["project-a", "project-b"])
def test_what_a_document_says_of_its_project_opens_nothing(store, put, lent, tmp_path, project_id):
    """Whoever has the vault's words writes what he likes: names, others' seals, or a changed document under its own."""
    foreign = Store(StateDirectory(tmp_path / "foreign"))
    secret = {"pass_phrase": "the operator's words"}
    scoped(foreign, project_id).providers.add("v", "vault", {"directory": str(tmp_path / "vault")}, secret)
    with Clouds(foreign, project_id=project_id).vault(foreign.providers.get("v").id, "write") as vault:
        elsewhere = with_point(vault, tmp_path, "made-elsewhere")
    foreign.close()
    good = put(project_id, "good")
    document = lent.keys.read_document(object_of(good), lent.store.read(object_of(good)))
    folder = good.partition("/")[0]
    planted = [f"{folder}/20261126T10{number:02}00000Z-{secrets.token_hex(4)}" for number in range(4)]
    by_name = with_point(lent, tmp_path, "by-name", project=project_id, project_id=project_id, maker=project_id)
    rewritten(lent, by_name, lambda told: told.update(maker=project_id))
    rewritten(lent, good, lambda told: None, into=planted[0])  # its seal, under another name
    rewritten(lent, by_name, lambda told: told.update(maker=document["maker"]), into=planted[1])
    rewritten(lent, good, lambda told: told["content"].update(power="off"), into=planted[2])
    rewritten(lent, by_name, lambda told: told.update(maker=base64.b64encode(b"x" * 60).decode()), into=planted[3])
    with opened(store, project_id) as vault:
        assert point_names(vault) == [good]
        for name in (elsewhere, by_name, *planted):
            with pytest.raises(NotFound, match="There is no point"):
                read_point(vault, name)
    with opened(store, "project-admin") as vault:
        assert {*point_names(vault)} == {good, elsewhere, by_name, *planted}
    rewritten(lent, good, lambda told: told["content"].update(power="off"))
    with opened(store, project_id) as vault:
        assert point_names(vault) == []


def test_the_project_stands_in_no_document_in_clear(store, tmp_path):
    clear = Vault.create(Directory(tmp_path / "clear"), None)
    operator = scoped(store, "project-admin")
    operator.providers.add("clear", "vault", {"directory": str(tmp_path / "clear")}, {})
    operator.providers.share("clear", "project-a")
    with Clouds(store, project_id="project-a").vault(store.providers.get("clear").id, "write") as vault:
        point = with_point(vault, tmp_path)
    assert b"project-a" not in clear.store.read(object_of(point))
    with Clouds(store, project_id="project-a").vault(store.providers.get("clear").id, "read") as vault:
        assert read_point(vault, point).maker == "project-a"


def test_below_the_routes_nothing_else_is_there_either(store, put):
    """What flows and routes call with a name from anywhere."""
    point = put("project-a")
    with opened(store, "project-a") as hers:
        hold_point(hers, point, Hold("audit", None))
    with opened(store, "project-b") as his:
        assert holds(his) == {}
        for work in (
            lambda: hold_point(his, point, Hold("ransom", None)),
            lambda: release_point(his, point, "audit"),
            lambda: delete_point(his, point),
        ):
            with pytest.raises(NotFound, match="There is no point"):
                work()
        with pytest.raises(AccessDenied):
            prune(his)
    clouds = Clouds(store, project_id="project-b")
    id_ = store.providers.get("offsite").id
    with pytest.raises(AccessDenied), clouds.vault_store(id_):
        pass
    with pytest.raises(AccessDenied), clouds.vault(id_, "prune"):
        pass


def test_a_prune_for_the_owner_leaves_what_others_points_name(api, store, put):
    point = put("project-a")
    with opened(store, "project-admin") as vault:
        assert prune(vault).points == 1
    with opened(store, "project-a") as vault:
        assert read_point(vault, point)


def test_what_others_put_into_the_owners_vault_is_nothing_that_it_goes_by(store, put):
    """Else their points would be what its next backup begins as, and push its own ones out of its retention."""
    now = datetime.now(UTC)
    own = put("project-admin", policy=POLICY, moment=now - timedelta(days=1))
    for days in (0, 2):
        put("project-b", policy=POLICY, moment=now - timedelta(days=days))
    with opened(store, "project-admin") as vault:
        assert [point.name for point in own_points(vault)] == [own]
        found = [read_point(vault, name) for name in point_names(vault)]
    assert len(found) == 3
    policy = type("Policy", (), {"id": POLICY, "project_id": "project-admin", "retention": "last 1, zone UTC"})
    [decision] = decide_of_policy(policy, found, {}, {}, now).values()
    assert ([kept.point.id for kept in decision.kept], list(decision.going)) == ([own], [])


def test_policies_come_back_from_ones_own_points_alone(api, put):
    rules = {"name": "nightly", "source": "vc", "machines": ["web"], "schedule": "daily", "retention": "last 2"}
    put("project-a", policy=POLICY, rules=rules)
    for who in ("bob", "admin"):
        assert api.did(who, "POST", "/v1/vaults/offsite/import", {}) == []
    assert len(api.did("ann", "POST", "/v1/vaults/offsite/import", {})) == 1


def objects(vault):
    """All that the vault's directory has, and what is in it."""
    root = Path(vault.store.told()["directory"])
    files = (path for path in root.rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_restore_py_reads_such_points(put, tmp_path):
    point = put("project-a")
    (tmp_path / "words").write_text("the operator's words")
    script = [sys.executable, "-I", tmp_path / "vault" / "restore.py", "--pass-phrase-file", tmp_path / "words"]
    assert point in subprocess.run(script, check=True, capture_output=True, text=True).stdout
    disk = subprocess.run([*script, point, "2000", tmp_path / "disk"], check=True, capture_output=True, text=True)
    assert (tmp_path / "disk").read_bytes().startswith(b"boot" * 1000), disk.stderr


def test_no_route_shows_another_projects_points(api, put, lent, store):
    """Every route of the API, with the names of things in a vault that is lent to who asks."""
    point = put("project-a", "anns-payroll", policy=POLICY)
    api.did("ann", "POST", f"/v1/vaults/offsite/points/{point}/hold", {"name": "anns-hold"})
    before = objects(lent)
    fill = {"provider": "offsite", "vault": "offsite", "point": point, "machine": point, "project": "project-b"}
    for path, methods in api.app.openapi()["paths"].items():
        if path.endswith("/stream"):
            continue
        for method in methods:
            asked = path
            for name, value in fill.items():
                asked = asked.replace(f"{{{name}}}", value)
            body = {name: "offsite" for name in ("to", "vault", "source")} | {"name": "x", "point": point}
            body["refs"] = [point]
            said = api(
                "bob", method.upper(), f"{asked}?path=/etc/passwd&machine=anns", None if method == "get" else body
            )
            text = said.text.replace(point, "")
            assert said.status_code < 500, (method, path, text)
            assert "anns-" not in text, (method, path, text)
            assert point.partition("/")[0] not in text, (method, path, text)
    assert objects(lent) == before


def test_plans_are_kept_by_the_vaults_owner_alone(api, lent):
    """Nobody could tell whose a plan is: another project's would be imported as one's own."""
    api.did("ann", "POST", "/v1/providers", VSPHERE)
    api.did("ann", "POST", "/v1/providers", OPENSTACK)
    api.did("ann", "PUT", "/v1/plans/shop", PLAN)
    refused = (
        api("ann", "POST", "/v1/plans/shop/keep-in", {"vault": "offsite"}),
        api("ann", "GET", "/v1/vaults/offsite/plans"),
        api("ann", "POST", "/v1/vaults/offsite/plans/shop/import", {}),
    )
    assert [answer.status_code for answer in refused] == [403] * 3
    assert list(kept_plans(lent)) == []


def test_a_plan_of_a_vault_runs_nothing_on_a_server(api, lent):
    plan = PLAN | {"defaults": {"before": "/srv/x.yaml"}}
    keep_plan(lent, KeptPlan("1", datetime.now(UTC), plan, {}, ()))
    for body in (VSPHERE, OPENSTACK):
        api.did("admin", "POST", "/v1/providers", body)
    answer = api("admin", "POST", "/v1/vaults/offsite/plans/shop/import", {})
    assert (answer.status_code, api.did("admin", "GET", "/v1/plans")) == (400, []), answer.text
    assert "before" in answer.json()["message"]
