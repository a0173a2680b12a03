"""Vaults on a server: each project's own, in buckets of the S3 servers that the operator names."""

import json
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cloud_stand_in import Cloud
from test_tenants import OPENSTACK, Api
from tokens import GROUNDS, access

from longshore.engine import embedded
from longshore.flows import clouds
from longshore.service import create_app, providers
from longshore.store import StateDirectory, Store
from s3_server import SECRET

pytestmark = pytest.mark.long


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


@pytest.fixture
def api(store, s3, monkeypatch):
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    api = Api(store)
    grounds = replace(GROUNDS, vault_endpoints=(s3.endpoint,))
    api.app = create_app(store, access=replace(access(), grounds=grounds))
    return api


@pytest.fixture
def body(s3):
    where = {"endpoint": s3.endpoint, "access_key": "AKIATEST", "url": f"s3://vaults/{secrets.token_hex(4)}"}
    return {"name": "away", **where, "secret_key": SECRET, "pass_phrase": "words of a project"}


def test_a_vault_is_its_projects_own(api, body):
    made = api("ann", "POST", "/v1/vaults", body)
    assert made.status_code == 201, made.text
    assert [one["name"] for one in api("ann", "GET", "/v1/vaults").json()] == ["away"]
    checked = api("ann", "POST", "/v1/vaults/away/check")
    assert (checked.status_code, checked.json()["points"]) == (200, 0)
    assert api("bob", "GET", "/v1/vaults").json() == []
    assert api("bob", "GET", "/v1/vaults/away").status_code == 404
    told = [api("ann", "GET", path).text for path in ("/v1/vaults/away", "/v1/providers/away")]
    assert not [text for text in [*told, made.text] if SECRET in text or "words of a project" in text]


def test_one_that_is_there_is_added_by_its_keys(api, body):
    assert api("ann", "POST", "/v1/vaults", body).status_code == 201
    settings = {name: body[name] for name in ("url", "endpoint", "access_key")}
    kept = {name: body[name] for name in ("secret_key", "pass_phrase")}
    added = {"name": "same", "kind": "vault", "settings": settings, "secrets": kept}
    assert api("bob", "POST", "/v1/providers", added).status_code == 201
    assert api("bob", "POST", "/v1/vaults/same/check").json()["points"] == 0


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"endpoint": "https://elsewhere.example.org"}, "that its operator names"),
        ({"endpoint": None}, "that its operator names"),
        ({"endpoint": None, "url": None, "access_key": None, "secret_key": None, "directory": "/tmp/v"}, '"directory"'),
    ],
)
def test_elsewhere_no_vault_is_made_for_callers(api, body, store, said, why):
    answer = api("ann", "POST", "/v1/vaults", {**body, **said})
    assert answer.status_code in (400, 403), answer.text
    assert why in answer.json()["message"]
    assert store.providers.all() == []


def test_where_the_operator_names_none_none_is_kept(store, body, monkeypatch):
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    answer = Api(store)("ann", "POST", "/v1/vaults", body)
    assert (answer.status_code, "vault_endpoints" in answer.text) == (403, True)


@pytest.mark.parametrize("when", ["before", "after"])
def test_no_playbook_around_a_snapshot_runs_on_the_server(api, body, when, tmp_path, monkeypatch):
    real = clouds.connect
    for module in (clouds, providers):
        monkeypatch.setattr(module, "connect", lambda kind, *rest: (real if kind == "vault" else Cloud)(kind, *rest))
    assert api("ann", "POST", "/v1/vaults", body).status_code == 201
    assert api("ann", "POST", "/v1/providers", OPENSTACK).status_code == 201
    book = tmp_path / "book.yml"
    book.write_text("[]")
    wanted = {"name": "nightly", "source": "cloud", "vault": "away", "filter": {}, "schedule": "daily"}
    wanted |= {"retention": "last 1"}
    asked = {"machine": "web", "source": "cloud", "vault": "away", "request": {when: str(book)}}
    refused = [
        api("ann", "POST", "/v1/backup-policies", {**wanted, when: str(book)}),
        api("ann", "POST", "/v1/backups", asked),
        api("ann", "POST", "/v1/backups/check", asked),
    ]
    assert api("ann", "POST", "/v1/backup-policies", wanted).status_code == 201
    refused.append(api("ann", "PATCH", "/v1/backup-policies/nightly", {when: str(book)}))
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(400, "not-on-a-server")] * 4
    assert api("ann", "GET", "/v1/backup-policies/nightly").json()[when] is None


APART = """
import asyncio, json, os, sys, time
sys.path[:0] = [sys.argv[2]]
from dataclasses import replace
from pathlib import Path
from httpx import ASGITransport, AsyncClient
from tokens import GROUNDS, access
from longshore.engine import embedded
from longshore.processes.apart import Apart
from longshore.service import create_app, vaults
from longshore.store import StateDirectory, Store

embedded.ensure_running = lambda _state: None
verify = vaults.verify
place, body = Path(sys.argv[1]), json.loads(sys.stdin.read())

def told(vault, **how):
    began = time.monotonic()
    time.sleep(0.5)
    with (place / "told").open("a") as file:
        print(os.getpid(), began, time.monotonic(), file=file)
    return verify(vault, **how)

vaults.verify = told
store, apart = Store(StateDirectory(place / "state")), Apart()
grounds = replace(GROUNDS, vault_endpoints=(body["endpoint"],))
app = create_app(store, access=replace(access(), grounds=grounds), apart=apart)
apart.begin()

async def ask():
    headers = {"X-Auth-Token": "ann"}
    client = AsyncClient(transport=ASGITransport(app), base_url="http://here", headers=headers, timeout=60)
    async with client:
        assert (await client.post("/v1/vaults", json=body)).status_code == 201
        checks = [client.post(f"/v1/vaults/{name}/check") for name in ("away", "away", "missing")]
        return [(one.status_code, one.json()) for one in await asyncio.gather(*checks)]

answers = asyncio.run(ask())
apart.close()
print(json.dumps({"answers": answers, "here": os.getpid(), "told": (place / "told").read_text().split()}))
"""


def test_all_of_a_vault_is_read_apart_and_once_at_a_time(tmp_path, body):
    """Whoever has many vaults checked, or one of somebody hostile, leaves the server to the others."""
    command = [sys.executable, "-c", APART, str(tmp_path), str(Path(__file__).parent)]
    ended = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert [status for status, _ in said["answers"]] == [200, 200, 404]
    assert said["answers"][0][1]["points"] == 0
    first, began, until, second, after, _ = said["told"]
    assert len({first, second, str(said["here"])}) == 3
    assert float(began) < float(until) <= float(after)
