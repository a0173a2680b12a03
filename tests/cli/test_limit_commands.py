"""longshore limit: set, listed and deleted by the words that people have for places."""

import json

import pytest

from in_process import longshore
from longshore.store import StateDirectory, Store


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Each test leaves it without limits."""
    directory = tmp_path_factory.mktemp("state")
    store = Store(StateDirectory(directory))
    store.providers.add("vc", "vsphere", {}, {})
    store.providers.add("cloud", "openstack", {}, {})
    store.plans.add("shop", {"name": "shop", "source": "vc", "target": "cloud", "machines": []})
    store.close()
    return directory


def listed(state):
    done = longshore(state, "limit", "list", "-f", "json")
    assert done.returncode == 0, done.stderr
    return [(row["Of"], row["Name"], row["At once"], row["Bytes per second"]) for row in json.loads(done.stdout)]


def test_limits_are_set_listed_and_deleted(state):
    def run(*words):
        done = longshore(state, "limit", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("set", "--source", "vc", "--at-once", "8", "--bytes-per-second", "50M")
    run("set", "--source", "vc", "--host", "esx1", "--at-once", "2")
    run("set", "--source", "vc", "--datastore", "ds 1", "--bytes-per-second", "1G")
    run("set", "--target", "cloud", "--at-once", "4")
    run("set", "--plan", "shop", "--at-once", "1")
    set_ = json.loads(run("set", "--project", "--at-once", "3", "-f", "json"))
    assert (set_["Of"], set_["Counts"], set_["At once"]) == ("project", "all", 3)
    assert listed(state) == [
        ("datastore", "vc/ds 1", None, 1 << 30),
        ("host", "vc/esx1", 2, None),
        ("plan", "shop", 1, None),
        ("project", "", 3, None),
        ("source", "vc", 8, 50 << 20),
        ("target", "cloud", 4, None),
    ]
    assert "50.0 MiB/s" in run("list")
    run("set", "--source", "vc", "--at-once", "none")
    for words in (["--source", "vc", "--host", "esx1"], ["--plan", "shop"], ["--project"], ["--target", "cloud"]):
        run("delete", *words)
    assert listed(state) == [("datastore", "vc/ds 1", None, 1 << 30), ("source", "vc", None, 50 << 20)]
    run("delete", "--source", "vc", "--datastore", "ds 1")
    run("delete", "--source", "vc")
    assert listed(state) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("set --source vc", 1, "Nothing was said of the limit. Give --at-once or --bytes-per-second."),
        ("set --source vc --at-once none", 1, "would limit nothing"),
        ("set --source vc --at-once 0", 2, "give 1 or more"),
        ("set --source vc --bytes-per-second 10", 2, "give 64K or more"),
        ("set --source vc --bytes-per-second fast", 2, "isn't a rate"),
        ("set --target cloud --host esx1 --at-once 1", 1, "A host is one of a source. Give --source and --host."),
        ("set --target vc --at-once 1", 1, "can't be a target"),
        ("set --source vc --plan shop --at-once 1", 2, "not allowed with"),
        ("set --at-once 1", 2, "required"),
        ("set --source nowhere --at-once 1", 1, "There is no provider named nowhere"),
        ("delete --source vc", 1, "There is no such limit. See: longshore limit list."),
    ],
)
def test_what_is_no_limit_is_refused_in_a_sentence(state, words, code, said):
    done = longshore(state, "limit", *words.split())
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert listed(state) == []
