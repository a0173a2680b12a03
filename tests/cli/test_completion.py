"""What TAB gives: in the shells themselves, quickly, and never an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from in_process import longshore
from longshore.cli import known_names as names
from longshore.cli.completion import candidates, split
from longshore.store import NewMigration, StateDirectory, Store

LONGSHORE = Path(sys.executable).with_name("longshore")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    directory = tmp_path_factory.mktemp("state")
    store = Store(StateDirectory(directory))
    vc = store.providers.add("vc-north", "vsphere", {}, {"password": "x"})
    here = store.providers.add("here", "openstack", {}, {"password": "x"})
    store.plans.add("shop", {"name": "shop"})
    new = [NewMigration(f"web{n}", f"vm-{n}", vc.id, here.id, {"type": "cold"}) for n in range(2)]
    store.migrations.add_together(new)
    store.close()
    return directory


@pytest.fixture(autouse=True)
def local(state, monkeypatch, tmp_path):
    monkeypatch.setenv("LONGSHORE_STATE", str(state))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("LONGSHORE_URL", "LONGSHORE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def words(line):
    return [word for word, _ in candidates(split(line)[1:])]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("longshore mig", ["migrate", "migration"]),
        ("longshore migration cu", ["cutover"]),
        ("longshore server ", ["policy", "register"]),
        ("longshore help relay-image ", ["build", "pack", "upload"]),
        ("longshore --deb", ["--debug"]),
        ("longshore migrate --type ", ["dry-run", "cold", "warm"]),
        ("longshore migrate web --type=w", ["--type=warm"]),
        ("longshore migrate --from v", ["vc-north"]),
        ("longshore machine list ", ["here", "vc-north"]),
        ("longshore provider show ", ["here", "vc-north"]),
        ("longshore provider show vc-north ", []),
        ("longshore provider add vsphere ", []),
        ("longshore migration list --sta", ["--status"]),
        ("longshore migration list --status ro", ["rolling-back"]),
        ("longshore migration list -f ", ["csv", "json", "table", "value", "yaml"]),
        ("longshore plan show ", ["shop"]),
        ("longshore plan create ", []),
        ("longshore plan apply a.yaml ", [":files"]),
        ("longshore tenant validate ", [":directories"]),
        ("longshore --state /nowhere provider show ", []),
        ("longshore --state ", [":directories"]),
        ("longshore nonsense ", []),
        ("longshore migrate 'my mach", []),
    ],
)
def test_words_and_values_are_completed(line, found):
    assert words(line) == found


def test_migrations_are_given_newest_first_with_what_they_move(state):
    found = list(candidates(["migration", "show", ""]))
    store = Store(StateDirectory(state))
    newest_first = [m.id for m in sorted(store.migrations.all(), key=lambda m: m.created_at, reverse=True)]
    store.close()
    assert [id_ for id_, _ in found] == newest_first
    assert {about for _, about in found} == {"web0, queued", "web1, queued"}
    assert words(f"longshore migration wait {newest_first[0][:8]}") == [newest_first[0]]


def test_a_damaged_database_and_a_missing_one_are_no_error(tmp_path):
    state = tmp_path / "state"
    for kind in names.KINDS:
        assert names.known_names(kind, {"--state": str(state)}) == []
    assert not state.exists()
    state.mkdir()
    (state / "longshore.db").write_text("no database")
    said = subprocess.run(
        [LONGSHORE, "complete", "--shell", "bash", "--line", f"longshore --state {state} provider show "],
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert [path.name for path in state.iterdir()] == ["longshore.db"]


@pytest.mark.parametrize("arguments", [["--shell"], ["--line", "longshore "], ["--shell", "bash", "--"]])
def test_a_question_that_makes_no_sense_has_no_answer(arguments):
    said = subprocess.run([LONGSHORE, "complete", *arguments, "--"], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")


def test_a_server_is_not_waited_for_and_its_names_are_there_the_next_time(monkeypatch):
    """A server that takes long, or doesn't answer, holds up nobody who presses TAB."""
    asked = []
    monkeypatch.setattr(names.subprocess, "Popen", lambda command, **_: asked.append(command))
    options = {"--server": "https://127.0.0.1:9"}
    assert names.known_names("providers", options) == []
    assert names.known_names("providers", options) == []
    [command] = asked  # one asks for all who press TAB meanwhile
    assert command[-5:] == ["--server", "https://127.0.0.1:9", "complete", "--refresh", "providers"]

    class Server:
        def providers(self):
            return [names_of("there", "vsphere")]

    def names_of(name, kind):
        return type("Provider", (), {"name": name, "kind": kind})()

    names.refresh("providers", options, Server())
    assert names.known_names("providers", options) == [("there", "vsphere")]
    assert len(asked) == 1
    monkeypatch.setenv("OS_PROJECT_NAME", "another")
    assert names.known_names("providers", options) == []
    [kept] = [p for p in Path(os.environ["XDG_CACHE_HOME"]).rglob("*.json")]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_the_process_that_asks_keeps_what_it_hears(state):
    said = longshore(state, "complete", "--refresh", "providers")
    assert said.returncode == 0, said.stderr
    assert list(Path(os.environ["XDG_CACHE_HOME"]).rglob("*-providers.json"))


def test_only_what_is_needed_is_imported():
    look = (
        "import sys, os; from longshore.cli.completion import candidates;"
        "print(list(candidates(['migration', 'show', '']))); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    assert "sqlite3" in loaded
    assert not {"sqlalchemy", "fastapi", "openstack", "pydantic_settings"} & set(loaded)


def on_path(tmp_path):
    return {**os.environ, "PATH": f"{LONGSHORE.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def in_bash(line, environment):
    """As readline would ask, without the package bash-completion."""
    ask = (
        'eval "$(longshore complete --shell bash)"; COMP_LINE=$1 COMP_POINT=${#1}; '
        'cur=${1##*[ =:]}; _longshore longshore "$cur" x; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return completed_by(["bash", "-uc", ask, "-", line], environment)


def completed_by(command, environment):
    """What a shell says; asked again, as who presses TAB again, when nothing came: nobody waits long for an answer, and
    a machine that runs many tests may take longer."""
    for _ in range(20):
        said = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert said.stderr == ""
        if said.stdout.strip():
            break
    return said.stdout.split()


def test_bash_completes_commands_values_and_files(tmp_path, monkeypatch):
    environment = on_path(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my plan.yaml").touch()
    assert in_bash("longshore migration cut", environment) == ["cutover"]
    assert in_bash("longshore provider show vc", environment) == ["vc-north"]
    assert in_bash("longshore migrate web --type=w", environment) == ["warm"]
    assert in_bash("longshore plan apply my", environment) == ["my", "plan.yaml"]


def test_fish_completes(tmp_path):
    ask = "longshore complete --shell fish | source; complete -C 'longshore provider show vc'"
    assert completed_by(["fish", "-c", ask], on_path(tmp_path)) == ["vc-north", "vsphere"]


def test_zsh_completes(tmp_path):
    """Its completion runs inside its line editor alone: a terminal types the TAB."""
    import pexpect

    environment = on_path(tmp_path) | {"TERM": "xterm", "PS1": "ready> "}
    zsh = pexpect.spawn("zsh", ["-f", "-i"], env=environment, encoding="utf-8", timeout=60)
    zsh.sendline("autoload -Uz compinit && compinit -u; source <(longshore complete --shell zsh); print go''on")
    zsh.expect("goon")
    zsh.send("longshore provider show vc\t")
    zsh.expect("vc-north")
    zsh.close(force=True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shells_words_are_valid_in_it(shell, tmp_path):
    said = longshore(tmp_path, "complete", "--shell", shell)
    assert said.returncode == 0
    checked = subprocess.run([shell, "-n"], input=said.stdout, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_tab_is_answered_without_loading_what_takes_long():
    """What takes a second on a slow machine is there before anybody has typed on only if little is loaded."""
    line = ["complete", "--shell", "bash", "--line", "longshore migration show "]
    run = f"from longshore.cli import app, completion; completion._PATIENCE = 100; app.main({line})"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", run], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 2
    loaded = {words.rpartition("|")[2].strip() for words in done.stderr.splitlines()}
    assert "longshore.cli.command" in loaded
    takes_long = {"sqlalchemy", "pydantic", "fastapi", "requests", "openstack", "cryptography", "yaml"}
    assert not takes_long & loaded
