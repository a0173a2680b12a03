"""What commands answer, as people read it: on a terminal's width, only what was asked for, in Longshore's own words."""

import io
import json
import logging
from argparse import Namespace
from types import SimpleNamespace

import pytest
import yaml
from fastapi.testclient import TestClient
from terminal import Terminal

from in_process import longshore
from longshore.cli.app import main
from longshore.cli.command import Lister, ShowOne
from longshore.cli.concerns import concern_table
from longshore.cli.machines import ShowMachine
from longshore.cli.shell import LongshoreApp
from longshore.client import Client
from longshore.model.concern import Severity
from longshore.model.machine import Devices, HostFeatures, Machine, PowerState
from longshore.model.platform import Platform
from longshore.planning.catalogue import catalogue
from longshore.planning.landing import blocked
from longshore.service import create_app
from longshore.store import NewMigration, StateDirectory, Store

LONG = "The machine was shut down by its guest, which took longer than such guests do, and its last sync began then."


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A state directory with two providers, a plan and three migrations."""
    directory = tmp_path_factory.mktemp("state")
    store = Store(StateDirectory(directory))
    vc = store.providers.add("vc", "vsphere", {}, {"password": "x"}).id
    cloud = store.providers.add("cloud", "openstack", {}, {"password": "x"}).id
    plan = store.plans.add("shop", {"name": "shop", "source": "vc", "target": "cloud", "machines": []}).id
    new = [NewMigration(f"web{n}", f"vm-{n}", vc, cloud, {"type": "cold"}, plan if n else None) for n in range(3)]
    records = store.migrations.add_together(new)
    store.migrations.update(records[2].id, status="done")
    store.events.say(records[0].id, "last-sync", LONG, "warning")
    store.close()
    return SimpleNamespace(state=directory, migrations=records)


def on_terminal(columns, *words):
    terminal = Terminal(columns=columns, rows=40)
    handlers = logging.root.handlers[:]
    with terminal:
        main(list(map(str, words)))
    logging.root.handlers[:] = handlers
    return [line for line in terminal.seen() if line]


@pytest.mark.parametrize("columns", [80, 120])
def test_events_fit_the_terminal_and_leave_room_for_what_happened(kept, columns, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = on_terminal(columns, "--state", kept.state, "migration", "events", kept.migrations[0].id)
    assert max(map(len, lines)) <= columns
    cells = [line.split("|")[-2] for line in lines if line.startswith("| ")]
    assert " ".join(" ".join(cells).split()) == f"What warning: {LONG}"
    assert len(cells) <= 6


def test_a_terminal_that_does_not_know_its_width_has_eighty_columns(kept, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("longshore.cli.command.os.get_terminal_size", lambda _fd: SimpleNamespace(columns=0))
    monkeypatch.setattr("longshore.cli.command.shutil.get_terminal_size", lambda: SimpleNamespace(columns=80))
    lines = on_terminal(200, "--state", kept.state, "migration", "events", kept.migrations[0].id)
    assert max(map(len, lines)) <= 80


def test_programs_get_all_of_an_event(kept):
    words = ["migration", "events", kept.migrations[0].id, "-f", "json"]
    [event] = json.loads(longshore(kept.state, *words).stdout)
    assert event["Level"] == "warning"
    assert event["What"] == LONG
    assert event["At"].endswith("Z")


@pytest.mark.parametrize(
    ("filters", "machines"),
    [
        ([], ["web0", "web1", "web2"]),
        (["--plan", "shop"], ["web1", "web2"]),
        (["--machine", "web1"], ["web1"]),
        (["--machine", "vm-2"], ["web2"]),
        (["--status", "done"], ["web2"]),
        (["--plan", "shop", "--status", "queued"], ["web1"]),
    ],
)
def test_migrations_are_listed_by_plan_machine_and_status(kept, filters, machines):
    said = longshore(kept.state, "migration", "list", *filters, "-f", "json")
    assert [m["Machine"] for m in json.loads(said.stdout)] == machines


def test_a_filter_that_means_nothing_is_refused(kept):
    said = longshore(kept.state, "migration", "list", "--plan", "nobody")
    assert (said.returncode, said.stderr) == (
        1,
        "longshore: There is no plan named nobody. See: longshore plan list.\n",
    )
    assert longshore(kept.state, "migration", "list", "--status", "asleep").returncode == 2


# Plans from files


def written(path, name, **more):
    path.write_text(yaml.safe_dump({"name": name, "source": "vc", "target": "cloud", "machines": ["web0"]} | more))
    return path


def names_of(state):
    return [plan["Name"] for plan in json.loads(longshore(state, "plan", "list", "-f", "json").stdout)]


@pytest.fixture
def state(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    store.providers.add("vc", "vsphere", {}, {"password": "x"})
    store.providers.add("cloud", "openstack", {}, {"password": "x"})
    store.close()
    return tmp_path / "state"


def test_several_files_and_directories_of_plans_are_applied(state, tmp_path):
    plans = tmp_path / "plans"
    plans.mkdir()
    written(plans / "a.yaml", "a")
    written(plans / "b.yml", "b")
    (plans / "README.md").write_text("Not a plan.")
    alone = written(tmp_path / "c.yaml", "c")
    said = longshore(state, "plan", "apply", alone, plans, alone)
    assert said.stderr == "Plan c is applied.\nPlan a is applied.\nPlan b is applied.\n"
    assert said.returncode == 0
    assert names_of(state) == ["a", "b", "c"]


def test_a_fault_in_one_file_keeps_all_from_being_applied(state, tmp_path):
    good, twin = written(tmp_path / "a.yaml", "a"), written(tmp_path / "twin.yaml", "a")
    bad = written(tmp_path / "z.yaml", "z", machine=["web1"])
    for files, why in (
        ([good, bad], f'{bad}, line 1: "machine" isn\'t known here'),
        ([good, twin], f"{good} and {twin} both hold a plan a."),
        ([good, tmp_path / "none.yaml"], "none.yaml can't be read: No such file"),
        ([tmp_path / "state"], "There are no plans in"),
    ):
        said = longshore(state, "plan", "apply", *files)
        assert said.returncode == 1
        assert why in said.stderr
        assert names_of(state) == []


# Sentences


def test_blockers_are_told_one_to_a_line():
    kinds = [kind for area in catalogue().values() for kind in area if kind.severity is Severity.BLOCKER][:2]
    concerns = [kind("web", f"Sentence {n}.") for n, kind in enumerate(kinds)]
    lines = str(blocked(concerns)).splitlines()
    assert [line[:11] for line in lines[:2]] == ["Sentence 0.", "Sentence 1."]


def test_what_stands_against_a_plan_has_room_on_a_terminal_and_all_columns_elsewhere():
    concern = SimpleNamespace(
        machine="web", code="quota-cores", severity=Severity.BLOCKER, subject="cores", text="Too many.", advice="Ask."
    )
    people = SimpleNamespace(for_people=True)
    assert concern_table(people, SimpleNamespace(columns=[]), [concern]) == (
        ("Machine", "Severity", "What"),
        [("web", "blocker", "Too many. Ask. (quota-cores)")],
    )
    everything = [("web", "quota-cores", "blocker", "cores", "Too many.", "Ask.")]
    for command, columns in ((people, ["Code"]), (SimpleNamespace(for_people=False), [])):
        assert concern_table(command, SimpleNamespace(columns=columns), [concern])[1] == everything


def test_a_body_that_is_no_json_is_told_in_a_sentence(tmp_path):
    store = Store(StateDirectory(tmp_path))
    answer = TestClient(create_app(store)).post(
        "/v1/providers", content='{"password": secret}', headers={"Content-Type": "application/json"}
    )
    store.close()
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "invalid-input",
        "message": "The body isn't JSON (Expecting value, at character 13).",
    }


@pytest.mark.parametrize("debug", [False, True])
def test_what_libraries_have_to_say_is_for_those_who_look_for_faults(tmp_path, monkeypatch, debug):
    def noisy(app, argv):
        logging.getLogger("urllib3.connectionpool").warning("Connection pool is full, discarding connection")
        logging.getLogger("openstack.config").warning("Keystone catalog entry not found")
        logging.getLogger("longshore.store").warning("the database is away")

    monkeypatch.setattr(LongshoreApp, "initialize_app", noisy)
    said = longshore(tmp_path, *(["--debug"] if debug else []), "server", "policy").stderr
    assert "longshore: the database is away" in said
    assert ("Connection pool is full" in said) is debug
    assert ("Keystone catalog entry" in said) is debug


def test_of_a_machine_people_are_told_only_what_there_is_to_say():
    machine = Machine(
        *("vm-1", "web", PowerState.ON, 1, 256, (), ()),
        platform=Platform("vsphere"),
        devices=Devices(vtpm=True, passthrough=2),
        host_features=HostFeatures(rules=("apart", "on esx1")),
    )
    command = SimpleNamespace(
        client=SimpleNamespace(weighed_machine=lambda *_: SimpleNamespace(machine=machine, concerns=[])),
        for_people=True,
    )
    ShowMachine.show(command, SimpleNamespace(provider="vc", machine="web"))
    (further,) = [dict(rows) for title, _, rows in command.parts if title == "Further details"]
    assert further["devices"] == "vtpm: yes\npassthrough: 2"
    assert further["host_features"] == "rules: apart, on esx1"
    assert "server" not in further


def test_who_has_one_go_on_that_waits_hears_by_what_it_is_cut_over(kept, monkeypatch, capsys):
    """Elsewhere `resume` is the word for it."""
    waiting = {"waits_for_cutover": True}
    monkeypatch.setattr(Client, "resume", lambda self, asked: self.migration(asked).model_copy(update=waiting))
    one = kept.migrations[1]
    assert main(["--state", str(kept.state), "migration", "resume", one.id]) == 0
    assert f"web1 is to be cut over: longshore migration cutover {one.id}." in capsys.readouterr().err


@pytest.mark.parametrize("words", [("provider", "list"), ("provider", "show", "vc")])
def test_a_column_that_isnt_there_is_told_beside_those_that_are(kept, words):
    done = longshore(kept.state, *words, "-c", "colour")
    assert done.returncode == 1
    assert done.stderr.startswith("longshore: There is no column 'colour'. There are: ")
    assert "bug" not in done.stderr


def test_an_empty_list_says_to_people_what_to_do_and_is_empty_for_programs(tmp_path):
    for what, then in (("provider", "longshore provider add"), ("plan", "longshore plan create"), ("channel", "none")):
        done = longshore(tmp_path / "state", what, "list")
        assert (done.returncode, done.stdout) == (0, "")
        assert then in done.stderr
        assert longshore(tmp_path / "state", what, "list", "-f", "json").stdout.strip() == "[]"


def test_what_is_not_there_is_an_empty_cell_of_a_table(tmp_path):
    words = ("schedule", "preview", "daily 02:00 UTC")
    assert "None" not in longshore(tmp_path / "state", *words).stdout
    assert json.loads(longshore(tmp_path / "state", *words, "-f", "json").stdout)[0]["Machine"] is None


class _Noted(ShowOne):
    def show(self, _args):
        return {"name": "web", "size": 0, "note": None}


class _Doubtful(Lister):
    def take_action(self, _args):
        self.fault = "1 of 2 is bad."
        return ("Name",), [("web",)]


def _answered(command, *words):
    written = io.StringIO()
    made = command(SimpleNamespace(stdout=written), Namespace(), "a command")
    return made.run(made.get_parser("answers").parse_args(list(words))), written.getvalue()


def test_people_are_told_no_field_with_nothing_in_it_unless_they_ask_for_it():
    table = _answered(_Noted)[1]
    assert ("note" in table, "size" in table) == (False, True)
    assert "note" in _answered(_Noted, "-c", "note")[1]
    assert json.loads(_answered(_Noted, "-f", "json")[1]) == {"name": "web", "size": 0, "note": None}


def test_the_fault_of_a_table_is_told_below_it_and_by_the_exit_code(capsys):
    code, table = _answered(_Doubtful)
    assert (code, "web" in table, capsys.readouterr().err) == (1, True, "longshore: 1 of 2 is bad.\n")
