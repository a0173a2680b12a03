"""What there is to be typed is found by those who don't know it yet, and wrong words are answered in a sentence."""

import re
import shlex
import subprocess
import sys
from argparse import SUPPRESS
from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest

from in_process import longshore
from longshore.cli.backup_policies import CreateBackupPolicy, SetBackupPolicy
from longshore.cli.backups import CheckBackup, CreateBackup
from longshore.cli.commands import all_commands
from longshore.cli.complete import Complete
from longshore.cli.help import Help
from longshore.cli.migrate import Migrate
from longshore.cli.others_words import destroys
from longshore.cli.usage import is_of_output

COMMANDS = all_commands()
ALL = {name: point.load() for name, point in COMMANDS.items()} | {"help": Help, "complete": Complete}
TWO = ["migrate", "web", "--from", "a", "--to", "b"]
CLOUD = "longshore: Unrecognized arguments: --cloud c. Did you mean --os-cloud?"
PLUGINS = {point.name.replace("_", " "): point for point in entry_points(group="openstack.migration.v1")}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def sections(text):
    """Titles and the commands below each."""
    found = {}
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            title = line[:-1]
            found[title] = []
        elif re.match(r"  [a-z]", line):
            found[title].append(re.split(r"  +", line.strip())[0])
    return found


def test_the_commands_of_most_days_come_first_and_every_one_has_a_subject():
    said = longshore(None, "--help")
    assert said.returncode == 0
    found = sections(said.stdout)
    titles = list(found)
    assert titles[0] == "Most days"
    assert found["Most days"] == ["machine list", "migrate", "migration list", "plan start", "plan watch"]
    assert "More" not in titles
    assert "migration" in found["Machines, one at a time"]
    assert "plan" in found["Many machines: plans and limits"]
    assert len(said.stdout.splitlines()) < 90
    assert longshore(None, "help").stdout == said.stdout
    everything = sections(longshore(None, "help", "all").stdout)
    assert "migration cutover" in everything["Machines, one at a time"]
    assert set(COMMANDS) <= {command for commands in everything.values() for command in commands}


def words_of(name, text):
    """What is said of a command's words in the overview."""
    below = re.findall(rf"^  {name} +(.*(?:\n {{10,}}.*)*)", text, re.MULTILINE)[-1]
    return set(re.split(r",\s+", re.sub(r"\n +", " ", below)))


def test_all_words_of_a_subject_are_in_the_overview():
    said = longshore(None, "--help").stdout
    for subject in ("provider", "replica", "backup", "plan", "operation"):
        assert words_of(subject, said) == {n.partition(" ")[2] for n in COMMANDS if n.startswith(f"{subject} ")}


def test_alone_it_says_in_ten_lines_how_one_begins():
    said = longshore(None)
    assert (said.returncode, said.stderr) == (0, "")
    assert len(said.stdout.splitlines()) <= 10
    steps = [line.strip() for line in said.stdout.splitlines() if line.startswith("  longshore")]
    assert len(steps) == 7
    for step in steps:
        typed(step)


def typed(example):
    """An example's command reads it without a complaint. What a shell would do with the rest is the shell's."""
    words = shlex.split(re.split(r" [|<>] ", example)[0])
    assert words.pop(0) == "longshore"
    name = next(name for count in (4, 3, 2, 1) if (name := " ".join(words[:count])) in ALL)
    ALL[name](SimpleNamespace(), None).get_parser(f"longshore {name}").parse_args(words[len(name.split()) :])
    return name


@pytest.mark.parametrize("words", sorted(ALL))
def test_every_help_has_examples_that_can_be_typed(words):
    command = ALL[words]
    assert command.examples
    for example in command.examples:
        assert typed(example) == words
        assert example in longshore(None, *words.split(), "--help").stdout


@pytest.mark.parametrize("words", sorted(ALL))
def test_every_option_is_explained(words):
    parser = ALL[words](SimpleNamespace(), None).get_parser(f"longshore {words}")
    unexplained = [action.dest for action in parser._actions if action.option_strings and not action.help]
    assert not unexplained


def test_how_answers_are_written_is_said_once_for_all():
    assert "--max-width" not in longshore(None, "plan", "list", "--help").stdout
    assert "--format" in longshore(None, "plan", "list", "--help").stdout
    assert (
        longshore(None, "help", "output").stdout.count("--max-width <integer>") == 2
    )  # of lists and of single answers


# What is typed by those who know Trilio, Coriolis or openstackclient, and by whoever takes another word
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("vcenters-list", ["provider list"]),
        ("vcenter list", ["provider list"]),
        ("migration-plans-list", ["plan list"]),
        ("migration-plan-create weekend", ["plan create"]),
        ("migration-plan-discover-vms weekend", ["plan discover"]),
        ("migration-plan-get-by-vmid vm-1", ["plan find"]),
        ("migration-plan-get-import-list", ["plan import list"]),
        ("migration-plan-import", ["plan import create", "plan apply"]),
        ("migration plan import", ["plan import create", "plan apply"]),
        ("migration-plan-modify weekend", ["plan set"]),
        ("migrations-list", ["migration list"]),
        ("migration create weekend", ["migrate", "plan start"]),
        ("migration-create", ["migrate", "plan start"]),
        ("replica execute web", ["replica sync"]),
        ("replica execution list web", ["replica show"]),
        ("migration deploy replica", ["replica test", "replica failover", "replica migrate"]),
        ("plan strat weekend", ["plan start"]),
        ("endpoint create", ["provider add"]),
        ("instance list", ["machine list"]),
        ("provider remove vc", ["provider delete"]),
        ("replica modify web", ["replica set"]),
        ("plan modify weekend", ["plan set"]),
        ("replica group update shop", ["replica group set"]),
        ("migration logs 1f6e", ["migration events"]),
        ("list machines", ["machine list"]),
        ("show migration 1f6e", ["migration show"]),
        ("add files exports", ["provider add files"]),
        ("migration check web01", ["migrate --type dry-run", "plan check"]),
    ],
)
def test_the_words_of_others_lead_to_what_they_mean(said, meant):
    told = longshore(None, *said.split())
    assert told.returncode == 2
    assert re.findall(r"`longshore ([^`]+)`", told.stderr.splitlines()[0])[: len(meant)] == meant


@pytest.mark.parametrize(
    "said", ["migration-create", "migration creat", "replica execute", "replica dilute", "vault renew"]
)
def test_nothing_that_destroys_is_offered_for_another_word(said):
    offered = re.findall(r"`longshore ([^`]+)`", longshore(None, *said.split()).stderr)
    assert not any(destroys(name) for name in offered)


@pytest.mark.parametrize("words", [["migration", "--help"], ["help", "migration"]])
def test_a_groups_help_says_what_each_command_does(words):
    said = longshore(None, *words)
    assert said.returncode == 0
    assert "Usage: longshore migration COMMAND" in said.stdout
    assert re.search(r"migration cutover +Stop the machine of a warm migration", said.stdout)
    assert "plan" not in sections(said.stdout)["Commands"]


def test_a_group_that_is_a_command_has_both():
    said = longshore(None, "server", "--help").stdout
    assert "usage: longshore server" in said
    assert re.search(r"server policy +Print the rules", said)


def test_a_group_alone_is_wrong_usage_and_shows_what_there_is(tmp_path):
    said = longshore(tmp_path / "state", "migration")
    assert said.returncode == 2
    assert re.search(r"migration list +List migrations", said.stderr)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (
            ["migrate", "web"],
            "longshore: The following arguments are required: --from, --to. To move a plan's machines: longshore pl",
        ),
        ([*TWO, "--rate-limit", "fast"], "longshore: --rate-limit: 'fast' isn't a rate"),
        (["provider", "add", "vsphere", "vc"], "longshore: The following arguments are required: --host, --username."),
        (["migration", "show", "a", "--nonsense"], "longshore: Unrecognized arguments: --nonsense."),
        ([*TWO, "--dry-run"], "longshore: Unrecognized arguments: --dry-run. Did you mean --type dry-run?"),
        ([*TWO, "--limit", "5M"], "longshore: Unrecognized arguments: --limit 5M. Did you mean --rate-limit?"),
        (["provider", "add", "openstack", "c", "--cloud", "c"], CLOUD),
        (["migraton", "list"], 'longshore: "migraton list" is not a longshore command. Did you mean `longshore migrat'),
        (["--state"], "longshore: --state: expected one argument."),
        (
            ["workload", "list"],
            'longshore: "workload list" is not a longshore command. Did you mean `longshore backup policy list',
        ),
        (
            ["workload-snapshot", "x"],
            'longshore: "workload-snapshot x" is not a longshore command. Did you mean `longshore backup cre',
        ),
        (
            ["snapshot-oneclick-restore"],
            'longshore: "snapshot-oneclick-restore" is not a longshore command. Did you mean `longshore restore cr',
        ),
    ],
)
def test_wrong_usage_begins_with_the_sentence_and_says_little_more(tmp_path, words, first):
    said = longshore(tmp_path / "state", *words)
    assert said.returncode == 2
    assert said.stdout == ""
    lines = said.stderr.splitlines()
    assert lines[0].startswith(first)
    assert len(lines) <= 3
    assert re.fullmatch(r"More: longshore .*--help", lines[-1])


def test_the_options_of_migrate_are_in_groups_and_those_of_the_output_come_last():
    said = longshore(None, "migrate", "--help").stdout
    titles = re.findall(r"^(\S.*):$", said, re.MULTILINE)
    assert titles.index("network") < titles.index("shutting down and booting") < titles.index("output formatters")
    parser = Migrate(SimpleNamespace(), None).get_parser("longshore migrate")
    [loose] = [g for g in parser._action_groups if g.title == "options"]
    assert [action.dest for action in loose._group_actions] == ["help"]
    text = " ".join(said.split())
    assert "--shutdown-timeout SECONDS how long the guest may take to shut down (default: 600)" in text
    assert "--boot-timeout SECONDS how long that may take (default: 900)" in text


@pytest.mark.parametrize("words", sorted(set(COMMANDS) - {"copy"}))
def test_every_default_is_shown(words):
    parser = COMMANDS[words].load()(SimpleNamespace(), None).get_parser(f"longshore {words}")
    own = [a for g in parser._action_groups if not is_of_output(g.title) for a in g._group_actions]
    for action in own:
        if action.nargs != 0 and action.default not in (None, SUPPRESS, [], ""):
            assert "default" in parser._get_formatter()._expand_help(action), action.option_strings


@pytest.mark.parametrize("words", sorted(PLUGINS))
def test_the_plugins_help_names_no_command_that_one_types_elsewhere(words):
    app = SimpleNamespace(client_manager=None)
    said = PLUGINS[words].load()(app, None).get_parser(f"openstack {words}").format_help()
    assert not re.search(r"longshore\s+(provider|machine|inventory|volume|plan|migrat)", said)


def test_the_plugins_create_names_the_command_that_starts_a_plan(capsys):
    """What it is elsewhere: Trilio's `migration-create` takes a plan."""
    parser = Migrate(SimpleNamespace(client_manager=None), None).get_parser("openstack migration create")
    with pytest.raises(SystemExit):
        parser.parse_args(["weekend"])
    assert "To move a plan's machines: openstack migration plan start PLAN." in capsys.readouterr().err


def test_the_plugin_offers_no_playbooks_since_a_server_runs_none():
    plugin = Migrate(SimpleNamespace(client_manager=None), None).get_parser("openstack migration create")
    said = plugin.format_help()
    assert "openstack migration cutover" in " ".join(said.split())
    assert "--before" not in said
    assert plugin.parse_args(["web", "--from", "a", "--to", "b"]).before is None
    for command in (CreateBackup, CheckBackup, CreateBackupPolicy, SetBackupPolicy):
        asked = command(SimpleNamespace(client_manager=None), None).get_parser("openstack migration backup")
        assert ("--before" in asked.format_help(), asked.get_default("after")) == (False, None)


def test_a_command_begins_without_those_that_are_not_asked_for():
    """They would make each a second slower."""
    look = "import sys; from longshore.cli.app import main; main(['migrate', '--help']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    assert "longshore.cli.migrate" in loaded
    assert not {"sqlalchemy", "fastapi", "dbos", "longshore.cli.plans"} & set(loaded)


def test_commands_of_migrations_begin_without_the_forms_of_the_api_and_without_pages():
    look = "import sys, longshore.cli.migrations; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "starlette", "longshore.api.schemas"} & set(loaded)


@pytest.mark.parametrize("said", ["plan del weekend", "prov del vc", "plan sh weekend", "migration canc 1f6e"])
def test_the_beginning_of_a_command_is_none(said, tmp_path):
    told = longshore(tmp_path, *said.split())
    assert (told.returncode, f'"{said}" is not a longshore command' in told.stderr) == (2, True)


@pytest.mark.parametrize(
    "words", ["channel create team --kind mail --help", "channel create --kind mail -h --to", "channel create -h"]
)
def test_who_has_typed_half_a_command_is_shown_its_help(words, tmp_path):
    done = longshore(tmp_path / "state", *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: longshore channel create --kind")
