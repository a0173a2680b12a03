"""Replicas and their groups as files: told, applied as a whole or not at all, the same again for nothing."""

from datetime import timedelta

import pytest
from cloud_stand_in import Cloud
from test_replicas_api import NEW, REPLICAS, api, with_point  # noqa: F401 api is a fixture
from test_tenants import VSPHERE

from in_process import longshore
from longshore.engine import embedded
from longshore.errors import NotFound
from longshore.planning import replicafile
from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

FILE = "/v1/replica-file"
WEB = {
    "machine": "web",
    "source": "vc",
    "target": "cloud",
    "schedule": "every 15m",
    "retention": "last 2, daily 3, zone UTC",
    "rpo": "30m",
    "networks": {"VM Network": "private"},
}
SHOP = {"name": "shop", "members": {"web": 1}, "gates": {"1": {"pause": "2m"}}}
SECRET = "#cloud-config\npassword: swordfish-of-the-shop"


def apply(api, content, token="ann"):  # noqa: F811
    return [(one["kind"], one["name"], one["what"]) for one in api.did(token, "PUT", FILE, content)]


def test_what_is_told_is_what_was_applied_and_the_same_again_changes_nothing(api):  # noqa: F811
    content = {"replicas": [WEB | {"audit": "weekly sunday 03:00 UTC", "landing": "as-is"}], "groups": [SHOP]}
    assert apply(api, content) == [("replica", "web", "made"), ("group", "shop", "made")]
    (replica,) = api.did("ann", "GET", REPLICAS)
    assert (replica["rpo"], replica["audit"], replica["request"]["landing"]) == (
        1800,
        content["replicas"][0]["audit"],
        "as-is",
    )
    told = api.did("ann-reader", "GET", FILE)
    assert told == content
    assert apply(api, told) == [("replica", "web", "as it was"), ("group", "shop", "as it was")]
    assert api.did("ann", "GET", REPLICAS)[0]["due_at"] == replica["due_at"]
    text = replicafile.write(replicafile.from_plain(told))
    assert replicafile.plain(replicafile.read(text, "f.yaml")) == replicafile.plain(replicafile.from_plain(told))
    assert api.did("bob", "GET", FILE) == {}
    assert api("ann-reader", "PUT", FILE, content).status_code == 403


def test_what_the_file_says_otherwise_is_changed(api):  # noqa: F811
    apply(api, {"replicas": [WEB], "groups": [SHOP]})
    before = api.did("ann", "GET", f"{REPLICAS}/web")
    without = {name: value for name, value in WEB.items() if name != "rpo"}
    change = {"replicas": [without | {"schedule": "hourly", "retention": "last 5"}], "groups": [SHOP | {"gates": {}}]}
    assert apply(api, change) == [("replica", "web", "changed"), ("group", "shop", "changed")]
    after = api.did("ann", "GET", f"{REPLICAS}/{before['id']}")
    assert (after["schedule"], after["retention"], after["rpo"]) == ("hourly", "last 5, zone UTC", None)
    assert after["id"] == before["id"]
    assert after["due_at"] != before["due_at"]
    assert api.did("ann", "GET", "/v1/replica-groups/shop")["gates"] == {}
    # A group has the replicas that the file says, and no others
    api.did("ann", "POST", "/v1/providers", VSPHERE | {"name": "vc2"})
    second = api.did("ann", "POST", REPLICAS, NEW | {"source": "vc2"})
    moved = {"groups": [{"name": "shop", "members": {second["id"]: 3}}]}
    assert apply(api, moved) == [("group", "shop", "changed")]
    assert [one["replica"] for one in api.did("ann", "GET", "/v1/replica-groups/shop")["members"]] == [second["id"]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schedule": "sometimes"}, "replicas.1.schedule"),
        ({"schedule": "continuous", "rpo": None}, "needs an RPO"),
        ({"retention": "last 0"}, "keeps nothing"),
        ({"rpo": 30}, '"rpo" has to be a text'),
        ({"networks": {}}, "VM Network"),
        ({"network": {}}, 'Did you mean "networks"?'),
        ({"source": "nowhere"}, "There is no provider"),
        ({"before": "/x.yml"}, '"before" isn\'t known here'),
        ({"boot_timeout": "long"}, '"boot_timeout" isn\'t right'),
        ({"machine": "nobody"}, "nobody"),
        ({"user_data": "(9 characters, kept encrypted: " + "0" * 32 + ")"}, "only stands for a text"),
    ],
)
def test_a_replica_that_cant_be_is_refused_and_changes_nothing(api, monkeypatch, change, sentence):  # noqa: F811
    api.did("ann", "POST", "/v1/providers", VSPHERE | {"name": "vc2"})
    machine = Cloud.machine

    def there(cloud, name):
        if name == "nobody":
            raise NotFound("There is no machine nobody.")
        return machine(cloud, name)

    monkeypatch.setattr(Cloud, "machine", there)
    content = {"replicas": [WEB | {"source": "vc2"}, WEB | change], "groups": [SHOP | {"members": {"vc2:web": 1}}]}
    answer = api("ann", "PUT", FILE, content)
    assert 400 <= answer.status_code < 500
    assert sentence in answer.json()["message"], answer.text
    assert api.did("ann", "GET", FILE) == {}


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ([{"name": "shop"}], 'needs "members"'),
        ([SHOP | {"gates": {"7": {"pause": "1m"}}}], "gate after tier 7"),
        ([SHOP | {"gates": {"1": {"pause": "soon"}}}], "isn't a length of time"),
        ([SHOP | {"gates": {"1": {"command": ["rm"]}}}], "runs no commands"),
        ([SHOP | {"members": {"nobody": 1}}], "there is no replica nobody"),
        ([SHOP | {"members": {"web": "first"}}], "has to be a whole number"),
        ([SHOP, SHOP | {"name": "b"}], "in group shop already"),
        ([SHOP, SHOP], "is there twice"),
        ([{"name": "b", "members": {"web": 1}}], "is in group taken"),
    ],
)
def test_a_group_that_cant_be_is_refused_and_changes_nothing(api, groups, sentence):  # noqa: F811
    apply(api, {"replicas": [WEB], "groups": [SHOP | {"name": "taken"}]})
    before = api.did("ann", "GET", FILE)
    answer = api("ann", "PUT", FILE, {"replicas": [WEB | {"retention": "last 9"}], "groups": groups})
    assert 400 <= answer.status_code < 500
    assert sentence in answer.json()["message"], answer.text
    assert api.did("ann", "GET", FILE) == before


def test_what_a_machine_becomes_cant_be_changed_of_one_that_is_there(api):  # noqa: F811
    apply(api, {"replicas": [WEB | {"user_data": SECRET}]})
    for change in ({"landing": "as-is"}, {"user_data": "#cloud-config\nother"}, {}):
        answer = api("ann", "PUT", FILE, {"replicas": [WEB | change]})
        assert (answer.status_code, "can't be changed" in answer.json()["message"]) == (409, True)
        assert "swordfish" not in answer.text
    assert apply(api, {"replicas": [WEB | {"user_data": SECRET}]}) == [("replica", "web", "as it was")]
    told = api.did("ann", "GET", FILE)
    assert "swordfish" not in str(told)
    assert apply(api, told) == [("replica", "web", "as it was")]


def test_those_that_are_named_and_their_whole_groups(api):  # noqa: F811
    api.did("ann", "POST", "/v1/providers", VSPHERE | {"name": "vc2"})
    ids = [api.did("ann", "POST", REPLICAS, NEW | {"source": source})["id"] for source in ("vc", "vc2")]
    api.did("ann", "POST", "/v1/replica-groups", {"name": "both", "members": dict.fromkeys(ids, 1)})
    told = api.did("ann", "GET", f"{FILE}?replica={ids[0]}")
    assert ([one["source"] for one in told["replicas"]], told.get("groups")) == (["vc"], None)
    whole = api.did("ann", "GET", f"{FILE}?replica={ids[0]}&replica={ids[1]}")
    assert len(whole["groups"]) == 1
    assert whole["groups"][0]["members"] == {"vc:web": 1, "vc2:web": 1}, "two of one name, from two sources"
    assert {what for _, _, what in apply(api, whole)} == {"as it was"}
    assert api("ann", "GET", f"{FILE}?replica=nobody").status_code == 404


def test_while_its_group_is_tried_nothing_of_a_file_is_applied(api):  # noqa: F811
    apply(api, {"replicas": [WEB], "groups": [SHOP]})
    replica = api.did("ann", "GET", f"{REPLICAS}/web")
    with_point(api.store, replica["id"], 1, timedelta(minutes=10))
    api.did("ann", "POST", "/v1/replica-groups/shop/test", {})
    changed = {"replicas": [WEB | {"retention": "last 7"}], "groups": [SHOP | {"gates": {}}]}
    answer = api("ann", "PUT", FILE, changed)
    assert (answer.status_code, "A run of group shop is under way" in answer.json()["message"]) == (409, True)
    assert api.did("ann", "GET", f"{REPLICAS}/web")["retention"] == WEB["retention"]
    assert apply(api, {"groups": [SHOP]}) == [("group", "shop", "as it was")]


def test_files_go_out_and_come_in_by_the_command(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    state, file, copy = tmp_path / "state", tmp_path / "replicas.yaml", tmp_path / "again.yaml"
    store = Store(StateDirectory(state))
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {}, {"password": "x"})
    store.close()
    file.write_text(replicafile.write(replicafile.from_plain({"replicas": [WEB], "groups": [SHOP]})))
    done = longshore(state, "replica", "apply", file)
    assert done.returncode == 0
    assert done.stderr.endswith("The replica of web is made.\nGroup shop is made.\n")
    assert longshore(state, "replica", "export", "web", "--output", copy).returncode == 0
    assert copy.read_text() == file.read_text() == longshore(state, "replica", "export").stdout
    done = longshore(state, "replica", "apply", copy)
    assert done.stderr == "The replica of web is as it was.\nGroup shop is as it was.\n"
    file.write_text(file.read_text().replace("every 15m", "sometimes"))
    done = longshore(state, "replica", "apply", file)
    assert done.returncode == 1
    assert f"{file}, line 5: 'sometimes' is no schedule" in done.stderr
    assert longshore(state, "replica", "apply", tmp_path / "none.yaml").returncode == 1
    assert longshore(state, "replica", "export").stdout == copy.read_text()
