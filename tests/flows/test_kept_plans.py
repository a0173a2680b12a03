"""A plan kept in a vault by one installation, imported and run by another that has only the vault and the clouds."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from small_fleet import NAMES, fleet_connect
from test_plans import User, user  # noqa: F401 a fixture

from longshore.flows import clouds
from longshore.providers.registry import connect
from longshore.vault.directory import Directory
from longshore.vault.kept_plans import KeptPlan, keep_plan, kept_plans
from longshore.vault.vault import Vault

pytestmark = pytest.mark.long


@pytest.fixture
def first(user, monkeypatch):  # noqa: F811
    """An installation with a vault and a plan."""

    def connected(kind, *others, **more):
        return (connect if kind == "vault" else fleet_connect)(kind, *others, **more)

    monkeypatch.setattr(clouds, "connect", connected)
    phrase = user.directory / "phrase.txt"
    phrase.write_text("a phrase\n")
    user.well("vault", "create", "offsite", str(user.directory / "vault"), "--pass-phrase-file", str(phrase))
    user.create("--name", "*")
    return user


@pytest.fixture
def second(first):
    """Another one, with the same clouds."""
    directory = first.directory / "second"
    directory.mkdir()
    return User(directory, first.fleet)


def with_vault(installation, first):
    where = str(first.directory / "vault")
    phrase = str(first.directory / "phrase.txt")
    installation.well("provider", "add", "vault", "theirs", "--directory", where, "--pass-phrase-file", phrase)


def told(out_and_err):
    code, _, err = out_and_err
    assert code == 0, err
    return err


def test_a_plan_is_kept_imported_and_run_by_another_installation(first, second):
    first.well("plan", "start", "shop", "--machine", "app01", "--wait", "--plain")
    first.well("plan", "keep-in", "shop", "offsite")
    with_vault(second, first)
    (row,) = second.json("plan", "import", "list", "theirs")
    assert (row["Name"], row["From"], row["To"], row["Machines"], row["Started"]) == (
        "shop",
        "vc",
        "cloud",
        3,
        "1 done",
    )
    said = told(second("plan", "import", "create", "theirs", "shop"))
    assert "Left out, since they had moved: app01." in said
    kept = [yaml.safe_load(one.well("plan", "export", "shop")) for one in (first, second)]
    assert kept[1] == {**kept[0], "machines": [m for m in kept[0]["machines"] if m["machine"] != "app01"]}
    second.well("plan", "start", "shop", "--wait", "--plain")
    assert second.states() == {"app02": "done", "db01": "done"}


def test_texts_that_may_be_secret_stay_where_they_are(first, second):
    first.well("plan", "set", "shop", "--option", "user_data=swordfish")
    said = told(first("plan", "keep-in", "shop", "offsite"))
    assert "Not kept, since it may be secret: defaults: user_data." in said
    opened = Vault.open(Directory(first.directory / "vault"), "read", "a phrase")
    (kept,) = kept_plans(opened)
    assert "swordfish" not in str(kept)
    assert "encrypted" not in str(kept)
    with_vault(second, first)
    said = told(second("plan", "import", "create", "theirs", kept.id, "--name", "again"))
    assert "To be said anew, since it may be secret and isn't kept: defaults: user_data." in said
    plan = yaml.safe_load(second.well("plan", "export", "again"))
    assert "user_data" not in plan["defaults"]
    assert [m["machine"] for m in plan["machines"]] == list(NAMES)


def test_what_is_kept_again_takes_the_place_of_what_was_and_clouds_may_be_called_otherwise(first, second):
    first.well("plan", "keep-in", "shop", "offsite")
    first.well("plan", "set", "shop", "--description", "the second one")
    first.well("plan", "keep-in", "shop", "offsite")
    with_vault(second, first)
    assert len(second.json("plan", "import", "list", "theirs")) == 1
    store = second.store()
    store.providers.add("vc2", "vsphere", {"root": str(first.fleet.root)}, {"password": "x"})
    store.close()
    second.well("plan", "import", "create", "theirs", "shop", "--from", "vc2")
    plan = yaml.safe_load(second.well("plan", "export", "shop"))
    assert (plan["source"], plan["target"], plan["description"]) == ("vc2", "cloud", "the second one")
    assert "is there already" in second.refused("plan", "import", "create", "theirs", "shop")
    assert "No plan nothing is kept in theirs" in second.refused("plan", "import", "create", "theirs", "nothing")
    names = {row["Name"] for row in second.json("provider", "list", "--kind", "vault")}
    assert names == {"theirs"}


def documents(first):
    return sorted((first.directory / "vault" / "plans").rglob("*.plan"))


def test_what_a_stranger_has_written_there_is_no_plan(first, second):
    """Moved to another plan's place, changed, or sealed by somebody else: each is told, and none is imported."""
    first.well("plan", "keep-in", "shop", "offsite")
    (place,) = documents(first)
    other = place.parent.parent / "another" / place.name
    other.parent.mkdir()
    other.write_bytes(place.read_bytes())
    with_vault(second, first)
    rows = second.json("plan", "import", "list", "theirs")
    assert [(row["Name"], bool(row["Problem"])) for row in rows] == [("", True), ("shop", False)]
    assert "No plan another is kept" in second.refused("plan", "import", "create", "theirs", "another")


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"source": "vc", "target": "cloud", "machines": [{"machine": "x", "no_such_option": 1}]}, "no_such_option"),
        ({"source": "vc", "target": "nowhere", "machines": [{"machine": "x"}]}, "nowhere"),
        ({"source": ["vc"], "target": "cloud", "machines": [{"machine": "x"}]}, "source"),
    ],
)
def test_a_plan_that_somebody_with_the_key_has_made_up_is_judged_as_a_file_is(first, second, plan, said):
    opened = Vault.open(Directory(first.directory / "vault"), "write", "a phrase")
    keep_plan(opened, KeptPlan("1", datetime.now(UTC), {"name": "evil", **plan}, {"x": "running"}, ()))
    with_vault(second, first)
    assert said in second.refused("plan", "import", "create", "theirs", "evil")
    assert json.loads(second.well("plan", "list", "-f", "json")) == []


def test_playbooks_and_what_was_under_way_are_said(first, second):
    opened = Vault.open(Directory(first.directory / "vault"), "write", "a phrase")
    plan = {"name": "evil", "source": "vc", "target": "cloud", "defaults": {"before": "/srv/x.yaml"}}
    plan["machines"] = [{"machine": "app01"}]
    keep_plan(opened, KeptPlan("1", datetime.now(UTC), plan, {"app01": "running"}, ()))
    with_vault(second, first)
    err = told(second("plan", "import", "create", "theirs", "evil"))
    assert "It runs playbooks of this machine; look at them: /srv/x.yaml." in err
    assert "Were under way when it was kept: app01." in err


def test_lists_are_of_one_provider(first):
    of = {
        provider: [row["Name"] for row in first.json("plan", "list", "--provider", provider)]
        for provider in ("vc", "x")
    }
    assert of == {"vc": ["shop"], "x": []}
    assert first.json("migration", "list", "--provider", "vc") == []
    assert "There is no provider named x" in first.refused("migration", "list", "--provider", "x")
