"""Vaults, backups and restores over REST, as commands ask for them: what is there, what is refused, what is queued."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asking import asking
from cloud_stand_in import MACHINE, Cloud

from longshore.errors import NotFound
from longshore.flows import clouds
from longshore.flows.backups.backing_up import identity_of
from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.target import Network, QuotaRoom, SourceRoom, Subnet, Taken
from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.geometry import BLOCK
from longshore.vault.vault import Vault
from point_in_vault import with_point
from s3_server import SECRET

pytestmark = pytest.mark.long

PHRASE = "a phrase of some length"


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


@pytest.fixture
def ask(store, monkeypatch):
    with asking(store, monkeypatch) as ask:
        yield ask


@pytest.fixture
def vault(ask, tmp_path):
    body = {"name": "offsite", "directory": str(tmp_path / "vault"), "pass_phrase": PHRASE}
    assert ask("POST", "/v1/vaults", body).status_code == 201
    return Vault.open(Directory(tmp_path / "vault"), "write", PHRASE)


def test_a_vault_is_made_and_its_pass_phrase_never_shown(ask, vault, tmp_path):
    (shown,) = ask("GET", "/v1/vaults").json()
    assert (shown["name"], shown["directory"]) == ("offsite", str(tmp_path / "vault"))
    checked = ask("POST", "/v1/vaults/offsite/check").json()
    assert (checked["encrypted"], checked["points"], checked["faults"]) == (True, 0, [])
    assert all(PHRASE not in ask("GET", path).text for path in ("/v1/vaults", "/v1/providers", "/v1/vaults/offsite"))
    assert (vault.store.root / "restore.py").read_text().startswith("#!/usr/bin/env python3")


def test_a_vault_is_made_in_a_bucket_and_its_secret_key_never_shown(ask, store, s3):
    where = {"endpoint": s3.endpoint, "access_key": "AKIATEST", "url": f"s3://vaults/{secrets.token_hex(4)}"}
    body = {"name": "away", **where, "secret_key": f"{SECRET}\n", "pass_phrase": PHRASE}
    made = ask("POST", "/v1/vaults", body)
    assert (made.status_code, made.json()["url"], made.json()["directory"]) == (201, where["url"], None)
    checked = ask("POST", "/v1/vaults/away/check").json()
    assert (checked["encrypted"], checked["points"], checked["faults"]) == (True, 0, [])
    again = ask("POST", "/v1/vaults", body | {"name": "other"})
    assert again.status_code == 409
    assert "name a prefix that is free" in again.text
    told = [ask("GET", path).text for path in ("/v1/vaults", "/v1/providers", "/v1/vaults/away", "/v1/providers/away")]
    assert not [text for text in [*told, made.text, again.text] if SECRET in text or PHRASE in text]
    added = {"name": "same", "kind": "vault", "settings": where}
    added["secrets"] = {"secret_key": SECRET, "pass_phrase": PHRASE}
    assert ask("POST", "/v1/providers", added).status_code == 201
    assert ask("POST", "/v1/vaults/same/check").json()["points"] == 0
    s3.fault = lambda _method, _path: (403, "SignatureDoesNotMatch")
    refused = ask("POST", "/v1/vaults/away/check")
    assert refused.status_code == 403
    assert "The secret key isn't that of the access key AKIATEST" in refused.text


def test_a_server_that_overwrites_is_noticed_by_check(ask, s3, monkeypatch):
    where = {"endpoint": s3.endpoint, "access_key": "AKIATEST", "url": f"s3://vaults/{secrets.token_hex(4)}"}
    assert ask("POST", "/v1/vaults", {"name": "away", **where, "secret_key": SECRET}).status_code == 201
    real = s3._app
    heedless = lambda environ, begin: real({n: v for n, v in environ.items() if not n.startswith("HTTP_IF_")}, begin)  # noqa: E731
    monkeypatch.setattr(s3, "_app", heedless)
    said = ask("POST", "/v1/vaults/away/check")
    assert said.status_code == 200  # what is in the vault is looked at all the same
    (fault,) = said.json()["faults"]
    assert "creates what is there already" in fault


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"directory": "/tmp/never-made-by-this-test"},
        {"endpoint": "ftp://host"},
        {"endpoint": "https://user:word@host"},
        {"url": "s3://b"},
        {"access_key": None},
        {"secret_key": None},
        {"region": "no region"},
    ],
)
def test_a_bucket_that_is_not_fully_said_is_refused_and_nothing_is_made(ask, s3, said):
    where = {"endpoint": s3.endpoint, "access_key": "AKIATEST", "url": f"s3://vaults/{secrets.token_hex(4)}"}
    body = {"name": "../v" if not said else "v", "secret_key": SECRET, **where, **said}
    answer = ask("POST", "/v1/vaults", body)
    assert answer.status_code == 400
    assert SECRET not in answer.text
    assert ask("GET", "/v1/vaults").json() == []
    assert s3.stored(where["url"]) == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "v", "directory": "relative/path"}, 400),
        ({"name": "v", "directory": "/nowhere/at/all"}, 400),
        ({"name": "v"}, 400),
        (
            {"name": "v", "directory": "/tmp/never-made-by-this-test", "pass_phrase": ""},
            400,
        ),  # no wish for one in clear
        ({"name": "../v", "directory": "/tmp/x"}, 400),
        ({"name": "offsite", "directory": "/tmp/never-made-by-this-test"}, 409),
    ],
)
@pytest.mark.usefixtures("vault")
def test_a_vault_that_cannot_be_made_is_refused_and_nothing_stays(ask, body, status):
    assert ask("POST", "/v1/vaults", body).status_code == status
    assert len(ask("GET", "/v1/vaults").json()) == 1


def test_a_directory_with_something_in_it_is_left_alone(ask, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    answer = ask("POST", "/v1/vaults", {"name": "v", "directory": str(tmp_path / "full")})
    assert answer.status_code == 409
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_a_vault_of_another_installation_is_added_with_its_points(ask, tmp_path):
    other = Vault.create(Directory(tmp_path / "other"), PHRASE)
    name = with_point(other, tmp_path)
    body = {"name": "theirs", "kind": "vault", "settings": {"directory": str(tmp_path / "other")}}
    assert ask("POST", "/v1/providers", {**body, "secrets": {"pass_phrase": "wrong"}}).status_code == 403
    assert ask("POST", "/v1/providers", {**body, "secrets": {"pass_phrase": PHRASE + "\n"}}).status_code == 201
    (point,) = ask("GET", "/v1/vaults/theirs/points").json()
    assert (point["name"], point["machine_name"], point["size"]) == (name, "web", 4 * BLOCK)


def test_points_are_shown_by_any_of_their_names_and_deleted_by_the_whole_one(ask, vault, tmp_path):
    name = with_point(vault, tmp_path)
    newest = with_point(vault, tmp_path)
    for word in (name, name.rpartition("/")[2]):
        assert ask("GET", f"/v1/vaults/offsite/points/{word}").json()["name"] == name
    shown = ask("GET", "/v1/vaults/offsite/points/web").json()
    assert (shown["name"], shown["machine"]["cpus"], shown["consistency"]) in [(newest, 1, "crash"), (name, 1, "crash")]
    assert ask("DELETE", "/v1/vaults/offsite/points/web").status_code == 400
    assert ask("DELETE", f"/v1/vaults/offsite/points/{name}").status_code == 200
    assert ask("GET", f"/v1/vaults/offsite/points/{name}").status_code == 404
    assert [point["name"] for point in ask("GET", "/v1/vaults/offsite/points").json()] == [newest]


def test_verification_and_prune_are_queued_one_at_a_time(ask, store, vault):
    begun = ask("POST", "/v1/vaults/offsite/verify")
    assert (begun.status_code, begun.json()["request"]["type"]) == (202, "verification")
    refused = ask("POST", "/v1/vaults/offsite/prune")
    assert refused.status_code == 409
    assert refused.json()["message"].startswith(f"offsite is being verified already ({begun.json()['id']}).")
    assert len(store.migrations.all()) == 1


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/backups", {"machine": "web", "source": "offsite", "vault": "offsite"}),
        ("/v1/backups", {"machine": "web", "source": "nobody", "vault": "offsite"}),
        ("/v1/restores", {"vault": "offsite", "point": "web", "target": "offsite"}),
        ("/v1/restores", {"vault": "offsite", "point": "web", "target": "offsite", "request": {"type": "warm"}}),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_queued(ask, store, path, body):
    assert ask("POST", path, body).status_code in (400, 404)
    assert store.migrations.all() == []


def test_nothing_is_migrated_into_a_vault(ask, store, vault, tmp_path):
    name = with_point(vault, tmp_path)
    body = {"vault": "offsite", "point": name, "target": "offsite"}
    answer = ask("POST", "/v1/restores", body)
    assert answer.status_code == 400
    assert "machines can't be moved to it" in answer.json()["message"]
    assert store.migrations.all() == []


SERVER = Machine(
    *("s-1", "web", PowerState.ON, 1, 256, (Disk("v-1", "volume web", 0, 4 * BLOCK, "v-1", "ceph"),)),
    (Nic("p-1", "port p-1", "fa:16:3e:00:00:01", "private", addresses=("10.0.0.5",)),),
    platform=Platform("openstack"),
)


class CloudWithServer(Cloud):
    def machine(self, ref):
        if ref != SERVER.ref:
            raise NotFound(f"There is no server {ref}.")
        return SERVER

    def taken(self, _network, macs, _addresses):
        mine = frozenset({"fa:16:3e:00:00:01"}) & frozenset(macs)
        return Taken(macs=mine, addresses=frozenset({"10.0.0.5"}))


@pytest.fixture
def place(ask, store, vault, tmp_path, monkeypatch):
    """A server that was backed up, and asks to have its place taken."""
    told = form(Machine).dump_python(SERVER, mode="json")
    name = with_point(vault, tmp_path, machine={**told, "disks": [{**told["disks"][0], "key": "2000"}]})
    real = clouds.connect
    monkeypatch.setattr(
        clouds, "connect", lambda kind, *rest: (real if kind == "vault" else CloudWithServer)(kind, *rest)
    )
    store.providers.add("cloud", "openstack", {}, {})
    body = {"vault": "offsite", "point": name, "target": "cloud", "request": {"type": "in-place"}}
    return lambda path="", **said: ask("POST", f"/v1/restores{path}", {**body, "request": {**body["request"], **said}})


def test_a_restore_in_place_is_begun_for_the_server_of_its_point(ask, store, place):
    concerns = place("/check", accept=["server-has-more-disks"]).json()
    assert "server-stays" in [one["code"] for one in concerns]
    assert [one for one in concerns if one["severity"] == "blocker"] == []
    refused = place()
    assert (refused.status_code, "isn't in the point" in refused.text) == (400, True), "v-1 is no disk of the point"
    assert store.migrations.all() == []
    begun = place(accept=["server-has-more-disks"])
    assert begun.status_code == 202, begun.text
    (record,) = store.migrations.all()
    assert (record.machine_name, record.request["replaces"], record.request["power"]) == ("web", "s-1", "on")
    assert place(accept=["server-has-more-disks"]).status_code == 409
    assert ask("POST", f"/v1/restores/{record.id}/commit").status_code == 409, "it isn't up yet"
    undone = ask("POST", f"/v1/restores/{record.id}/undo")
    assert (undone.status_code, undone.json()["cancel_requested"]) == (202, True)


def test_a_server_on_one_of_two_networks_of_one_name_is_restored_onto_its_own(place, monkeypatch):
    nic = replace(SERVER.nics[0], network_ref="n-2")
    monkeypatch.setitem(globals(), "SERVER", replace(SERVER, nics=(nic,)))
    twins = [Network(id_, "private", False, True, (Subnet("s", "10.0.0.0/24", True),)) for id_ in ("n-1", "n-2")]
    monkeypatch.setattr(CloudWithServer, "networks", lambda _cloud: twins)
    concerns = place("/check", accept=["server-has-more-disks"]).json()
    assert [one["code"] for one in concerns if one["severity"] == "blocker"] == []


@pytest.mark.parametrize(
    "said",
    [
        {"networks": {"private": "other"}},
        {"landing": "convert"},
        {"keep": True},
        {"replaces": "s-2"},
        {"isolated": True},
    ],
)
def test_what_a_restore_in_place_cannot_mean_is_refused(store, place, said):
    answer = place(**said)
    assert (answer.status_code, store.migrations.all()) == (400, []), answer.text


def test_a_server_is_restored_onto_networks_called_as_its_own_unless_others_are_said(store, place, monkeypatch):
    monkeypatch.setattr(CloudWithServer, "taken", lambda *_: Taken())
    with monkeypatch.context() as renamed:
        renamed.setattr(CloudWithServer, "networks", lambda self: [replace(*Cloud.networks(self), name="other")])
        refused = place(type="cold")
        assert (refused.status_code, '"private"' in refused.json()["message"]) == (400, True), refused.text
        said = place("/check", type="cold", networks={"private": "other"}).json()
        assert [one for one in said if one["severity"] == "blocker"] == []
    assert place(type="cold").status_code == 202
    (record,) = store.migrations.all()
    assert record.request["networks"] == {"private": "private"}


def test_only_a_server_has_a_place_to_be_taken(ask, store, vault, tmp_path, place):
    name = with_point(vault, tmp_path, "db", datetime.now(UTC) + timedelta(seconds=1))
    body = {"vault": "offsite", "point": name, "target": "cloud", "request": {"type": "in-place"}}
    answer = ask("POST", "/v1/restores", body)
    assert (answer.status_code, "Leave --in-place out" in answer.text) == (400, True)
    body["request"]["networks"] = {"VM Network": "private"}  # what it is comes before how it is asked for
    again = ask("POST", "/v1/restores", body)
    assert (again.status_code, again.json()["message"]) == (400, answer.json()["message"])
    mapped = {"type": "cold", "networks": {"VM Network": "private"}}
    other = ask("POST", "/v1/restores", {**body, "request": mapped})
    assert other.status_code == 202, other.text
    for word in ("commit", "undo"):
        told = ask("POST", f"/v1/restores/{other.json()['id']}/{word}")
        assert (told.status_code, "isn't a restore in place" in told.text) == (409, True)


def test_contents_come_a_page_at_a_time_newest_first_and_say_why_a_point_stays(ask, store, vault, tmp_path):
    source = {"name": "images", "kind": "files", "settings": {"url": f"file://{tmp_path}"}, "secrets": {}}
    assert ask("POST", "/v1/providers", source).status_code == 201
    wanted = {"name": "nightly", "source": "images", "vault": "offsite", "filter": {}, "schedule": "every 1d"}
    policy = ask("POST", "/v1/backup-policies", {**wanted, "retention": "last 1"}).json()["id"]
    days = [datetime.now(UTC) - timedelta(days=age) for age in (3, 2, 1, 0)]
    by_hand = with_point(vault, tmp_path, "mail", days[0])
    old, newer = (with_point(vault, tmp_path, "Web", day, policy=policy) for day in days[1:3])
    gone = with_point(vault, tmp_path, "db", days[3], policy="deleted")
    first = ask("GET", "/v1/vaults/offsite/contents?limit=2").json()
    assert (first["encrypted"], first["of"], first["total"]) == (True, 4, 4)
    assert [(one["name"], one["policy"], one["kept"]) for one in first["points"]] == [
        (gone, None, None),
        (newer, "nightly", ["newest usable point", "last 1: number 1"]),
    ]
    second = ask("GET", "/v1/vaults/offsite/contents?limit=2&offset=2").json()
    assert [(one["name"], one["policy"], one["kept"]) for one in second["points"]] == [
        (old, "nightly", []),
        (by_hand, None, None),
    ]
    found = ask("GET", "/v1/vaults/offsite/contents?machine=WEB&limit=1").json()
    assert (found["of"], found["total"], [one["name"] for one in found["points"]]) == (4, 2, [newer])
    assert ask("GET", "/v1/vaults/offsite/contents?limit=0").status_code == 400
    assert ask("GET", "/v1/vaults/images/contents").status_code == 400


def test_a_disk_of_a_point_becomes_a_volume_and_keeps_its_point_meanwhile(ask, store, vault, tmp_path, monkeypatch):
    name = with_point(vault, tmp_path)
    real = clouds.connect
    monkeypatch.setattr(clouds, "connect", lambda kind, *rest: (real if kind == "vault" else Cloud)(kind, *rest))
    cloud = store.providers.add("cloud", "openstack", {}, {})
    body = {"vault": "offsite", "point": "web", "target": "cloud"}
    for wrong in (
        {"disk": 2},
        {"disk": 0},
        {"disk": 1, "request": {"type": "dry-run"}},
        {"request": {"type": "volume"}},
    ):
        assert ask("POST", "/v1/restores", body | wrong).status_code == 400, wrong
    assert store.migrations.all() == []
    begun = ask("POST", "/v1/restores", body | {"disk": 1})
    assert begun.status_code == 202, begun.text
    (record,) = store.migrations.all()
    assert (record.machine_name, record.machine_ref, record.target_id) == ("web-0", f"volume:{name}/2000", cloud.id)
    assert begun.json()["request"]["type"] == "volume"
    assert ask("POST", "/v1/restores", body | {"disk": 1}).status_code == 409, "it is being made"
    refused = ask("DELETE", f"/v1/vaults/offsite/points/{name}")
    assert (refused.status_code, record.id in refused.json()["message"]) == (409, True)


def test_what_stands_against_a_restore_is_told_and_nothing_is_made(ask, store, vault, tmp_path, monkeypatch):
    with_point(vault, tmp_path)
    real = clouds.connect
    monkeypatch.setattr(clouds, "connect", lambda kind, *rest: (real if kind == "vault" else Cloud)(kind, *rest))
    store.providers.add("cloud", "openstack", {}, {})
    body = {"vault": "offsite", "point": "web", "target": "cloud"}
    found = ask("POST", "/v1/restores/check", body)
    assert found.status_code == 200, found.text
    assert {"web"} == {one["machine"] for one in found.json()}
    assert "network-unmapped" in [one["code"] for one in found.json() if one["severity"] == "blocker"]
    mapped = {"request": {"networks": {"VM Network": "private"}}}
    assert "network-unmapped" not in [one["code"] for one in ask("POST", "/v1/restores/check", body | mapped).json()]
    assert ask("POST", "/v1/restores/check", body | {"request": {"type": "warm"}}).status_code == 400
    assert ask("POST", "/v1/restores/check", body | {"point": "nobody"}).status_code == 404
    assert store.migrations.all() == []


def test_a_damaged_point_is_shown_as_damaged_and_deleted_by_its_name(ask, vault, tmp_path):
    good, bad = (with_point(vault, tmp_path, content_of_disk=content * 1000) for content in (b"old", b"new"))
    (vault.store.root / f"points/{bad}.point").write_bytes(b"")
    found = ask("GET", "/v1/vaults/offsite/points").json()
    assert {one["name"]: one["damaged"] is None for one in found} == {good: True, bad: False}
    assert {one["machine_name"] for one in found} == {"web"}
    contents = ask("GET", "/v1/vaults/offsite/contents").json()
    assert [one["name"] for one in contents["points"] if one["damaged"]] == [bad]
    (fault,) = ask("POST", "/v1/vaults/offsite/check").json()["faults"]
    assert bad in fault
    assert ask("GET", f"/v1/vaults/offsite/points/{good}").status_code == 200
    assert ask("DELETE", f"/v1/vaults/offsite/points/{bad}").status_code == 200
    assert [one["name"] for one in ask("GET", "/v1/vaults/offsite/points").json()] == [good]
    assert ask("DELETE", f"/v1/vaults/offsite/points/{bad}").status_code == 404
    (vault.store.root / "Thumbs.db").write_bytes(b"x")
    checked = ask("POST", "/v1/vaults/offsite/check").json()
    assert (checked["faults"], checked["passed_over"]) == ([], ["Thumbs.db"])


def test_a_point_that_is_held_is_deleted_by_nobody_until_it_is_released(ask, vault, tmp_path):
    point = with_point(vault, tmp_path)
    at = f"/v1/vaults/offsite/points/{point}"
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    held = ask("POST", f"{at}/hold", {"name": "audit", "until": until})
    assert (held.status_code, held.json()["hold"]["name"]) == (200, "audit"), held.text
    assert ask("GET", at).json()["hold"]["name"] == "audit"
    assert [one["hold"]["name"] for one in ask("GET", "/v1/vaults/offsite/points").json()] == ["audit"]
    refused = ask("DELETE", at)
    assert (refused.status_code, refused.json()["code"]) == (409, "point-held")
    assert f"longshore backup release {point} --name audit" in refused.json()["message"]
    assert ask("POST", f"{at}/hold", {}).status_code == 409
    assert ask("POST", f"{at}/release", {"name": "other"}).status_code == 404
    assert ask("POST", f"{at}/release", {"name": "audit"}).json()["hold"] is None
    assert ask("DELETE", at).status_code == 200
    assert ask("POST", f"{at}/hold", {}).status_code == 404
    assert not list(vault.store.names("holds"))


def test_a_check_of_a_policy_says_which_of_its_machines_is_gone_and_checks_the_others(ask, store, vault, monkeypatch):
    real = clouds.connect
    monkeypatch.setattr(
        clouds, "connect", lambda kind, *rest: (real if kind == "vault" else CloudWithLittleRoom)(kind, *rest)
    )
    store.providers.add("cloud", "openstack", {}, {})
    wanted = {"name": "nightly", "source": "cloud", "vault": "offsite", "machines": ["s-1"], "schedule": "every 1d"}
    made = ask("POST", "/v1/backup-policies", {**wanted, "retention": "last 1"}).json()
    store.backup_policies.change(made["id"], machines=["gone", "s-1"])
    gone, *others = ask("POST", "/v1/backup-policies/nightly/check").json()
    assert (gone["code"], gone["machine"], gone["text"]) == ("machine-not-found", "gone", "There is no server gone.")
    assert "longshore backup policy set" in gone["advice"]
    assert "source-quota-snapshots" in [one["code"] for one in others]


def test_a_vault_is_copied_into_another_and_never_in_clear_unasked(ask, vault, store, tmp_path):
    assert ask("POST", "/v1/vaults", {"name": "clear", "directory": str(tmp_path / "clear")}).status_code == 201
    store.providers.add("again", "vault", {"directory": str(tmp_path / "vault")}, {"pass_phrase": PHRASE})
    refused = ask("POST", "/v1/vaults/offsite/copy", {"to": "clear"})
    assert (refused.status_code, "--in-clear" in refused.json()["message"]) == (400, True)
    assert ask("POST", "/v1/vaults/offsite/copy", {"to": "again"}).status_code == 400
    assert ask("POST", "/v1/vaults/offsite/copy", {"to": "nobody"}).status_code == 404
    assert store.migrations.all() == []
    begun = ask("POST", "/v1/vaults/offsite/copy", {"to": "clear", "in_clear": True})
    assert (begun.status_code, begun.json()["request"]["type"]) == (202, "vault-copy")
    assert ask("POST", "/v1/vaults/offsite/copy", {"to": "clear", "in_clear": True}).status_code == 409
    assert ask("POST", "/v1/vaults/clear/copy", {"to": "offsite"}).status_code == 202


class CloudWithLittleRoom(CloudWithServer):
    snapshots = 0

    def machines(self, _wanted):
        return iter([SERVER])

    def room(self):
        return SourceRoom(QuotaRoom(None, None, None, None, None, self.snapshots, None), False)


def test_the_quota_is_said_before_a_backup_and_before_a_policy_runs(ask, store, vault, monkeypatch):
    real = clouds.connect
    monkeypatch.setattr(
        clouds, "connect", lambda kind, *rest: (real if kind == "vault" else CloudWithLittleRoom)(kind, *rest)
    )
    store.providers.add("cloud", "openstack", {}, {})
    body = {"machine": "s-1", "source": "cloud", "vault": "offsite"}
    monkeypatch.setattr(CloudWithLittleRoom, "snapshots", 1)
    (later,) = (one for one in ask("POST", "/v1/backups/check", body).json() if one["code"].startswith("source-quota"))
    assert (later["code"], later["severity"], later["machine"]) == ("source-quota-next-backup", "warning", "web")
    assert "room for 1 volume snapshot(s), the next backup of web needs 2." in later["text"]
    monkeypatch.setattr(CloudWithLittleRoom, "snapshots", 0)
    said = "The source project's quota has room for 0 volume snapshot(s), web needs 1."
    assert said in [one["text"] for one in ask("POST", "/v1/backups/check", body).json()]
    refused = ask("POST", "/v1/backups", body)
    assert (refused.status_code, refused.json()["code"], said in refused.text) == (400, "source-quota-snapshots", True)
    assert store.migrations.all() == []
    wanted = {"name": "nightly", "source": "cloud", "vault": "offsite", "filter": {}, "schedule": "every 1d"}
    assert ask("POST", "/v1/backup-policies", {**wanted, "retention": "last 1"}).status_code == 201
    assert said in [one["text"] for one in ask("POST", "/v1/backup-policies/nightly/check").json()]
    assert ask("POST", "/v1/backups", {**body, "request": {"accept": ["source-quota-snapshots"]}}).status_code == 202


def test_a_replica_is_seeded_from_a_backup_of_its_own_machine(ask, store, vault, tmp_path, monkeypatch):
    machine = replace(MACHINE, change_tracking=True)
    own = with_point(vault, tmp_path, identity_of(machine), None, bytes(1 << 20), change_ids={"2000": "52/1"})
    others = with_point(vault, tmp_path, "another", None, bytes(1 << 20))
    smaller = with_point(vault, tmp_path, identity_of(machine))
    real = clouds.connect
    monkeypatch.setattr(clouds, "connect", lambda kind, *rest: (real if kind == "vault" else Cloud)(kind, *rest))
    monkeypatch.setattr(Cloud, "machine", lambda _cloud, _name: machine)
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {}, {})
    mapped = {"networks": {"VM Network": "private"}}
    body = {"machine": "web", "source": "vc", "target": "cloud", "audit": "every 7d", "request": mapped}
    for point, words in ((others, "isn't web's"), (smaller, "in its size"), ("nobody", "There is no point nobody")):
        refused = ask("POST", "/v1/replicas", {**body, "seed": {"vault": "offsite", "point": point}})
        assert (400 <= refused.status_code < 500, words in refused.text) == (True, True), refused.text
    assert ask("POST", "/v1/replicas", {**body, "seed": {"vault": "vc", "point": own}}).status_code == 400
    assert store.migrations.all() == []
    word = own.rpartition("/")[2]
    made = ask("POST", "/v1/replicas", {**body, "seed": {"vault": "offsite", "point": word}})
    assert made.status_code == 202, made.text
    assert made.json()["seed"] == {"vault": "offsite", "point": own}
    assert made.json()["audit_due_at"] is not None, "its first sync needn't be one"
    told = [event.text for event in store.events.of(made.json()["id"])]
    assert not [text for text in told if "reads all" in text]
    refused = ask("DELETE", f"/v1/vaults/offsite/points/{own}")
    assert (refused.status_code, made.json()["id"] in refused.text) == (409, True)


def test_what_a_seed_cannot_spare_is_said(ask, store, vault, tmp_path, monkeypatch):
    with_point(vault, tmp_path, identity_of(MACHINE), None, bytes(1 << 20))
    real = clouds.connect
    monkeypatch.setattr(clouds, "connect", lambda kind, *rest: (real if kind == "vault" else Cloud)(kind, *rest))
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {}, {})
    mapped = {"networks": {"VM Network": "private"}}
    body = {"machine": "web", "source": "vc", "target": "cloud", "request": mapped}
    (name,) = (point["name"] for point in ask("GET", "/v1/vaults/offsite/points").json())
    made = ask("POST", "/v1/replicas", {**body, "seed": {"vault": "offsite", "point": name}})
    assert made.status_code == 202, made.text
    told = [event.text for event in store.events.of(made.json()["id"])]
    assert any("The first sync of web reads all of these disks: Hard disk 1." in text for text in told), told


def test_the_quota_that_a_restore_needs_is_said_by_name_and_nothing_is_made(ask, store, vault, tmp_path, monkeypatch):
    with_point(vault, tmp_path)
    real = clouds.connect
    monkeypatch.setattr(clouds, "connect", lambda kind, *rest: (real if kind == "vault" else Cloud)(kind, *rest))
    monkeypatch.setattr(Cloud, "quota_room", lambda _cloud: QuotaRoom(0, 0, 0, 0, 0, 0, 0))
    store.providers.add("cloud", "openstack", {}, {})
    body = {"vault": "offsite", "point": "web", "target": "cloud", "request": {"networks": {"VM Network": "private"}}}
    concerns = {one["code"]: one["text"] for one in ask("POST", "/v1/restores/check", body).json()}
    needed = {"instances": 1, "cores": 1, "memory": 256, "volumes": 1, "gigabytes": 2, "snapshots": 1, "ports": 1}
    for what, count in needed.items():
        assert concerns[f"quota-{what}"].endswith(f", web needs {count}."), concerns[f"quota-{what}"]
    refused = ask("POST", "/v1/restores", body)
    assert (refused.status_code, "has room for 0 CPU(s), web needs 1." in refused.text) == (400, True)
    assert store.migrations.all() == []
