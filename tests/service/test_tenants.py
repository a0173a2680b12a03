"""A server for many: who may do what, and that nobody sees another project's things."""

import asyncio
import json
import logging
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import structlog
from cloud_stand_in import Cloud
from starlette.datastructures import URL
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from tokens import access

from longshore.engine import embedded
from longshore.logs import write_json
from longshore.providers.grounds import CloudGround, Grounds
from longshore.service import create_app
from longshore.service.caller import OPEN
from longshore.service.policy import rule_of
from longshore.store import Scope, StateDirectory, Store

VSPHERE = {
    "name": "vc",
    "kind": "vsphere",
    "settings": {"host": "h", "username": "u"},
    "secrets": {"password": "right"},
}
OPENSTACK = {
    "name": "cloud",
    "kind": "openstack",
    "settings": {"auth": {"auth_url": "https://cloud:5000/v3/", "username": "u", "project_name": "p"}},
    "secrets": {"password": "right"},
}
MIGRATION = {"machine": "web", "source": "vc", "target": "cloud", "request": {"networks": {"VM Network": "private"}}}
PLAN = {"name": "shop", "source": "vc", "target": "cloud", "machines": [{"machine": "web"}]}


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


class Api:
    def __init__(self, store, **more):
        self.store = store
        self.app = create_app(store, access=access(), **more)

    def __call__(self, token, method, path, body=None, **more):
        headers = {"X-Auth-Token": token} if token else {}

        async def go():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test") as http:
                return await http.request(method, path, json=body, headers=headers, **more)

        return asyncio.run(go())

    def did(self, token, method, path, body=None):
        answer = self(token, method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def api(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)  # nothing here needs a migration to run
    store = Store(StateDirectory(tmp_path / "state"))
    yield Api(store)
    store.close()


@pytest.fixture
def anns(api):
    """Ann's providers, plan and migration."""
    api.did("ann", "POST", "/v1/providers", VSPHERE)
    api.did("ann", "POST", "/v1/providers", OPENSTACK)
    api.did("ann", "PUT", "/v1/plans/shop", PLAN)
    migration = api.did("ann", "POST", "/v1/migrations", MIGRATION)
    return {
        "provider": "vc",
        "name": "shop",
        "migration": migration["id"],
        "machine": "web",
        "project": "project-b",
        "number": "1",
        "check": "none",
    }


def filled(path, names):
    queries = {"/file/": "?path=/etc/passwd", "/iac": "?format=tofu", "/concerns": "?machine=web"}
    query = next((said for part, said in queries.items() if part in path), "")
    return re.sub(r"{(\w+)}", lambda found: names.get(found[1], "nothing"), path) + query


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """All routes that ask who calls: the same of each app, and the document that has them takes half a second."""
    store = Store(StateDirectory(tmp_path_factory.mktemp("routes") / "state"))
    paths = Api(store).app.openapi()["paths"]
    store.close()
    return [(method.upper(), path) for path, methods in paths.items() for method in methods if path not in OPEN]


def test_every_route_stands_under_a_rule(closed):
    def template(path):
        path = path.replace("{machine}", "{machine:path}") if "/machines/" in path else path
        return path.replace("{point}", "{point:path}") if path.startswith("/v1/vaults/") else path

    assert [r for r in closed if rule_of(r[0], template(r[1])) is None] == []


@pytest.mark.parametrize("token", [None, "", "expired", "ann "])
def test_without_a_valid_token_every_route_is_closed(api, anns, token, closed):
    for method, path in [*closed, ("GET", "/v1/openapi.json"), ("GET", "/nowhere")]:
        answer = api(token, method, filled(path, anns), {})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)


def test_a_token_of_no_project_opens_nothing(api, anns, closed):
    for method, path in closed:
        assert api("unscoped", method, filled(path, anns), {}).status_code == 403, (method, path)


def test_whoever_has_no_role_here_may_do_nothing(api, anns, closed):
    for method, path in closed:
        answer = api("ann-nothing", method, filled(path, anns), {})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)


def test_what_the_servers_machine_lacks_is_told_in_words_for_those_who_cannot_install_it(api, monkeypatch):
    api.did("ann", "POST", "/v1/providers", VSPHERE)
    monkeypatch.setenv("PATH", "/nowhere")
    refused = api("ann", "POST", "/v1/inspections", {"machine": "web", "source": "vc"})
    assert (refused.status_code, refused.json()["code"]) == (503, "not-installed")
    said = "The server can't do this: nbdkit, qemu-nbd and bwrap aren't installed on this machine. Tell its operator."
    assert refused.json()["message"] == said


@pytest.mark.parametrize("said", ["http://x/healthz?/v1/migrations", "http://test/healthz"])
def test_what_may_be_asked_without_a_role_hangs_on_the_path_alone(api, anns, monkeypatch, said):
    """Some versions of Starlette make the URL of a request of its Host header, too."""
    monkeypatch.setattr("starlette.requests.Request.url", URL(said))
    assert api("ann-nothing", "GET", "/v1/migrations?all_projects=true").status_code == 403


def test_a_reader_changes_nothing(api, anns, closed):
    api.store.migrations.update(anns["migration"], status="cancelled")  # the stream of its events then ends at once
    before = snapshot(api)
    allowed = {"/v1/providers/{provider}/check", "/v1/providers/{provider}/machines", "/v1/plans/{name}/check"}
    allowed |= {"/v1/vaults/{vault}/check", "/v1/plans/{name}/checks", "/v1/plans/{name}/checks/{check}"}
    allowed |= {"/v1/schedules/preview"}
    for method, path in closed:
        answer = api("ann-reader", method, filled(path, anns), {})
        kept = path.endswith("shares") or "/tenancy/" in path or path.startswith(("/v1/operation", "/v1/nodes"))
        kept = kept or "/file/" in path or "/files/" in path  # readers may not see what is on disks
        kept = kept or path.endswith("/console")  # nor what a guest prints
        kept = kept or path.endswith("/prunable")  # it takes what a prune takes
        reads = (method == "GET" and not kept) or path in allowed
        assert (answer.status_code == 403) != reads, (method, path, answer.text)
    assert snapshot(api) == before


def test_another_projects_things_are_not_there(api, anns, closed):
    before = snapshot(api)
    of_ann = re.compile(r"project-a|shop|web|vc\b|" + anns["migration"])
    for method, path in closed:
        if (method, path) == ("PUT", "/v1/plans/{name}"):
            continue  # that makes one of his own
        answer = api("bob", method, filled(path, anns), body_for(path))
        admins = path.startswith(("/v1/providers/{provider}/shares", "/v1/nodes"))
        if path in ("/v1/providers", "/v1/plans", "/v1/migrations") and method == "GET":
            assert answer.json() == []
        elif "{" in path:
            assert answer.status_code == (403 if admins else 404), (method, path, answer.text)
            said = answer.json()["message"]
            for name in anns.values():  # what he said himself may be said back
                said = said.replace(name, "")
            assert not of_ann.search(said), said
    assert snapshot(api) == before
    # ids, and their beginnings, open nothing either
    for record in api.store.providers.all():
        if record.project_id == "project-a":
            assert api("bob", "GET", f"/v1/providers/{record.id}").status_code == 404
    assert api("bob", "GET", f"/v1/migrations/{anns['migration'][:6]}").status_code == 404
    assert api("bob", "GET", "/v1/migrations?all_projects=true").status_code == 403


def body_for(path):
    bodies = {
        "/v1/providers/{provider}/machines": {"refs": ["vm-1"]},
        "/v1/providers/{provider}/proxies": {
            **dict.fromkeys(("name", "host", "datastore", "network", "image"), "one"),
            "address": "192.0.2.10/24",
        },
        "/v1/vaults/{vault}/copy": {"to": "away"},
        "/v1/vaults/{vault}/keys": {"name": "recovery"},
        "/v1/plans/{name}/duplicate": {"name": "copy"},
        "/v1/plans/{name}/keep-in": {"vault": "away"},
        "/v1/plans/{name}/cutover": {"at": TOMORROW},
        "/v1/migrations/{migration}/cutover": {"at": TOMORROW},
    }
    return bodies.get(path, {})


def snapshot(api):
    """Return what there is of Ann's and of all, without what readers may change: that a provider was asked."""

    def of(store):
        providers = [replace(record, last_check=None) for record in store.providers.all()]
        return providers, store.plans.all(), [one for one in store.migrations.all() if not one.type.awaited]

    return of(api.store.scoped(Scope("project-a"))), of(api.store)


def test_two_projects_may_use_the_same_names(api, anns):
    api.did("bob", "POST", "/v1/providers", VSPHERE)
    assert api("bob", "POST", "/v1/providers", VSPHERE).status_code == 409
    shown = api.did("bob", "GET", "/v1/providers/vc")
    assert shown["project_id"] == "project-b"
    assert shown["id"] != api.did("ann", "GET", "/v1/providers/vc")["id"]
    # A provider that is called like another's id stays what it is: engines look providers up by id
    named = api.did("bob", "POST", "/v1/providers", VSPHERE | {"name": api.did("ann", "GET", "/v1/providers/vc")["id"]})
    assert api.store.providers.get(named["provider"]["name"]).project_id == "project-a"


def test_an_administrator_may_see_all_projects(api, anns):
    assert api.did("admin", "GET", "/v1/migrations") == []
    [seen] = api.did("admin", "GET", "/v1/migrations?all_projects=true")
    assert (seen["id"], seen["project_id"]) == (anns["migration"], "project-a")
    assert api("admin", "GET", f"/v1/migrations/{anns['migration']}").status_code == 404
    assert api.did("admin", "POST", f"/v1/migrations/{anns['migration']}/cancel?all_projects=1")["cancel_requested"]


def test_a_shared_provider_is_used_and_not_looked_into(api, anns):
    api.did("admin", "POST", "/v1/providers", VSPHERE | {"name": "everybodys"})
    assert api("bob", "GET", "/v1/providers/everybodys").status_code == 404
    api.did("admin", "PUT", "/v1/providers/everybodys/shares/project-b")
    assert api.did("admin", "GET", "/v1/providers/everybodys/shares") == ["project-b"]
    assert api("ann", "GET", "/v1/providers/everybodys").status_code == 404
    shown = api.did("bob", "GET", "/v1/providers/everybodys")
    assert (shown["settings"], shown["shared"]) == ({}, True)
    assert [m["name"] for m in api.did("bob", "GET", "/v1/providers/everybodys/machines")] == ["web"]
    for method, path in (("DELETE", ""), ("POST", "/check")):
        assert api("bob", method, f"/v1/providers/everybodys{path}").status_code == 403
    api.did("bob", "POST", "/v1/providers", OPENSTACK)
    api.did("bob", "POST", "/v1/migrations", MIGRATION | {"source": "everybodys"})
    # The same machine once more, for another project: refused without a word about Bob's
    api.did("admin", "PUT", "/v1/providers/everybodys/shares/*")
    refused = api("ann", "POST", "/v1/migrations", MIGRATION | {"source": "everybodys"})
    assert refused.status_code == 409
    assert refused.json()["message"] == "web is being migrated already, by another project."
    api.did("ann", "PUT", "/v1/plans/lent", PLAN | {"name": "lent", "source": "everybodys"})
    [concern] = [c for c in api.did("ann", "POST", "/v1/plans/lent/check", {}) if c["code"] == "already-migrating"]
    assert (concern["subject"], concern["text"]) == ("", "web is being migrated already, by another project.")
    for project in ("project-b", "*"):
        api.did("admin", "DELETE", f"/v1/providers/everybodys/shares/{project}")
    assert api("bob", "GET", "/v1/providers/everybodys/machines").status_code == 404
    assert len(api.did("bob", "GET", "/v1/migrations")) == 1  # his own migration is still his


def test_what_landed_at_a_provider_is_not_converted_once_that_is_no_longer_shared(api):
    api.did("admin", "POST", "/v1/providers", OPENSTACK | {"name": "lent"})
    api.did("admin", "PUT", "/v1/providers/lent/shares/project-b")
    api.did("bob", "POST", "/v1/providers", VSPHERE)
    moved = api.did("bob", "POST", "/v1/migrations", MIGRATION | {"target": "lent"})["id"]
    assert api("bob", "POST", f"/v1/migrations/{moved}/convert").status_code == 409  # it has brought nothing yet
    api.did("admin", "DELETE", "/v1/providers/lent/shares/project-b")
    refused = api("bob", "POST", f"/v1/migrations/{moved}/convert")
    assert (refused.status_code, "no longer shared" in refused.json()["message"]) == (404, True)


def test_an_administrator_starts_another_projects_plan_with_what_that_project_calls_so(api, anns):
    """Both have providers of these names."""
    api.did("admin", "POST", "/v1/providers", VSPHERE)
    api.did("admin", "POST", "/v1/providers", OPENSTACK)
    api.did("ann", "POST", f"/v1/migrations/{anns['migration']}/cancel")
    job = api.store.migrations.get(anns["migration"]).job
    api.store.migrations.end_job(anns["migration"], job.id, status="cancelled")
    plan = PLAN | {"name": "later", "mappings": {"networks": {"VM Network": "private"}}}
    api.did("ann", "PUT", "/v1/plans/later", plan)
    assert api("admin", "POST", "/v1/plans/later/start", {}).status_code == 404
    [started] = api.did("admin", "POST", "/v1/plans/later/start?all_projects=true", {})
    assert started["project_id"] == "project-a"
    record = api.store.migrations.get(started["id"])
    providers = [api.store.providers.get(id_) for id_ in (record.source_id, record.target_id)]
    assert {provider.project_id for provider in providers} == {"project-a"}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"vddk_libdir": "/home/me/lib"}, "vddk_libdir"),
        ({"vddk_plugin": "sh"}, "vddk_plugin"),
        ({"ca_file": "/etc/shadow"}, "ca_file"),
        ({"transports": "san:nbdssl"}, "san"),
    ],
)
def test_a_vcenter_names_nothing_on_the_servers_disk(api, settings, word):
    answer = api("ann", "POST", "/v1/providers", VSPHERE | {"settings": VSPHERE["settings"] | settings})
    assert answer.status_code == 400
    assert word in answer.json()["message"]


def test_a_vcenters_disks_are_read_over_ssh_by_what_the_caller_says(api):
    over_ssh = {"transport": "ssh", "ssh_host_keys": ["esx1.lab ssh-ed25519 AAAA"], "ssh_user": "u", "ssh_port": 2222}
    body = VSPHERE | {"settings": VSPHERE["settings"] | over_ssh}
    added = api.did("ann", "POST", "/v1/providers", body)
    assert added["provider"]["settings"].items() >= over_ssh.items()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"ceph_conf": "/etc/ceph/other.conf"}, "ceph_conf"),
        ({"ceph_user": "admin"}, "ceph_user"),
        ({"cacert": "/etc/shadow"}, "cacert"),
        ({"verify": False}, "verify"),
        ({"auth_type": "none", "auth": {"auth_url": "https://cloud:5000/v3", "endpoint": "http://evil"}}, "none"),
        ({"auth": {"auth_url": "https://evil:5000/v3"}}, "evil"),
        ({"auth": {"auth_url": "https://cloud:5000/v3", "application_credential_secret": "s3cret"}}, "secrets"),
        ({"auth": {"auth_url": "https://cloud:5000/v3", "password": "s3cret"}}, "secrets"),
        ({"interface": "{region_name:>300000000}"}, "interface"),
        ({"region": "x" * 2000}, "too long"),
        ({"auth": {}}, "auth_url"),
        ({"auth": "https://cloud:5000/v3"}, "auth_url"),
    ],
)
def test_an_openstack_is_one_that_the_operator_serves(api, settings, word):
    answer = api("ann", "POST", "/v1/providers", OPENSTACK | {"settings": OPENSTACK["settings"] | settings})
    assert answer.status_code == 400
    assert "s3cret" not in answer.text
    assert word in answer.json()["message"]


def test_another_openstack_is_reached_through_a_server_in_it(api):
    elsewhere = {"auth": {"auth_url": "https://elsewhere:5000/v3"}, "transport": "relay", "relay_network": "net"}
    added = api.did("ann", "POST", "/v1/providers", OPENSTACK | {"settings": elsewhere})
    assert added["provider"]["settings"] == elsewhere
    refused = api("ann", "POST", "/v1/providers", OPENSTACK | {"settings": elsewhere | {"ceph_user": "admin"}})
    assert refused.status_code == 400


def test_what_the_server_uses_of_its_own_is_the_operators(api, anns):
    assert api.did("ann", "GET", "/v1/providers/vc")["settings"]["vddk_libdir"] == "/opt/vddk"
    settings = api.did("ann", "GET", "/v1/providers/cloud")["settings"]
    assert (settings["ceph_conf"], settings["ceph_user"]) == ("/etc/ceph/cloud.conf", "cinder")


def test_workers_need_the_labels_that_the_operator_gave_a_cloud(api):
    ground = CloudGround(labels=("north",))
    api.app = create_app(
        api.store, access=replace(access(), grounds=Grounds({"https://cloud:5000/v3": ground}, "/opt/vddk"))
    )
    settings = OPENSTACK["settings"]
    added = api.did("ann", "POST", "/v1/providers", OPENSTACK)
    assert added["provider"]["settings"]["labels"] == ["north"]
    more = {"name": "more", "settings": settings | {"labels": ["north", "fast"]}}
    assert api.did("ann", "POST", "/v1/providers", OPENSTACK | more)["provider"]["settings"]["labels"] == [
        "north",
        "fast",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"before": "/tmp/play.yaml"},
        {"after": "/tmp/play.yaml"},
        {"boot_mark": "x" * 600},
        {"boot_timeout": 1e9},
    ],
)
def test_no_playbook_and_nothing_that_takes_for_ever_runs_on_the_server(api, options):
    api.did("ann", "POST", "/v1/providers", VSPHERE)
    api.did("ann", "POST", "/v1/providers", OPENSTACK)
    request = MIGRATION["request"] | options
    assert api("ann", "POST", "/v1/migrations", MIGRATION | {"request": request}).status_code == 400
    assert api("ann", "PUT", "/v1/plans/shop", PLAN | {"defaults": options}).status_code == 400
    machines = [{"machine": "web", **options}]
    assert api("ann", "PUT", "/v1/plans/shop", PLAN | {"machines": machines}).status_code == 400
    assert (
        api(
            "ann",
            "POST",
            "/v1/plans",
            {k: PLAN[k] for k in ("name", "source", "target")} | {"defaults": options, "machines": ["web"]},
        ).status_code
        == 400
    )
    assert (api.did("ann", "GET", "/v1/plans"), api.did("ann", "GET", "/v1/migrations")) == ([], [])


def test_nobody_converts_a_migration_by_naming_it_in_another(api, anns):
    for request in ({"of": anns["migration"]}, {"type": "conversion"}, {"type": "conversion", "of": anns["migration"]}):
        answer = api("ann", "POST", "/v1/migrations", MIGRATION | {"request": MIGRATION["request"] | request})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-input")


def test_files_are_not_the_callers(api, anns):
    for what in ("exports", "diffs", "imports"):
        answer = api("ann", "POST", f"/v1/tenancy/{what}", {"provider": "cloud", "directory": "/etc"})
        assert answer.status_code == 403


def test_each_answer_has_an_id_and_too_large_a_body_is_refused(tmp_path, api):
    small = Api(api.store, body_limit=1000)
    for token, method, path, status in (
        ("ann", "GET", "/v1/providers", 200),
        (None, "GET", "/v1/providers", 401),
        ("ann", "GET", "/v1/providers/nobody", 404),
        (None, "GET", "/healthz", 200),
    ):
        answer = small(token, method, path)
        assert answer.status_code == status
        assert re.fullmatch(r"req-[0-9a-f-]{36}", answer.headers["X-Openstack-Request-Id"])
    large = small("ann", "POST", "/v1/plans", {"name": "x" * 2000})
    assert (large.status_code, large.json()["code"]) == (413, "too-large")

    async def in_pieces():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(small.app), base_url="http://test") as http:

            async def pieces():
                for _ in range(20):
                    yield b"x" * 100

            return await http.post("/v1/plans", content=pieces(), headers={"X-Auth-Token": "ann"})

    assert asyncio.run(in_pieces()).status_code == 413


def test_a_fault_of_ours_is_told_by_its_id_alone(api, monkeypatch):
    def broken(_self):
        raise RuntimeError("with a s3cret-word in it")

    monkeypatch.setattr("longshore.store.providers.Providers.all", broken)
    with capture_logs([merge_contextvars]) as logs:
        answer = api("ann", "GET", "/v1/providers")
    assert (answer.status_code, answer.json()["code"]) == (500, "unforeseen")
    id_ = answer.headers["X-Openstack-Request-Id"]
    assert id_ in answer.json()["message"]
    assert [log["request_id"] for log in logs if log["event"] == "unforeseen"] == [id_]
    assert "s3cret-word" not in answer.text


def test_who_did_what_is_said_for_the_audit(api, anns):
    def audited(token, method, path, body=None):
        with capture_logs([merge_contextvars]) as logs:
            answer = api(token, method, path, body)
        said = [log for log in logs if log["event"] == "audit"]
        assert all(log["request_id"] == answer.headers["X-Openstack-Request-Id"] for log in said)
        return [(log["outcome"], log["action"], log["project_id"], log["user_id"]) for log in said]

    path = f"/v1/migrations/{anns['migration']}/cancel"
    assert audited("ann", "POST", path) == [("done", "migration:migration:cancel", "project-a", "ann")]
    assert audited("bob", "POST", path) == [("refused", "migration:migration:cancel", "project-b", "bob")]
    assert audited("ann-reader", "POST", path) == [("refused", "migration:migration:cancel", "project-a", "rita")]
    assert audited("expired", "POST", path) == [("refused", None, None, None)]
    assert audited("expired", "GET", "/v1/migrations") == [("refused", None, None, None)]
    assert audited("ann", "GET", "/v1/migrations") == []
    secret = "s3cret-in-the-body"
    with capture_logs([merge_contextvars]) as logs:
        api("ann", "POST", "/v1/providers", VSPHERE | {"name": "other", "secrets": {"password": secret}})
    assert secret not in str(logs)


def test_what_is_said_while_a_request_is_answered_has_its_id(api, anns, capsys):
    handlers, level, before = logging.root.handlers[:], logging.root.level, structlog.get_config()
    logging.root.handlers.clear()  # setting up the log would close them
    write_json(sys.stdout)
    try:
        api.did("ann", "POST", f"/v1/migrations/{anns['migration']}/cancel")
        api.store.migrations.update(anns["migration"], status="cancelled")
        capsys.readouterr()
        answer = api("ann", "POST", "/v1/migrations", MIGRATION)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    finally:
        structlog.configure(**before)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert {line["request_id"] for line in lines} == {answer.headers["X-Openstack-Request-Id"]}
    [asked] = [line for line in lines if line["event"] == "web is to be migrated"]
    assert asked["migration_id"] == answer.json()["id"]
    assert asked["logger"] == "longshore.service"


def test_whether_it_lives_is_said_to_anybody(api):
    assert api.did(None, "GET", "/healthz")["status"] == "ok"
    assert api.did(None, "GET", "/readyz")["status"] == "ok"
    [version] = api.did(None, "GET", "/")["versions"]
    assert version["links"][0]["href"] == "http://test/v1"


def test_figures_are_served_where_they_are_switched_on(api, anns):
    assert api(None, "GET", "/metrics").status_code == 404
    switched_on = Api(api.store, metrics=True)
    switched_on.did("ann", "GET", "/v1/migrations")
    text = switched_on(None, "GET", "/metrics").text
    assert 'longshore_migrations{status="queued"} 1.0' in text
    assert 'longshore_request_seconds_count{method="GET",status="200"} 1.0' in text
    assert "longshore_copies 0.0" in text
    assert 'longshore_queue{doing="waits"} 1.0' in text
    assert 'longshore_stranded{lack="labels"} 0.0' in text
    assert "longshore_workers 0.0" in text
    assert not [name for name in ("project-a", "web", "shop") if name in text]


def test_an_operators_own_rules_count(tmp_path, api):
    file = tmp_path / "policy.yaml"
    file.write_text('"migration:provider:create": "rule:migration:admin"\n')
    strict = create_app(api.store, access=access(str(file)))
    api.app = strict
    assert api("ann", "POST", "/v1/providers", VSPHERE).status_code == 403
    assert api("admin", "POST", "/v1/providers", VSPHERE).status_code == 201
    assert api("ann", "GET", "/v1/providers").status_code == 200
