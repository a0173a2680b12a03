"""Every option of a request, refused by the same rules in a migration, a plan and a plan's file; nothing is kept."""

import asyncio
import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import yaml

from in_process import longshore
from longshore.engine import embedded
from longshore.errors import InvalidInput
from longshore.model.plan import OF_ONE_MACHINE, OPTIONS
from longshore.model.request import MigrationRequest
from longshore.planning import planfile
from longshore.service import create_app
from longshore.store import StateDirectory, Store

LONG = "x" * 256
NAMES = [{"": "a"}, {"a": ""}, {"a": LONG}, {LONG: "a"}, {"a\nb": "c"}, {"a": "b\x1b[2J"}, {"a": 7}, ["a"]]
WORDS = ["", " ", LONG, "a\nb", "a\0b", "a\u202eb", 7, ["a"]]
SECONDS = [0, -5, "nan", "inf", "-inf", 1e9, "soon", None, float("nan"), float("inf")]
SWITCH = ["perhaps", 7, []]
MAC = "00:50:56:00:00:01"
ADDRESSES = [{"not a mac": "dhcp"}, {MAC: "static"}, {MAC: {}}, {MAC: {"ipv4": "192.0.2.7"}}, {MAC: {"ipv4": "web/24"}}]
ADDRESSES += [
    {MAC: {"ipv4": "192.0.2.7/24", "gateway": "a\nb"}},
    {MAC: {"ipv4": "192.0.2.7/24", "dns": ["ns"]}},
    "dhcp",
]
NETWORKS = [{"192.0.2.0/24": "198.51.100.0/25"}, {"192.0.2.1/24": "198.51.100.0/24"}, {"lan": "198.51.100.0/24"}, ["a"]]
WRONG = {
    "networks": NAMES,
    "storage": NAMES,
    "subnets": NAMES,
    "ports": [{"00:50:56": "id"}, {"not a mac": "id"}, {"00:50:56:00:00:01": ""}],
    "adapters": [{"not a mac": {"leave_out": True}}, {MAC: {"network": ""}}, {MAC: "out"}, ["a"]],
    "addresses": ADDRESSES,
    "readdress": NETWORKS,
    "test_addresses": ADDRESSES,
    "test_readdress": NETWORKS,
    "flavor": WORDS,
    "type": ["hot", "", 7],
    "landing": ["crash", 7],
    "cutover": [
        {"downtime": 0},
        {"downtime": "nan"},
        {"downtime": 1e9},
        {"interval": -1},
        {"interval": "inf"},
        {"syncs": 0},
        {"syncs": 10**9},
        {"syncs": 10**30},
        {"mode": "whenever"},
        {"mode": "scheduled"},
        {"mode": "scheduled", "at": "tomorrow"},
        {"mode": "scheduled", "at": "2020-01-01T00:00:00Z"},
        {"mode": "scheduled", "at": "0001-01-01T00:00:00+14:00"},
        {"mode": "scheduled", "at": "9999-12-31T23:59:59-14:00"},
        {"mode": "scheduled", "at": "2200-01-01T00:00:00Z", "until": "2199-01-01T00:00:00Z"},
    ],
    "power": ["maybe"],
    "quiesce": SWITCH,
    "isolated": SWITCH,
    "keep": SWITCH,
    "clean_up_after": [*SECONDS[:-3], 60.0],
    "new_machine": SWITCH,
    "new_server": SWITCH,
    "replaces": [*WORDS, "s-1"],
    "mark_source": [{"suffix": "a\nb"}, {"tag": " "}, {"folder": LONG}, {"colour": "red"}, {"note": "maybe"}, ["note"]],
    "mark_source_later": [{"suffix": "a\nb"}, {"tag": "a,b"}],
    "landing_else": ["crash", 7],
    "keep_copy": [-1, 1e9, "soon"],
    "grace": [-1, 1e9, "soon", "inf"],
    "agents": [["vmtools"], [""], "qemu-guest-agent", [7], ["cloud-init"] * 11],
    "verify": ["some"],
    "server_name": [*WORDS, " web", "web "],
    "security_groups": [[""], [LONG], ["a\nb"], "default"],
    "availability_zone": WORDS,
    "key_name": WORDS,
    "server_group": WORDS,
    "user_data": ["base64:!", "x" * 50_000, 7],
    "metadata": [{"k": LONG}, {LONG: "v"}, {"": "v"}, {"a/b": "v"}, {"k": 7}, {str(n): "v" for n in range(121)}],
    "tags": [["a/b"], ["a,b"], ["x" * 61], [""], ["a\nb"], [str(n) for n in range(51)], "one"],
    "carry": [
        {"tags": [""]},
        {"attributes": ["a\nb"]},
        {"tags": "stage"},
        {"annotation": "maybe"},
        {"notes": True},
        "all",
    ],
    "allowed_addresses": [["300.1.1.1"], ["10.0.0.0/40"], [""], ["fe80::1%eth0"], ["web.example.org"]],
    "floating": ["maybe"],
    "first_boot": [[""], ["a\0b"], "echo"],
    "guest_keys": [[""], ["a\0b"], "echo"],
    "before": ["", "a\nb", "/" + "x" * 5000],
    "after": ["", "a\nb", "/" + "x" * 5000],
    "volume": [
        {"name": LONG},
        {"description": LONG},
        {"image_properties": {"": "a"}},
        {"image_properties": {"a": LONG}},
    ],
    "of": ["", "3f0c"],
    "point": [0, -1, "one"],
    "accept": [["no-such-concern"], "quota-cores"],
    "shutdown_timeout": SECONDS,
    "when_stuck": ["wait"],
    "force_power_off": SWITCH,
    "boot_timeout": SECONDS,
    "boot_mark": ["(", "a(?=b)", r"(a)\1", "", "x" * 501, "(a{100}){100}", "*"],
    "boot_port": [0, -1, 65536, "ssh", [0], [22, 65536], list(range(1, 12))],
    "boot_proof": ["maybe"],
    "rate_limit": [0, -1, 10**30, "fast", "nan"],
}
PLAN = {"name": "shop", "source": "vc", "target": "cloud"}
SOON = (datetime.now(UTC) + timedelta(days=2)).isoformat()


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "ensure_running", lambda _state: None)
        store = Store(StateDirectory(tmp_path_factory.mktemp("state")))
        http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(store)), base_url="http://test")
        with asyncio.Runner() as loop:

            def ask(method, path, body=None):
                # As programs may write it that don't keep to JSON
                content = json.dumps(body) if body is not None else None
                headers = {"Content-Type": "application/json"}
                return loop.run(http.request(method, path, content=content, headers=headers))

            yield ask
        store.close()


@pytest.fixture(scope="module")
def a_state(tmp_path_factory):
    return tmp_path_factory.mktemp("command") / "state"


def refused(answer):
    assert 400 <= answer.status_code < 500, answer.text
    assert {"code", "message"} <= set(answer.json()) <= {"code", "message", "advice", "field"}
    said = answer.json()["message"]
    assert not said.startswith("body: ")
    assert all(character.isprintable() for character in said), said
    return said


def test_no_option_is_without_a_rule():
    assert WRONG.keys() == {option.name for option in fields(MigrationRequest)}


@pytest.mark.parametrize("name", WRONG)
def test_a_migration_isnt_asked_for_with_it(ask, name):
    for wrong in WRONG[name]:
        request = {"type": "warm", name: wrong}
        body = {"machine": "web", "source": "vc", "target": "cloud", "request": request}
        said = refused(ask("POST", "/v1/migrations", body))
        assert "There is no provider" not in said, wrong  # it was refused before anything was looked up
    assert ask("GET", "/v1/migrations").json() == []


@pytest.mark.parametrize("name", sorted(WRONG.keys() & OPTIONS))
def test_neither_is_a_plan_kept_with_it(ask, name):
    for wrong in WRONG[name]:
        machine = {"machine": "web", "type": "warm", name: wrong}
        said = refused(ask("PUT", "/v1/plans/shop", {**PLAN, "machines": [machine]}))
        if "that is past" not in said and "a year away" not in said:  # a file may have been applied before that
            with pytest.raises(InvalidInput, match=r"^shop.yaml, line \d+(, column \d+)?: "):
                planfile.read(yaml.safe_dump({**PLAN, "machines": ["db", machine]}), "shop.yaml")
        if name not in OF_ONE_MACHINE | {"networks", "subnets", "storage"}:
            refused(ask("PUT", "/v1/plans/shop", {**PLAN, "defaults": {name: wrong}}))
    assert ask("GET", "/v1/plans").json() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"description": "x" * 20_000},
        {"description": "a\0b"},
        {"source": "a\nb"},
        {"name": "shop\n"},
        {"limits": {"at_once": 10**30}},
        {"limits": {"at_once": float("nan")}},
        {"limits": {"bytes_per_second": 10**30}},
        {"machines": [{"machine": "web", "wave": 10**30}]},
        {"machines": [{"machine": "a\nb"}]},
        {"machines": [{"machine": "web", "ref": ""}]},
        {"volumes": [{"volume": "a\0b"}]},
        {"volumes": [{"volume": "v", "rate_limit": -1}]},
        {"mappings": {"networks": {"a": ""}}},
        {"mappings": {"zones": {"a\nb": "az"}}},
        {"mappings": {"flavors": [{"flavor": ""}]}},
        {"mappings": {"flavors": [{"flavor": "m", "cpus": -1}]}},
        {"mappings": {"flavors": [{"flavor": "m", "memory_mib": 10**30}]}},
        {"defaults": {"cutover": {"mode": "scheduled"}}, "machines": ["web"]},
    ],
)
def test_what_a_plan_says_besides_is_looked_at_too(ask, wrong):
    refused(ask("PUT", "/v1/plans/shop", {**PLAN, **wrong}))
    assert ask("GET", "/v1/plans").json() == []


def test_a_time_that_is_past_is_refused_with_what_time_it_is_unless_the_plan_has_had_it(ask, monkeypatch):
    body = {"machine": "web", "source": "vc", "target": "cloud"}
    past = {"mode": "scheduled", "at": "2020-02-03T04:05:00+02:00"}
    before = datetime.now(UTC)
    said = refused(ask("POST", "/v1/migrations", {**body, "request": {"type": "warm", "cutover": past}}))
    now = datetime.now(UTC)
    assert said.startswith('"cutover.at" is 2020-02-03 02:05 UTC, and that is past: it is ')
    assert any(f"{moment:%Y-%m-%d %H:}" in said for moment in (before, now))

    plan = {**PLAN, "machines": [{"machine": "web", "type": "warm", "cutover": {"mode": "scheduled", "at": SOON}}]}
    assert ask("PUT", "/v1/plans/shop", plan).status_code == 201
    later = now + timedelta(days=3)

    class Later(datetime):
        @classmethod
        def now(cls, zone=None):
            return later.astimezone(zone)

    monkeypatch.setattr("longshore.planning.validation.datetime", Later)
    assert ask("PUT", "/v1/plans/shop", plan).status_code == 200  # the file in git hasn't changed
    other = {**plan, "machines": [*plan["machines"], {**plan["machines"][0], "machine": "db"}]}
    other["machines"][1]["cutover"] = {"mode": "scheduled", "at": (now + timedelta(days=1)).isoformat()}
    assert "machines.1" in refused(ask("PUT", "/v1/plans/shop", other))
    assert ask("DELETE", "/v1/plans/shop").status_code == 204


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"isolated": True}, "Only a dry run can be isolated."),
        ({"cutover": {"mode": "automatic"}}, "Only a warm migration has a cutover."),
        ({"type": "warm", "cutover": {"at": SOON}}, "Only a scheduled cutover has times."),
        ({"first_boot": ["echo"], "landing": "as-is"}, "when it is converted"),
        ({"boot_proof": "port"}, "none is named. Name it (boot_port, --boot-port)."),
        ({"boot_proof": "agent", "boot_port": 22}, "A boot_port is named, and the boot_proof asked for is agent."),
        ({"boot_proof": "none", "boot_mark": "up"}, "A boot_mark shows on the console, and the boot_proof"),
        (
            {"type": "dry-run", "isolated": True, "boot_proof": "port", "boot_port": [22, 3389]},
            "Nobody reaches a port of an isolated dry run's server",
        ),
    ],
)
def test_what_means_nothing_beside_the_rest_is_refused(ask, request_, said):
    body = {"machine": "web", "source": "vc", "target": "cloud", "request": request_}
    assert said in refused(ask("POST", "/v1/migrations", body))


@pytest.mark.parametrize(
    "words",
    [
        ["--boot-mark", "("],
        ["--boot-port", "65536"],
        ["--boot-port", "ssh"],
        ["--boot-proof", "port"],
        ["--tag", "a/b"],
        ["--boot-timeout", "1e9"],
        ["--shutdown-timeout", "nan"],
        ["--rate-limit", "nan"],
        ["--type", "warm", "--cutover-at", "2020-01-01T00:00"],
        ["--cutover", "automatic"],
        ["--guest-key", "/dev/null"],
        ["--guest-key", "/nobody/has/it"],
    ],
)
def test_the_command_says_one_sentence_and_keeps_nothing(a_state, words):
    done = longshore(a_state, "migrate", "web", "--from", "vc", "--to", "cloud", *words)
    assert done.returncode in (1, 2)
    assert "There is no provider" not in done.stderr
    if done.returncode == 1:
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("longshore: ")
    assert "Traceback" not in done.stderr
