"""What there is to be typed is found by those who don't know it yet, and wrong words are answered in a sentence."""

import re
import subprocess
import sys
from argparse import SUPPRESS
from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest
from in_process import longshore

from longshore.cli.backup_policies import CreateBackupPolicy, UpdateBackupPolicy
from longshore.cli.backups import CheckBackup, CreateBackup
from longshore.cli.commands import all_commands
from longshore.cli.migrate import Migrate
from longshore.cli.usage import is_of_output

COMMANDS = all_commands()
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
    assert "migration cutover" in found["Machines, one at a time"]
    assert "plan check" in found["Many machines: plans and limits"]
    shown = {command for title in titles[1:] for command in found[title]}
    assert set(COMMANDS) <= shown
    assert longshore(None, "help").stdout == said.stdout


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
        (["migrate", "web"], "longshore: The following arguments are required: --from, --to."),
        (["migrate", "web", "--from", "a", "--to", "b", "--limit", "fast"], "longshore: --limit: 'fast' isn't a rate"),
        (["provider", "add", "vsphere", "vc"], "longshore: The following arguments are required: --host, --username."),
        (["migration", "show", "a", "--nonsense"], "longshore: Unrecognized arguments: --nonsense."),
        (["migraton", "list"], 'longshore: "migraton list" is not a longshore command. Did you mean `longshore migrat'),
        (["--state"], "longshore: --state: expected one argument."),
        (
            ["workload", "list"],
            'longshore: "workload list" is not a longshore command. Did you mean `longshore backup poli',
        ),
        (
            ["workload-snapshot", "x"],
            'longshore: "workload-snapshot x" is not a longshore command. Did you mean `longshore backup`',
        ),
        (
            ["snapshot-oneclick-restore"],
            'longshore: "snapshot-oneclick-restore" is not a longshore command. Did you mean `longshore restore`',
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


def test_the_plugin_offers_no_playbooks_since_a_server_runs_none():
    plugin = Migrate(SimpleNamespace(client_manager=None), None).get_parser("openstack migration create")
    said = plugin.format_help()
    assert "openstack migration cutover" in " ".join(said.split())
    assert "--before" not in said
    assert plugin.parse_args(["web", "--from", "a", "--to", "b"]).before is None
    for command in (CreateBackup, CheckBackup, CreateBackupPolicy, UpdateBackupPolicy):
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
