"""Longshore where only its wheel was installed: as a client, and with its engine but without Debian's packages."""

import argparse
import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import longshore
from longshore.cli.commands import all_commands
from longshore.guests.converter import build as converter_build
from longshore.processes.installed import PACKAGES
from longshore.providers.openstack.relay_image import build as relay_build

pytestmark = pytest.mark.long

TESTS = Path(__file__).parent
SOURCES = TESTS.parent / "src" / "longshore"
INSTALL = TESTS.parent / "docs" / "howto" / "install.md"
CLIENT_ALONE = "Only Longshore's client is installed here, and this takes its engine"
# What a machine has that runs Debian, however small: util-linux, coreutils, bash, tar; and a shell's own
ESSENTIAL = {"bash", "cat", "choom", "env", "prlimit", "setpriv", "sh", "tar"}


def required(name, seen):
    """The names of all distributions that one requires, without its extras."""
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        key = wanted.name.lower().replace("_", "-").replace(".", "-")
        if (wanted.marker is None or wanted.marker.evaluate({"extra": ""})) and key not in seen:
            seen.add(key)
            required(wanted.name, seen)
    return seen


def engine_modules():
    """The modules of all that is installed here beside a client and what it requires."""
    ours = {"longshore", *required("longshore", set())}
    return [
        module
        for module, owners in packages_distributions().items()
        if not ours & {owner.lower().replace("_", "-").replace(".", "-") for owner in owners}
    ]


def run(hidden, commands, tmp_path):
    variables = {"PATH": "/nowhere", "HOME": str(tmp_path), "LONGSHORE_STATE": str(tmp_path / "state")}
    variables["LONGSHORE_CONVERTER"] = str(tmp_path / "converter")
    done = subprocess.run(
        [sys.executable, TESTS / "without.py", json.dumps(hidden), json.dumps(commands)],
        env=variables,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,  # with no terminal to ask at
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(map(" ".join, commands), json.loads(done.stdout), strict=True))


def smallest():
    """Each command with the fewest words that its parser takes."""
    app = argparse.Namespace(NAME="longshore", options=None)
    for name, point in sorted(all_commands().items()):
        parser = point.load()(app, None).get_parser(f"longshore {name}")
        words = name.split()
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction) or not (action.required and action.nargs != "*"):
                continue
            value = "1" if action.type is int else next(iter(action.choices or ()), "x")
            words += [*action.option_strings[:1], str(value)]
        yield words


def is_told_well(code, said):
    return code is not None and not re.search(r"a bug|ModuleNotFoundError|Traceback|No module named", said)


# They serve until they are ended
SERVING = (["web"],)


def test_a_client_alone_says_of_each_command_whether_it_takes_more(tmp_path):
    commands = [*smallest(), ["--version"], ["--help"]]
    assert len(commands) > 140
    told = run(engine_modules(), commands, tmp_path)
    assert {name: it for name, it in told.items() if not is_told_well(*it)} == {}
    assert told["--version"][0] == told["--help"][0] == 0
    for name in ("provider list", "plan list", "worker", "server policy", "web", "copy x x", "machine list x"):
        code, said = told[name]
        assert (code, said.count(CLIENT_ALONE), said.count("install longshore[engine]")) == (1, 1, 1), said
    assert f"$ env -u LONGSHORE_URL longshore provider list\n{told['provider list'][1]}" in INSTALL.read_text()
    succeeded = {name for name, (code, _said) in told.items() if code == 0}
    assert succeeded == {"--version", "--help"}
    assert not (tmp_path / "state").exists()


def test_without_debians_packages_each_command_does_its_work_or_says_what_to_install(tmp_path):
    commands = [words for words in smallest() if words not in SERVING]
    told = run([], commands, tmp_path)
    assert {name: it for name, it in told.items() if not is_told_well(*it)} == {}
    for name in ("provider list", "plan list", "migration list", "vault list", "server policy", "features"):
        assert told[name][0] == 0, told[name]
    install = "Install the package{} {}, or have a server do it (LONGSHORE_URL)."
    alone = install.format("", "python3-libnbd")
    assert told["copy x x"] == [1, f"libnbd for Python isn't installed on this machine. {alone}\n"]
    code, said = told["worker"]
    all_of_it = install.format("s", "python3-libnbd nbdkit qemu-utils bubblewrap")
    assert code == 1
    assert f"libnbd for Python, nbdkit, qemu-nbd and bwrap aren't installed on this machine. {all_of_it}" in said


def test_all_but_what_reads_disks_begins_without_debians_modules():
    """Rooms other than `blocks` and `guests` load what these need when a disk is read."""
    names = [
        ".".join(("longshore", *path.relative_to(SOURCES).with_suffix("").parts)).removesuffix(".__init__")
        for path in sorted(SOURCES.rglob("*.py"))
        if path.relative_to(SOURCES).parts[0] not in {"blocks", "guests"}
        and not {"__main__.py", "schema", "left"} & set(path.parts)
    ]
    assert len(names) > 400
    program = (
        "import sys\n"
        "for name in sys.argv[1].split(): sys.modules[name] = None\n"
        "from importlib import import_module\n"
        "for name in sys.argv[2:]:\n"
        "    try: import_module(name)\n"
        "    except ModuleNotFoundError as error: print(name, error)\n"
    )
    words = [sys.executable, "-c", program, " ".join(longshore.BINDINGS), *names]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


# Rooms and modules that commands load for what they do on this machine, never beside a server
HERE_ALONE = (
    "service",
    "flows",
    "engine",
    "web",
    "store",
    "vault",
    "providers.vault",
    "guests.mounted",
    "blocks.command",
    "logs",
)


def imported_by(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


def test_what_a_command_loads_beside_what_a_server_answers_is_there_for_a_client():
    """Files that are read, checked or written for a server take no module of the engine's."""
    wanted = {
        f"from {module} import {name}" if name else f"import {module}"
        for room in ("cli", "client", "wording", "api", "border", "model")
        for path in (SOURCES / room).rglob("*.py")
        for module, name in imported_by(path)
        if module.startswith("longshore.") and not module.removeprefix("longshore.").startswith(HERE_ALONE)
    }
    assert {"from longshore.planning import replicafile", "from longshore.tenancy import validate"} <= wanted
    program = (
        "import sys, json\n"
        "sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))\n"
        "for line in sys.argv[2:]:\n"
        "    try: exec(line)\n"
        "    except ModuleNotFoundError as error: print(line, error)\n"
    )
    words = [sys.executable, "-c", program, json.dumps(engine_modules()), *sorted(wanted)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_each_module_that_is_imported_has_a_package_to_be_installed():
    known = {*sys.stdlib_module_names, "longshore", "_typeshed", *longshore.BINDINGS, *packages_distributions()}
    imported = {}
    for path in SOURCES.rglob("*.py"):
        imported |= {module.partition(".")[0]: path for module, _name in imported_by(path)}
    assert {name: path for name, path in imported.items() if name not in known} == {}
    assert {"nbd", "guestfs", "rados", "rbd"} <= set(imported) & set(longshore.BINDINGS)


def test_what_is_said_to_be_missing_is_what_install_brings():
    root = TESTS.parent
    listed = {line.strip() for line in (root / "packages.txt").read_text().splitlines()}
    assert {*PACKAGES.values(), *longshore.BINDINGS.values()} - listed == set()
    asked = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for lock, extras in (("requirements-runtime.lock", ["engine"]), ("requirements.lock", ["engine", "hooks"])):
        wanted = [*asked["dependencies"], *(line for extra in extras for line in asked["optional-dependencies"][extra])]
        locked = set(re.findall(r"^([a-z0-9-]+)(?:\[\w+\])?==", (root / lock).read_text(), re.MULTILINE))
        assert {Requirement(line).name.replace(".", "-") for line in wanted} <= locked, lock


def first_words(path):
    """The first word of each list, tuple and command line in a module that starts programs."""
    text = path.read_text()
    if not re.search(r"subprocess|die_with_parent|Sandbox|run_recipe", text):
        return
    for node in ast.walk(ast.parse(text)):
        first = None
        if isinstance(node, ast.List | ast.Tuple) and node.elts:
            first = node.elts[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"die_with_parent", "create_subprocess_exec"}:
            first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def test_each_program_that_is_started_is_essential_or_has_a_package_to_be_installed():
    programs = re.compile(r"[a-z][a-z0-9.-]+")
    here = {path.name for place in ("/usr/bin", "/usr/sbin", "/bin", "/sbin") for path in Path(place).glob("*")}
    started = {
        word
        for path in SOURCES.rglob("*.py")
        if "left" not in path.parts  # which is put into vaults, for a machine without Longshore
        for word in first_words(path)
        if programs.fullmatch(word) and word in here
    }
    told = {*PACKAGES, *converter_build._NEEDED, *relay_build._NEEDED, *ESSENTIAL}
    no_programs = {"file", "apt-config", "truncate"}  # a key; left out where it isn't there; a filter of nbdkit's
    assert {"nbdkit", "qemu-nbd", "qemu-img"} <= started
    assert started - told - no_programs == set()
