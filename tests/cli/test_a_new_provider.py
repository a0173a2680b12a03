"""A kind of provider is its folder and its entry in the registry: commands, checks and lists are made from that."""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from made_up.declaration import MADE_UP

from in_process import longshore
from longshore.cli.completion import candidates, split
from longshore.cli.provider_add import AddProvider
from longshore.model.platform import Platform
from longshore.providers import registry
from longshore.service import create_app
from longshore.store import StateDirectory, Store

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))
from tokens import access

TRAITS = Platform._declared.pop(MADE_UP.kind)  # other tests see the kinds that there are
ADD = ("provider", "add", "made-up", "shed", "--address", "there")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """As one more line in the registry would have it."""
    monkeypatch.setitem(Platform._declared, MADE_UP.kind, TRAITS)
    monkeypatch.setattr(registry, "PROVIDERS", (*registry.PROVIDERS, MADE_UP))
    monkeypatch.setenv("LONGSHORE_TOKEN", "sesame")


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def test_it_is_added_changed_and_listed_with_its_machines(state, tmp_path):
    words = ("--shelf", "a", "--shelf", "b", "--careful", "--ratio", "0.5", "--tool-dir", "bin", "--label", "dc1")
    done = longshore(state, *ADD, *words, "-f", "json")
    assert done.returncode == 0, done.stderr
    found = {"address": "there", "depth": "3", "careful": "True", "token": "6 characters"}
    assert json.loads(done.stdout) == {"provider": "shed", "type": "made-up", **found}
    kept = json.loads(longshore(state, "provider", "show", "shed", "-f", "json").stdout)
    own = {"shelves": ["a", "b"], "careful": True, "ratio": 0.5, "tool_dir": str(Path("bin").absolute())}
    assert {**kept, **own, "labels": ["dc1"], "colour": None} == kept
    [listed] = json.loads(longshore(state, "provider", "list", "-f", "json").stdout)
    assert (listed["Name"], listed["Kind"], listed["Where"]) == ("shed", "made-up", "there")
    [machine] = json.loads(longshore(state, "machine", "list", "shed", "-f", "json").stdout)
    assert machine["Name"] == "web"
    (secret := tmp_path / "token").write_bytes(b"open sesame\r\n")  # as an editor on Windows ends it
    done = longshore(state, "provider", "set", "shed", "--depth", "5", "--no-careful", "--token-file", secret)
    assert "11 characters" in done.stdout, done.stderr
    changed = json.loads(longshore(state, "provider", "show", "shed", "-f", "json").stdout)
    assert changed == {**kept, "depth": 5, "careful": False, "checked_at": changed["checked_at"]}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (ADD[:4], 2, "longshore: The following arguments are required: --address."),
        ((*ADD, "--colour", "green"), 2, "longshore: --colour: invalid choice: 'green'"),
        ((*ADD, "--depth", "deep"), 2, "longshore: --depth: invalid int value: 'deep'."),
        ((*ADD, "--token-file", "/nonexistent/file"), 1, "longshore: The token file /nonexistent/file can't be read"),
        (("provider", "set", "none", "--shelf", "a"), 1, "longshore: There is no provider named none."),
    ],
)
def test_what_is_wrong_is_refused_as_with_the_others(state, words, code, said):
    done = longshore(state, *words)
    assert (done.returncode, done.stderr.startswith(said)) == (code, True), done.stderr


def test_options_of_another_kind_are_refused(state):
    longshore(state, *ADD)
    for word in ("--host", "--password-file", "--os-cloud", "--memory"):
        done = longshore(state, "provider", "set", "shed", word, "1")
        assert (done.returncode, f"Provider shed is made-up: it has no {word}." in done.stderr) == (1, True), word


def test_it_has_help_and_the_shell_completes_it(state):
    assert "Add a thing that is made up" in longshore(state, "help", "all").stdout
    said = longshore(state, "help", "provider", "add", "made-up").stdout
    assert "--depth N" in said
    assert "(default: 3)" in said
    assert "file that holds the token (else $LONGSHORE_TOKEN, else a prompt)" in " ".join(said.split())
    assert "of what is made up" in longshore(state, "provider", "set", "--help").stdout
    for line, found in (
        ("provider add m", ["made-up"]),
        ("provider add made-up --colo", ["--colour"]),
        ("provider add made-up shed --colour ", ["red", "blue"]),
        ("provider add made-up shed --tool-dir ", [":directories"]),
        ("help provider add f", ["files"]),
    ):
        assert [word for word, _ in candidates(split(line))] == found, line


def test_the_plugin_takes_the_kind_as_a_word(capsys):
    asked = []
    client = SimpleNamespace(add_provider=lambda *told: asked.append(told) or _added())
    app = SimpleNamespace(client_manager=SimpleNamespace(migration=client))
    command = AddProvider(app, None)
    command.formatter = None  # cliff sets it
    parser = command.get_parser("openstack migration provider add")
    args = parser.parse_args(["made-up", "shed", "--address", "there", "--depth", "2"])
    command.take_action(args)
    [(name, kind, settings, secrets)] = asked
    assert (name, kind, settings["depth"], secrets) == ("shed", "made-up", 2, {"token": "sesame"})
    for words, said in (
        (["made-up", "shed"], "Usage: openstack migration provider add made-up --address HOST"),
        (
            ["--depth", "2", "made-up"],
            "The first word has to be the kind of provider: vsphere, files, openstack, vault",
        ),
        (["hyperv", "x"], "The first word has to be the kind of provider: vsphere, files, openstack, vault, made-up."),
    ):
        with pytest.raises(SystemExit) as ended:
            command.get_parser("openstack migration provider add").parse_args(words)
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


def _added():
    return SimpleNamespace(provider=SimpleNamespace(name="shed", kind="made-up"), found={})


def test_a_server_takes_what_it_declares_safe_and_nothing_else(state):
    store = Store(StateDirectory(state))
    app = create_app(store, access=access())

    def ask(method, path, body=None):
        async def asked():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://longshore") as client:
                return await client.request(method, path, json=body, headers={"X-Auth-Token": "ann"})

        return asyncio.run(asked())

    def add(kind="made-up", **settings):
        told = {"address": "there", **settings}
        return ask("POST", "/v1/providers", {"name": "shed", "kind": kind, "settings": told, "secrets": {"token": "t"}})

    try:
        refused = add(tool_dir="/etc")
        assert (refused.status_code, refused.json()["message"]) == (
            400,
            'A server doesn\'t take "tool_dir" from its callers. The operator of the server sets it.',
        )
        assert "9 deep" in add(depth=10).json()["message"]
        refused = add(kind="hyperv")
        assert (refused.status_code, "no kind of provider" in refused.json()["message"]) == (400, True)
        assert ask("GET", "/v1/providers").json() == []
        assert add(depth=2, labels=["dc1"]).status_code == 201
        assert [p["name"] for p in ask("GET", "/v1/providers?kind=made-up").json()] == ["shed"]
        assert ask("GET", "/v1/providers?kind=files").json() == []
        assert ask("GET", "/v1/providers?kind=hyperv").status_code == 400
        [schema] = [ask("GET", "/v1/openapi.json").json()["components"]["schemas"]["NewProvider"]]
        assert "made-up" in schema["properties"]["kind"]["enum"]
    finally:
        store.close()


@pytest.mark.parametrize("known", [*registry.PROVIDERS, MADE_UP], ids=lambda known: known.kind)
def test_what_is_declared_is_of_settings_that_there_are(known):
    shape = known.settings().__dataclass_fields__
    secret = {"password", "ssh_key", "os_cloud", "token", "pass_phrase", "secret_key"}
    assert {option.name for option in known.options} - secret <= set(shape)
    assert known.safe | known.tells_which | known.sent_to <= set(shape)
    assert not {name for name in known.safe if name.endswith(("_file", "_dir", "_libdir", "_conf"))}
