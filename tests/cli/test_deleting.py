"""Deleting several things by one command, and being asked where nothing brings them back."""

from io import StringIO

import pytest

from in_process import longshore
from longshore.client import Client
from longshore.store import StateDirectory, Store


@pytest.fixture
def state(tmp_path):
    """A state directory with the plans shop and office."""
    store = Store(StateDirectory(tmp_path / "state"))
    for name in ("shop", "office"):
        store.plans.add(name, {"name": name, "source": "vc", "target": "cloud", "machines": []})
    store.close()
    return tmp_path / "state"


def plans(state):
    return longshore(state, "plan", "list", "-f", "value", "-c", "Name").stdout.split()


def test_one_that_isnt_there_is_told_and_the_others_are_deleted(state):
    done = longshore(state, "plan", "delete", "shop", "nobody", "office")
    assert done.returncode == 1
    assert done.stderr.startswith("longshore: nobody: There is no plan named nobody.")
    assert plans(state) == []


def test_one_that_isnt_there_is_no_error_to_who_says_so(state):
    assert longshore(state, "plan", "delete", "nobody").returncode == 1
    done = longshore(state, "plan", "delete", "nobody", "shop", "--if-exists")
    assert (done.returncode, done.stderr) == (0, "")
    assert plans(state) == ["office"]


class Typed(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("words", "asked", "deleted"), [([], "n\n", []), ([], "y\n", ["2", "3"]), (["--yes"], "", ["2", "3"])]
)
def test_who_sits_at_a_terminal_is_asked_before_what_nothing_brings_back(state, monkeypatch, words, asked, deleted):
    gone = []
    monkeypatch.setattr(Client, "replica", lambda _client, name: name)
    monkeypatch.setattr(Client, "delete_point", lambda _client, _replica, number: gone.append(str(number)))
    monkeypatch.setattr("sys.stdin", Typed(asked))
    done = longshore(state, "replica", "point", "delete", "web", "2", "3", *words)
    assert gone == deleted
    assert ("These points are deleted for good: 2, 3. [y/N]" in done.stderr) == (not words)
    assert (done.returncode, "Nothing was deleted." in done.stderr) == ((0, False) if deleted else (1, True))


def test_a_script_is_asked_nothing(state, monkeypatch):
    gone = []
    monkeypatch.setattr(Client, "replica", lambda _client, name: name)
    monkeypatch.setattr(Client, "delete_point", lambda _client, _replica, number: gone.append(number))
    monkeypatch.setattr("sys.stdin", StringIO())
    assert longshore(state, "replica", "point", "delete", "web", "2").returncode == 0
    assert gone == [2]
    refused = longshore(state, "replica", "point", "delete", "web", "newest")
    assert (refused.returncode, "newest isn't a point's number." in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    "words", [("backup", "delete", "a", "--vault", "nowhere"), ("replica", "point", "delete", "web", "2")]
)
def test_where_it_should_be_has_to_be_there_whatever_may_be_missing(state, words):
    done = longshore(state, *words, "--if-exists", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("longshore: There is no ")
