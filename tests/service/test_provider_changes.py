"""A provider is changed in place: checked like a new one, its migrations keep it, and its secrets don't travel."""

import asyncio
import json

import httpx
import pytest
from cloud_stand_in import MACHINE, Cloud
from tokens import access

from in_process import longshore
from longshore.engine import embedded
from longshore.flows.clouds import Clouds
from longshore.model.status import Status
from longshore.model.target import Taken
from longshore.providers.vsphere.proxy_credentials import read_credentials
from longshore.service import create_app
from longshore.store import StateDirectory, Store

VC = {"name": "vc", "kind": "vsphere", "settings": {"host": "h", "username": "u"}, "secrets": {"password": "right"}}
CLOUD = {
    "name": "cloud",
    "kind": "openstack",
    "settings": {"auth": {"auth_url": "https://cloud:5000/v3", "username": "u", "project_name": "p"}},
    "secrets": {"password": "right"},
}
ASKED = {"machine": "web", "source": "vc", "target": "cloud", "request": {"networks": {"VM Network": "private"}}}


class Noted(Cloud):
    """Remembers with what it was opened last."""

    opened = ()

    def __init__(self, kind, settings, secrets, *more):
        Noted.opened = (kind, {name: value for name, value in settings.items() if name != "reach"}, dict(secrets))
        super().__init__(kind, settings, secrets, *more)


@pytest.fixture
def api(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Noted)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    apps = {None: create_app(store), "ann": create_app(store, access=access())}

    def ask(method, path, body=None, token=None):
        async def go():
            transport = httpx.ASGITransport(apps["ann" if token else None])
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return await http.request(method, path, json=body, headers={"X-Auth-Token": token} if token else {})

        return asyncio.run(go())

    ask.store = store
    yield ask
    store.close()


def changed(api, body, name="vc", token=None):
    answer = api("PATCH", f"/v1/providers/{name}", body, token)
    assert answer.status_code == 200, answer.text
    return answer.json()["provider"]["settings"]


def test_what_is_changed_is_used_at_the_next_connection_and_the_record_stays(api):
    for body in (VC, CLOUD):
        assert api("POST", "/v1/providers", body).status_code == 201
    migration = api("POST", "/v1/migrations", ASKED).json()["id"]
    assert changed(api, {"settings": {"fingerprint": "AA", "username": "v"}, "secrets": {"password": "newer"}}) == {
        "host": "h",
        "username": "v",
        "fingerprint": "AA",
    }
    with Clouds(api.store).source("vc"):
        assert Noted.opened == (
            "vsphere",
            {"host": "h", "username": "v", "fingerprint": "AA"},
            {"password": "newer"},
        )
    assert changed(api, {"settings": {"fingerprint": None}}) == {"host": "h", "username": "v"}
    assert Noted.opened[2] == {"password": "newer"}
    assert api("GET", f"/v1/migrations/{migration}").json()["source"] == "vc"
    assert "newer" not in api("GET", "/v1/providers/vc").text


def test_what_does_not_let_us_in_is_not_kept(api):
    api("POST", "/v1/providers", VC)
    refused = api("PATCH", "/v1/providers/vc", {"settings": {"username": "v"}, "secrets": {"password": "wrong"}})
    assert refused.status_code == 403
    assert api("GET", "/v1/providers/vc").json()["settings"] == VC["settings"]
    assert api.store.providers.secrets(api.store.providers.get("vc").id) == {"password": "right"}
    for nothing in ({}, {"settings": {}}, {"name": "x"}, {"secrets": {"password": 7}}):
        assert api("PATCH", "/v1/providers/vc", nothing).status_code == 400
    assert api("PATCH", "/v1/providers/nobody", {"settings": {"username": "v"}}).status_code == 404


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("vc", {"host": "evil"}),
        ("vc", {"port": 444}),
        ("vc", {"ca_file": "/tmp/evil.pem"}),
        ("cloud", {"auth": {"auth_url": "https://evil:5000/v3", "username": "u", "project_name": "p"}}),
        ("cloud", {"cacert": "/tmp/evil.pem"}),
        ("cloud", {"auth_type": "token"}),
    ],
)
def test_a_secret_that_nobody_gives_again_is_sent_nowhere_else(api, name, settings):
    for body in (VC, CLOUD):
        api("POST", "/v1/providers", body)
    Noted.opened = ()
    refused = api("PATCH", f"/v1/providers/{name}", {"settings": settings})
    assert refused.status_code == 400
    assert "has to be given again" in refused.json()["message"]
    assert Noted.opened == ()
    # nor with another one, of whatever name
    api("PATCH", f"/v1/providers/{name}", {"settings": settings, "secrets": {"other": "x"}})
    assert Noted.opened[2] == {"other": "x"}


def test_where_it_is_stays_while_a_migration_is_under_way_there(api):
    for body in (VC, CLOUD):
        api("POST", "/v1/providers", body)
    migration = api("POST", "/v1/migrations", ASKED).json()["id"]
    moved = {"settings": {"host": "other"}, "secrets": {"password": "right"}}
    refused = api("PATCH", "/v1/providers/vc", moved)
    assert refused.status_code == 409
    assert migration in refused.json()["message"]
    api.store.migrations.update(migration, status=Status.DONE)
    assert changed(api, moved)["host"] == "other"


def test_others_on_a_server_may_not_and_what_the_operator_set_stays(api):
    for body in (VC, CLOUD):
        assert api("POST", "/v1/providers", body, "ann").status_code == 201
    assert api("PATCH", "/v1/providers/vc", {"settings": {"username": "v"}}, "ann-reader").status_code == 403
    assert api("PATCH", "/v1/providers/vc", {"settings": {"username": "v"}}, "bob").status_code == 404
    api.store.providers.share(api.store.providers.get("vc").id, "project-b")
    assert api("PATCH", "/v1/providers/vc", {"settings": {"username": "v"}}, "bob").status_code == 403
    assert changed(api, {"settings": {"username": "v"}}, token="ann")["vddk_libdir"] == "/opt/vddk"
    for unsafe in ({"vddk_libdir": "/tmp"}, {"transports": "san"}):
        assert api("PATCH", "/v1/providers/vc", {"settings": unsafe}, "ann").status_code == 400
    kept = changed(api, {"settings": {"region": "R"}}, "cloud", "ann")
    assert (kept["region"], kept["ceph_conf"]) == ("R", "/etc/ceph/cloud.conf")
    assert api("PATCH", "/v1/providers/cloud", {"settings": {"ceph_conf": "/tmp/x"}}, "ann").status_code == 400


def test_the_command_changes_what_is_named(api, tmp_path):
    api("POST", "/v1/providers", VC)
    api("POST", "/v1/providers", CLOUD)
    (tmp_path / "password").write_text("newest\n")
    done = longshore(
        tmp_path / "state",
        *("provider", "set", "vc", "--username", "w", "--label", "north", "--password-file", tmp_path / "password"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Noted.opened[1:] == ({"host": "h", "username": "w", "labels": ["north"]}, {"password": "newest"})
    assert longshore(tmp_path / "state", "provider", "set", "vc", "--no-label").returncode == 0
    assert Noted.opened[1] == {"host": "h", "username": "w"}
    for other in ("--vddk-libdir", "--ssh-key-file"):
        wrong = longshore(tmp_path / "state", "provider", "set", "cloud", other, "/opt")
        assert f"Provider cloud is openstack: it has no {other}." in wrong.stderr
    nothing = longshore(tmp_path / "state", "provider", "set", "vc")
    assert (nothing.returncode, "Nothing of the provider" in nothing.stderr) == (1, True)


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n"


def test_what_disks_are_read_with_over_ssh_is_changed_and_only_its_secret_part_is_hidden(api, tmp_path):
    api("POST", "/v1/providers", VC)
    (tmp_path / "hosts").write_text("# esx1.lab:22 SSH-2.0\nesx1.lab ssh-ed25519 AAAA\n\n")
    (tmp_path / "more").write_text("esx2.lab ssh-ed25519 BBBB")
    (tmp_path / "key").write_text(KEY)
    hosts = ("--ssh-host-key", tmp_path / "hosts", "--ssh-host-key", tmp_path / "more")
    user = ("--ssh-user", "reader", "--ssh-port", "2222")
    done = longshore(
        tmp_path / "state",
        *("provider", "set", "vc", "--transport", "ssh", *hosts, "--ssh-key-file", tmp_path / "key", *user),
    )
    assert (done.returncode, done.stderr) == (0, "")
    keys = ["esx1.lab ssh-ed25519 AAAA", "esx2.lab ssh-ed25519 BBBB"]
    over_ssh = {"transport": "ssh", "ssh_host_keys": keys, "ssh_user": "reader", "ssh_port": 2222}
    assert Noted.opened[1:] == ({"host": "h", "username": "u", **over_ssh}, {"password": "right", "ssh_key": KEY})
    shown = longshore(tmp_path / "state", "provider", "show", "vc")
    assert "esx2.lab ssh-ed25519 BBBB" in shown.stdout
    assert "secret" not in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ssh-host-key", "/nonexistent/file"), "The host keys file /nonexistent/file can't be read"),
        (("--ssh-host-key", "/dev/null"), "There is no SSH host key in /dev/null."),
        (("--ssh-key-file", "/nonexistent/file"), "The SSH key file /nonexistent/file can't be read"),
    ],
)
def test_files_of_ssh_keys_that_hold_none(api, tmp_path, words, said):
    api("POST", "/v1/providers", VC)
    done = longshore(tmp_path / "state", "provider", "set", "vc", *words)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_the_key_that_a_proxy_knows_us_by_is_made_once_and_goes_when_nothing_needs_it(api):
    def kept():
        return api.store.providers.secrets(api.store.providers.get("vc").id)

    api("POST", "/v1/providers", VC)
    changed(api, {"settings": {"transport": "proxy", "proxies": ["longshore-proxy"]}})
    key = kept()["proxy_key"]
    assert read_credentials(key).secret == key
    assert Noted.opened[2] == {"password": "right", "proxy_key": key}, "it is what the proxy was asked with"
    changed(api, {"settings": {"username": "v"}})
    changed(api, {"secrets": {"password": "newer"}})
    assert kept() == {"password": "newer", "proxy_key": key}
    assert "PRIVATE" not in api("GET", "/v1/providers/vc").text
    changed(api, {"settings": {"transport": None, "proxies": None}})
    assert kept() == {"password": "newer"}


def test_a_warm_move_is_offered_only_where_less_than_whole_disks_can_be_read(api, tmp_path):
    api("POST", "/v1/providers", VC)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "hosts").write_text("esx1.lab ssh-ed25519 AAAA")
    over_ssh = ("--ssh-host-key", tmp_path / "hosts", "--ssh-key-file", tmp_path / "key")
    for words, moves in (
        (("vddk",), ["dry-run", "cold", "warm"]),
        (("export",), ["dry-run", "cold"]),
        (("proxy", "--proxy", "longshore-proxy"), ["dry-run", "cold", "warm"]),
        (("ssh", *over_ssh), ["dry-run", "cold"]),
    ):
        done = longshore(tmp_path / "state", "provider", "set", "vc", "--transport", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert api("GET", "/v1/providers").json()[0]["moves"] == moves, words


def test_a_library_that_is_not_there_is_found_when_it_is_named(api, tmp_path):
    missing = {**VC, "settings": {**VC["settings"], "vddk_libdir": "/nonexistent/file"}}
    refused = api("POST", "/v1/providers", missing)
    assert (refused.status_code, refused.json()["code"]) == (400, "no-vddk")
    assert api("GET", "/v1/providers").json() == []
    (library := tmp_path / "vddk/lib64").mkdir(parents=True)
    (library / "libvixDiskLib.so.8").touch()
    there = {**VC, "settings": {**VC["settings"], "vddk_libdir": str(tmp_path / "vddk")}}
    assert api("POST", "/v1/providers", there).status_code == 201
    refused = api("PATCH", "/v1/providers/vc", {"settings": {"vddk_libdir": "/nonexistent/file"}})
    assert (refused.status_code, refused.json()["code"]) == (400, "no-vddk")
    api("POST", "/v1/providers", CLOUD)
    (library / "libvixDiskLib.so.8").unlink()
    refused = api("POST", "/v1/migrations", ASKED)
    assert (refused.status_code, refused.json()["code"]) == (400, "no-vddk")
    assert api("GET", "/v1/migrations").json() == []


def test_a_machine_that_is_being_moved_is_said_to_be_whatever_its_migration_has_made(api, monkeypatch):
    for body in (VC, CLOUD):
        api("POST", "/v1/providers", body)
    plan = {"name": "shop", "source": "vc", "target": "cloud", "machines": ["web"]}
    plan["mappings"] = {"networks": {"VM Network": "private"}}
    assert api("PUT", "/v1/plans/shop", plan).status_code == 201
    migration = api("POST", "/v1/migrations", ASKED).json()["id"]
    monkeypatch.setattr(Noted, "taken", lambda *_: Taken(frozenset({MACHINE.nics[0].mac})))
    refused = api("POST", "/v1/migrations", ASKED)
    assert refused.status_code == 409
    assert refused.json()["message"].startswith(f"web is being migrated already ({migration}).")
    assert [c["code"] for c in api("POST", "/v1/plans/shop/check", {}).json()] == ["already-migrating"]
    refused = api("POST", "/v1/plans/shop/start", {})
    assert "is being migrated already" in json.dumps(refused.json())
