"""Plans from the command line to the end of their migrations, between small clouds with real disks and engines."""

import itertools
import json
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from lives import FleetLife
from small_clouds import LOOSE, LOOSE_SIZE
from small_fleet import NAMES, Fleet, fleet_connect

from in_process import longshore
from longshore.engine import embedded
from longshore.flows import clouds
from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

FAST = ["--option", "boot_timeout=5", "--option", "shutdown_timeout=5"]


class User:
    """Somebody at a terminal, with both clouds added; `fleet`: those of another installation."""

    def __init__(self, directory, fleet=None):
        self.fleet = fleet or Fleet.create(directory / "fleet")
        self.directory = directory
        self.state = StateDirectory(directory / "state")
        store = Store(self.state)
        settings = {"root": str(self.fleet.root)}
        store.providers.add("vc", "vsphere", settings, {"password": "x"})
        store.providers.add("cloud", "openstack", settings, {"password": "x"})
        store.close()

    def __call__(self, *words):
        """Exit code, standard output, standard error."""
        done = longshore(self.state.root, *words)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def well(self, *words):
        code, out, err = self(*words)
        assert code == 0, err
        return out

    def json(self, *words):
        return json.loads(self.well(*words, "-f", "json"))

    def refused(self, *words):
        """The one sentence."""
        code, out, err = self(*words)
        assert code == 1, (out, err)
        assert out == ""
        (line,) = err.strip().splitlines()
        assert line.startswith("longshore: ")
        return line

    def create(self, *words):
        return self.well("plan", "create", "shop", "--from", "vc", "--to", "cloud", *words, *FAST)

    def states(self):
        return {m["machine"]: m["status"] for m in self.json("plan", "show", "shop")["machines"]}

    def store(self):
        return Store(self.state)


def until(condition, seconds=60.0):
    """What it answers in the end."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.fixture
def user(monkeypatch):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        user = User(Path(directory))
        user.engines = engines = []

        def ensure_running(state):
            if not embedded.is_locked(state):
                engines.append(FleetLife(state.root, user.fleet.root))
                until(lambda: embedded.is_locked(state) or engines[-1].poll() is not None)

        monkeypatch.setattr(clouds, "connect", fleet_connect)
        monkeypatch.setattr(embedded, "ensure_running", ensure_running)
        monkeypatch.setattr("longshore.cli.plan_watch._POLL", 0.05)
        monkeypatch.setattr("longshore.cli.plan_watch._LINE_EVERY", 0.0)
        yield user
        for one in engines:
            if one.poll() is None:
                one.kill()


def test_a_plan_is_proposed_by_addresses_and_sizes_and_says_what_it_left_open(user):
    user.create("--folder", "fleet", "app01")
    plan = yaml.safe_load(user.well("plan", "export", "shop"))
    assert [m["machine"] for m in plan["machines"]] == list(NAMES)
    assert [m["ref"] for m in plan["machines"]] == ["vm-1", "vm-2", "vm-3"]
    assert plan["mappings"]["networks"] == {"VM Network": "private"}
    assert plan["mappings"]["flavors"] == [{"flavor": "small", "cpus": 1, "memory_mib": 256}]
    code, out, _ = user("plan", "check", "shop", "-f", "json")
    assert code == 0
    assert not [c for c in json.loads(out) if c["Severity"] == "blocker"]


def test_machines_named_by_path_alone_are_known_again(user):
    path = user.directory / "paths.yaml"
    plan = {"name": "shop", "source": "vc", "target": "cloud", "mappings": {"networks": {"VM Network": "private"}}}
    plan |= {"defaults": {"boot_timeout": 5}, "machines": ["fleet/app01", "app02"]}
    path.write_text(yaml.safe_dump(plan))
    user.well("plan", "apply", str(path))
    user.well("plan", "start", "shop", "--wait", "--plain")
    assert user.states() == {"fleet/app01": "done", "app02": "done"}
    assert "is left to start" in user.refused("plan", "start", "shop")


def test_missing_flavors_are_made_for_those_who_may_and_only_when_asked(user):
    (user.fleet.root / "no-flavors").touch()
    words = ["plan", "create", "shop", "--from", "vc", "--to", "cloud", "app01", "-f", "json"]
    (user.fleet.root / "member").touch()
    assert user.refused(*words, "--create-flavors") == (
        "longshore: The cloud didn't let us make flavor longshore-1c-256m."
    )
    assert user.json("plan", "list") == []
    (user.fleet.root / "member").unlink()
    open_ = {c["Code"]: c["What"] for c in json.loads(user.well(*words, "--create-flavors"))}
    assert open_["flavor-made"].startswith("Flavor longshore-1c-256m was made, with 1 CPU(s) and 256 MiB")
    assert "flavor-undecided" not in open_
    plan = yaml.safe_load(user.well("plan", "export", "shop"))
    assert plan["mappings"]["flavors"] == [{"flavor": "longshore-1c-256m", "cpus": 1, "memory_mib": 256}]
    assert user.json("plan", "show", "shop")["made_flavors"] == ["longshore-1c-256m"]
    code, _, said = user("plan", "delete", "shop")
    assert (code, said) == (0, "Made for it and left at cloud: flavor longshore-1c-256m.\n")
    assert "flavor-undecided" in {c["Code"] for c in json.loads(user.well(*words))}


def test_all_machines_of_a_plan_arrive_wave_by_wave(user):
    user.create("--name", "*")
    user.well("plan", "set", "shop", "--wave", "db01=2", "--option", "type=cold")
    started = user.json("plan", "start", "shop", "--wait", "--plain")
    assert {m["Machine"]: m["Status"] for m in started} == dict.fromkeys(NAMES, "done")
    assert user.states() == dict.fromkeys(NAMES, "done")
    store = user.store()
    ended = {m.machine_name: m for m in store.migrations.all()}
    first_wave = max(ended[n].finished_at for n in ("app01", "app02"))
    assert ended["app01"].started_at < ended["app02"].finished_at  # side by side
    assert ended["db01"].started_at >= first_wave
    assert "is left to start" in user.refused("plan", "start", "shop")
    (summary,) = user.json("plan", "find", "--machine", "db01")
    assert summary["State"] == "3 done"
    store.close()


def test_one_failure_stops_no_other_and_is_retried_alone(user):
    user.create("--name", "*")
    user.well("plan", "set", "shop", "--wave", "db01=2")
    user.fleet.world("app01").plan_fault("create_server", 1, "before", "error")
    code, _, said = user("plan", "start", "shop", "--wait", "--plain")
    assert code == 1
    assert "1 of 3 machines of plan shop didn't arrive: app01 (waits-with-copy)" in said
    assert "longshore plan retry shop" in said
    assert user.states() == {"app01": "waits-with-copy", "app02": "done", "db01": "done"}
    report = json.loads(user.well("plan", "report", "shop", "-f", "json"))
    assert report["states"] == {"waits-with-copy": 1, "done": 2}
    retried = user.json("plan", "retry", "shop", "--wait", "--plain")
    assert [(m["Machine"], m["Status"]) for m in retried] == [("app01", "done")]
    assert "Nothing of plan shop has failed" in user.refused("plan", "retry", "shop")
    text = user.well("plan", "report", "shop")
    assert "# Plan shop\n" in text
    assert "| Machines | 3 done |" in text
    assert "The cutover failed: The cloud had a moment of weakness in create_server" in text
    assert "| app01 | 1 | cold | done |" in text


def test_a_report_says_what_was_copied_verified_and_said(user):
    user.create("db01", "--option", "accept=[guest-file-system-full]")
    user.well("plan", "start", "shop", "--wait", "--plain")
    (state,) = user.json("plan", "show", "shop")["machines"]
    report = json.loads(user.well("migration", "report", state["migration"][:8], "-f", "json"))
    assert (report["machine"], report["plan"], report["status"]) == ("db01", "shop", "done")
    assert report["copied"]["verified"] == sum(d["size"] for d in report["disks"])
    assert all(len(d["root_digest"]) == 64 for d in report["disks"])
    assert report["downtime_seconds"] > 0
    assert report["accepted"] == ["guest-file-system-full"]
    assert report["conversion"]["system"]["product"] == "Debian 12"
    assert report["left"] == []
    moments = [e["at"] for e in report["events"]]
    assert moments == sorted(moments)
    assert all(m.endswith("Z") for m in moments)
    text = user.well("migration", "report", state["migration"])
    assert text.startswith("# db01: cold, done\n")
    for disk in report["disks"]:
        assert f"| {disk['label']} | {disk['size'] >> 20}.0 MiB | done | {disk['root_digest']} |" in text
    for line in text.splitlines():  # tables hold whatever sentences there are
        if line.startswith("| ") and "Z |" in line[:30]:
            assert line.count(" | ") == 3


def test_a_report_of_what_still_runs(user):
    user.create("db01", "--option", "landing=unchanged")  # else it hangs while it is looked into, before it is off
    (user.fleet.world("db01").root / "hang").touch()
    assert "There is no migration" in user.refused("migration", "report", "nobody")
    report = json.loads(user.well("plan", "report", "shop", "-f", "json"))
    assert (report["states"], report["machines"][0]["report"]) == ({"planned": 1}, None)
    user.well("plan", "start", "shop")

    def report_once_off():
        (machine,) = json.loads(user.well("plan", "report", "shop", "-f", "json"))["machines"]
        return machine["report"] if machine["report"]["source_off_at"] else None

    report = until(report_once_off)
    assert report["finished_at"] is None
    assert report["downtime_seconds"] >= 0
    assert "running" in user.well("plan", "report", "shop")


def test_limits_hold_while_it_runs(user):
    user.create("--name", "*")
    path = user.directory / "shop.yaml"
    user.well("plan", "export", "shop", str(path))
    path.write_text(path.read_text() + "limits:\n  at_once: 1\n  bytes_per_second: 4000000\n")
    user.well("plan", "apply", str(path))
    began = time.monotonic()
    user.well("plan", "start", "shop", "--wait", "--plain")
    # 2 MiB of data in each of three machines, one after another
    assert time.monotonic() - began > 3 * (2 << 20) / 4_000_000
    store = user.store()
    runs = sorted(store.migrations.all(), key=lambda m: m.started_at)
    for before, after in itertools.pairwise(runs):
        assert after.started_at >= before.finished_at
    store.close()


def test_a_wave_alone_and_then_the_rest(user):
    user.create("--name", "*")
    user.well("plan", "set", "shop", "--wave", "db01=2")
    user.well("plan", "start", "shop", "--wave", "2", "--wait", "--plain")
    assert user.states() == {"app01": "planned", "app02": "planned", "db01": "done"}
    user.well("plan", "start", "shop", "--wait", "--plain")
    assert user.states() == dict.fromkeys(NAMES, "done")


def test_a_plan_is_cancelled_with_those_that_still_wait_for_their_wave(user):
    user.create("--name", "*")
    user.well("plan", "set", "shop", "--wave", "db01=2")
    for name in ("app01", "app02"):
        (user.fleet.world(name).root / "hang").touch()
    user.well("plan", "start", "shop")
    # Of the two that are under way one is looked into, which hangs, and the other waits for its turn
    calls = lambda: [user.fleet.world(name).calls() for name in ("app01", "app02")]  # noqa: E731
    until(lambda: all("open_disk" in of_one for of_one in calls()) and any("look" in of_one for of_one in calls()))
    user.well("plan", "cancel", "shop", "--wait", "--plain")
    assert user.states() == dict.fromkeys(NAMES, "cancelled")
    for name in NAMES:
        world = user.fleet.world(name).read()
        assert world["power"] == "on"
        assert not any(world[kind] for kind in ("snapshots", "volumes", "vsnaps", "ports", "servers"))


def test_a_plan_whose_engine_is_killed_is_resumed_and_nothing_is_done_twice(user, monkeypatch):
    monkeypatch.setattr("longshore.cli.plan_watch._ENGINE_START", 1.0)
    user.create("--name", "*")
    user.well("plan", "set", "shop", "--wave", "db01=2")
    assert "Nothing of plan shop is under way" in user.refused("plan", "resume", "shop")
    user.fleet.world("app02").plan_fault("snapshot", 1, "after", "kill")
    code, _, said = user("plan", "start", "shop", "--wait", "--plain")
    assert code == 1
    assert "longshore plan resume shop --wait" in said
    resumed = user.json("plan", "resume", "shop", "--wait", "--plain")
    assert {m["Status"] for m in resumed} == {"done"}
    assert user.states() == dict.fromkeys(NAMES, "done")
    store = user.store()
    assert len(store.migrations.all()) == len(NAMES)
    store.close()
    for name in NAMES:
        world = user.fleet.world(name).read()
        assert len(world["servers"]) == 1
        assert len(world["volumes"]) == 2


def test_warm_machines_wait_hold_no_place_and_are_cut_over_together(user):
    user.create("--name", "app*", "--option", "type=warm", "--option", "cutover={interval: 60}")
    path = user.directory / "shop.yaml"
    user.well("plan", "export", "shop", str(path))
    path.write_text(path.read_text() + "limits: {at_once: 1}\n")
    user.well("plan", "apply", str(path))
    user.well("plan", "start", "shop")
    until(lambda: [m["phase"] for m in user.json("plan", "show", "shop")["machines"]] == ["waiting", "waiting"])
    assert "under way" in user.refused("plan", "delete", "shop")
    cut = user.json("plan", "cutover", "shop", "--wait", "--plain")
    assert [m["Status"] for m in cut] == ["done", "done"]


def test_a_failing_hook_stops_its_machine_alone_and_before_anything_is_done(user):
    book = user.directory / "drain.yml"
    task = {
        "name": "Drain",
        "fail": {"msg": "The pool of {{ longshore.machine.name }} is busy"},
        "when": "longshore.machine.name == 'app01'",
    }
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    user.create("--name", "app*", "--option", f"before={book}.yaml")
    assert f"The playbook {book}.yaml can't be read" in user.refused("plan", "start", "shop")
    user.well("plan", "set", "shop", "--option", f"before={book}")
    code, _, said = user("plan", "start", "shop", "--wait", "--plain")
    assert code == 1
    assert "The pool of app01 is busy" in said
    assert user.states() == {"app01": "failed", "app02": "done"}
    assert "shut_down" not in user.fleet.world("app01").calls()
    assert user.fleet.world("app01").read()["power"] == "on"


def test_a_machine_whose_last_hook_fails_is_taken_back(user):
    """Of somebody who wants it so."""
    book = user.directory / "announce.yml"
    task = {"name": "Announce", "fail": {"msg": "Nobody wants {{ longshore.server.name }}"}}
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    user.create("app01", "--option", f"after={book}", "--option", "when_stuck=take-back")
    _, _, said = user("plan", "start", "shop", "--wait", "--plain")
    assert "Nobody wants app01" in said
    world = user.fleet.world("app01").read()
    assert world["power"] == "on"
    assert not any(world[kind] for kind in ("snapshots", "volumes", "vsnaps", "ports", "servers"))


def test_a_dry_run_moves_nothing_and_the_plan_is_started_after_it(user):
    user.create("app01")
    (user.fleet.world("app01").root / "one-moment").touch()
    user.well("plan", "start", "shop", "--type", "dry-run", "--wait", "--plain")
    assert user.fleet.world("app01").read()["power"] == "on"
    started = user.json("plan", "start", "shop", "--type", "cold", "--wait", "--plain")
    assert [(m["Type"], m["Status"]) for m in started] == [("cold", "done")]


def test_blockers_are_all_listed_and_stop_the_start_of_every_machine(user):
    user.create("--name", "*")
    user.well("plan", "set", "shop", "--network", "VM Network=nowhere", "--option", "flavor=huge")
    code, out, err = user("plan", "check", "shop", "-f", "json")
    assert code == 1
    concerns = json.loads(out)
    assert {(c["Machine"], c["Code"]) for c in concerns if c["Severity"] == "blocker"} == {
        (name, code) for name in NAMES for code in ("network-not-found", "flavor-not-found")
    }
    assert "6 blockers in plan shop" in err
    assert "6 blockers" in user.refused("plan", "start", "shop")
    store = user.store()
    assert [one for one in store.migrations.all() if not one.type.awaited] == []
    store.close()


def test_volumes_without_a_machine_move_with_the_plan(user):
    user.create("app01", "--volume", "arch*", "--storage", "slow=gold")
    plan = yaml.safe_load(user.well("plan", "export", "shop"))
    assert plan["volumes"] == [{"volume": "archive", "ref": LOOSE}]
    user.well("plan", "set", "shop", "--wave", "volume:archive=2")
    (summary,) = user.json("plan", "list")
    assert (summary["Machines"], summary["Volumes"], summary["Waves"]) == (1, 1, 2)
    found = {one["Machine"]: one["Size"] for one in user.json("plan", "discover", "shop")}
    assert found["volume:archive"] == LOOSE_SIZE
    assert "blocker" not in {c["Severity"] for c in user.json("plan", "check", "shop")}
    # A rehearsal leaves it
    (user.fleet.world("app01").root / "one-moment").touch()
    user.json("plan", "start", "shop", "--type", "dry-run", "--wait", "--plain")
    assert user.states() == {"app01": "rehearsed", "volume:archive": "planned"}
    assert "A dry run moves no volumes" in user.refused("plan", "start", "shop", "--type", "dry-run", "--wave", "2")
    started = user.json("plan", "start", "shop", "--wait", "--plain")
    assert [(m["Machine"], m["Type"], m["Wave"], m["Status"]) for m in started] == [
        ("app01", "cold", 1, "done"),
        ("archive", "volume", 2, "done"),
    ]
    assert user.states() == {"app01": "done", "volume:archive": "done"}
    assert "is left to start" in user.refused("plan", "start", "shop")
    assert "| volume:archive | 2 | volume | done |" in user.well("plan", "report", "shop")
    made = user.fleet.world(NAMES[0]).read()["volumes"].values()
    assert [v["type"] for v in made if v["name"] == "archive"] == ["gold"]
    assert [p["Name"] for p in user.json("plan", "find", "--machine", LOOSE)] == ["shop"]


def test_a_volume_that_failed_is_retried_and_what_stands_against_one_stops_the_start(user):
    world = user.fleet.world(NAMES[0])
    path = user.directory / "shop.yaml"
    plan = {"name": "shop", "source": "vc", "target": "cloud", "volumes": ["archive"]}
    path.write_text(yaml.safe_dump(plan))
    user.well("plan", "apply", str(path))
    (world.root / "no-snapshots").touch()
    said = user.refused("plan", "start", "shop")
    assert "The source project's quota has room for 0 volume snapshot(s), archive needs 1." in said
    (world.root / "no-snapshots").unlink()
    (world.root / "attached").touch()
    (concern,) = json.loads(user("plan", "check", "shop", "-f", "json")[1])
    assert (concern["Code"], concern["Subject"]) == ("volume-not-found", "volume:archive")
    (world.root / "attached").unlink()
    (world.root / "attached-meanwhile").touch()
    assert "1 of 1 volume of plan shop didn't arrive: archive" in user("plan", "start", "shop", "--wait", "--plain")[2]
    assert user.states() == {"volume:archive": "failed"}
    (world.root / "attached-meanwhile").unlink()
    (world.root / "attached").unlink(missing_ok=True)
    user.well("plan", "retry", "shop", "--wait", "--plain")
    assert user.states() == {"volume:archive": "done"}


def test_a_machine_that_is_gone_or_renamed_or_busy_is_a_blocker(user):
    user.create("--name", "*")
    user.well("plan", "set", "shop", "--add", "ghost")
    path = user.directory / "shop.yaml"
    user.well("plan", "export", "shop", str(path))
    path.write_text(path.read_text().replace("machine: app02", "machine: app99"))
    user.well("plan", "apply", str(path))
    (user.fleet.world("db01").root / "hang").touch()
    network = ["--network", "VM Network=private", "--boot-timeout", "5"]
    user.well("migrate", "db01", "--from", "vc", "--to", "cloud", *network)
    code, out, _ = user("plan", "check", "shop", "-f", "json")
    assert code == 1
    found = {c["Code"]: c["What"] for c in json.loads(out) if c["Severity"] == "blocker"}
    assert found["machine-not-found"] == "The small vCenter has no machine 'ghost'."
    assert found["machine-renamed"] == "vm-2 is called app02, the plan calls it app99."
    assert "db01 is being migrated already" in found["already-migrating"]


def test_a_plan_file_is_idempotent_and_wrong_ones_are_refused_with_their_line(user):
    user.create("--name", "app*")
    path = user.directory / "shop.yaml"
    user.well("plan", "export", "shop", str(path))
    _, _, said = user("plan", "apply", str(path))
    assert "Plan shop is as it was." in said
    first = path.read_text()
    user.well("plan", "export", "shop", str(path))
    assert path.read_text() == first
    path.write_text(first.replace("flavors:", "flavours:"))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "flavours" in text)
    assert f'{path}, line {line}: "flavours" isn\'t known here. Did you mean "flavors"?' in user.refused(
        "plan", "apply", str(path)
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "create", "shop", "--from", "vc", "--to", "cloud"], "No machine was named"),
        (["plan", "create", "shop", "--from", "vc", "--to", "cloud", "ghost"], "no machine 'ghost'"),
        (["plan", "create", "shop", "--from", "vc", "--to", "cloud", "--folder", "x"], "No machine of vc fits"),
        (["plan", "create", "shop", "--from", "nobody", "--to", "cloud", "app01"], "no provider named nobody"),
        (["plan", "create", "shop", "--from", "vc", "--to", "vc", "app01"], "can't be moved to it yet"),
        (["plan", "create", "a b", "--from", "vc", "--to", "cloud", "app01"], "name"),
        (["plan", "create", "x", "--from", "vc", "--to", "cloud", "app01", "--option", "typ=warm"], 'mean "type"?'),
        (["plan", "create", "x", "--from", "vc", "--to", "cloud", "app01", "--option", "type=hot"], '"type" isn\'t'),
        (["plan", "show", "nobody"], "There is no plan named nobody. See: longshore plan list."),
        (["plan", "start", "nobody"], "There is no plan named nobody"),
        (["plan", "watch", "nobody"], "There is no plan named nobody"),
        (["plan", "delete", "nobody"], "There is no plan named nobody"),
        (["plan", "apply", "/nonexistent/plans"], "/nonexistent/plans can't be read: No such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(user, words, said):
    assert said in user.refused(*words)
    assert user.json("plan", "list") == []
