"""Playbooks around the snapshot of a backup: the application is frozen for it, and thawed whatever happens.

One test runs a real Ansible; in the others what a playbook would do is done in its place, and the rest is real.
"""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from test_backup_policies import Policy

from longshore.engine import undoing
from longshore.flows.backups import thawing
from longshore.flows.clouds import Clouds
from longshore.flows.moves import hooks
from longshore.flows.undo import undo
from longshore.model.backup_policy import Stand
from longshore.model.status import Status
from longshore.store import EntryState

pytestmark = pytest.mark.long


@dataclass
class Application:
    """What is frozen and thawed; `does`: what a playbook does instead, once, by its name."""

    backup: object = None
    frozen: bool = False
    seen: list = field(default_factory=list)  # playbooks, and how many snapshots were there
    does: dict = field(default_factory=dict)

    async def ask(self, _module, request, *_how):
        name = request["playbook"].rpartition("/")[2].removesuffix(".yml")
        assert request["facts"]["machine"]["name"] == "web"
        self.seen.append((name, len(self.backup.world.read()["snapshots"])))
        if name in self.does:
            said = self.does.pop(name)()
            if asyncio.iscoroutine(said):
                said = await said
            if said is not None:
                return {"error": said}, 1
        if name == "freeze" and self.frozen:
            return {"error": "It is frozen already."}, 1
        self.frozen = name == "freeze"
        return {"done": True}, 0


@pytest.fixture
def playbooks(tmp_path):
    paths = {"before": tmp_path / "freeze.yml", "after": tmp_path / "thaw.yml"}
    for path in paths.values():
        path.write_text("[]")
    return {when: str(path) for when, path in paths.items()}


@pytest.fixture
def application(backed_up, monkeypatch):
    found = Application(backed_up())
    monkeypatch.setattr(hooks, "ask", found.ask)
    monkeypatch.setattr(undoing, "_PAUSE", 0.0)
    return found


def frozen_entries(backup):
    return [entry.state for entry in backup.store.ledger.entries(backup.id) if entry.kind == "frozen-application"]


def test_a_real_playbook_freezes_and_another_thaws_around_the_snapshot(backed_up, tmp_path):
    backup = backed_up()
    paths = {}
    for when in ("before", "after"):
        kept = f"{tmp_path}/{when}.json"
        tasks = [
            {"name": f"Look {when}", "copy": {"src": f"{backup.world.root}/world.json", "dest": kept, "mode": "0600"}},
            {
                "name": "Say it",
                "copy": {"content": "{{ longshore | to_json }}", "dest": f"{kept}.facts", "mode": "0600"},
            },
        ]
        path = tmp_path / f"{when}.yml"
        path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        paths[when] = str(path)
    result = backup.back_up(**paths)
    assert result["consistency"] == "application"
    assert [len(json.loads((tmp_path / f"{when}.json").read_text())["snapshots"]) for when in paths] == [0, 1]
    facts = [json.loads((tmp_path / f"{when}.json.facts").read_text()) for when in paths]
    assert [(one["hook"], one["type"], one["machine"]["ref"]) for one in facts] == [
        ("before", "backup", "vm-1"),
        ("after", "backup", "vm-1"),
    ]
    told = backup.told
    thawed, copying = (
        told.index(f"The playbook {paths['after']} is done."),
        told.index(next(text for text in told if text.startswith("Copying"))),
    )
    assert told.index("Task: Look before") < thawed < copying, "nothing is frozen while it is copied"
    assert backup.points[0].content["consistency"] == "application"
    backup.assert_nothing_is_left()


def test_the_point_says_application_only_when_that_was_frozen(application, playbooks):
    backup = application.backup
    assert backup.back_up(after=playbooks["after"])["consistency"] == "crash"
    assert backup.back_up(**playbooks)["consistency"] == "application"
    with backup.world.change() as state:
        state["power"] = "off"
    seen = list(application.seen)
    assert backup.back_up(**playbooks)["consistency"] == "off"
    assert application.seen == seen, "nothing is at work that could be frozen"
    assert any("no playbook is run" in text for text in backup.told)


@pytest.mark.parametrize("wrong", ["freeze", "snapshot", "cancel"])
def test_it_is_thawed_when_the_backup_comes_to_nothing(application, playbooks, wrong):
    backup = application.backup

    def half_frozen():
        application.frozen = True
        return "The playbook freeze.yml failed in task Lock."

    async def cancelled():
        application.frozen = True
        backup.store.migrations.request_cancel(backup.id)
        await asyncio.sleep(60)

    if wrong == "freeze":
        application.does["freeze"] = half_frozen
    elif wrong == "cancel":
        application.does["freeze"] = cancelled
    else:
        backup.world.plan_fault("snapshot", 1, "after", "error")
    backup.begin(backup.source, "vm-1", backup.place, type="backup", **playbooks)
    said = {"freeze": "in task Lock", "snapshot": "weakness", "cancel": "cancelled"}[wrong]
    assert said in backup.record.error
    assert backup.record.status is (Status.CANCELLED if wrong == "cancel" else Status.FAILED)
    assert not application.frozen
    assert [name for name, _ in application.seen] == ["freeze", "thaw"]
    assert backup.points == []
    assert frozen_entries(backup) == [EntryState.REMOVED]
    backup.assert_nothing_is_left()


def test_nothing_stays_frozen_while_a_backup_is_parked(application, playbooks):
    backup = application.backup
    backup.world.plan_fault("snapshot", 1, "before", "quota")
    backup.begin(backup.source, "vm-1", backup.place, type="backup", **playbooks)
    assert backup.record.status is Status.PARKED
    assert (application.frozen, [name for name, _ in application.seen]) == (False, ["freeze", "thaw"])
    backup.store.jobs.hasten(backup.id)
    assert backup.engine()[0] == 0
    assert backup.record.result["consistency"] == "application"
    assert [name for name, _ in application.seen] == ["freeze", "thaw"] * 2
    backup.assert_nothing_is_left()


@pytest.mark.parametrize("cancel", [False, True])
@pytest.mark.parametrize(("call", "when"), [("snapshot", "before"), ("snapshot", "after")])
def test_a_worker_that_dies_leaves_nothing_frozen_to_the_next_one(application, playbooks, call, when, cancel):
    """And a snapshot that it has taken counts no more: who knows what was written since?"""
    backup = application.backup
    backup.world.plan_fault(call, 1, when, "kill")
    backup.begin(backup.source, "vm-1", backup.place, type="backup", **playbooks)
    assert application.frozen
    application.seen.clear()
    backup.world.guest_writes("2000", 5, b"while nobody was there")
    if cancel:
        backup.store.migrations.request_cancel(backup.id)
    assert backup.engine()[0] == 0
    assert not application.frozen
    again = [] if cancel else [("freeze", 0), ("thaw", 1)]
    assert application.seen == [("thaw", int(when == "after")), *again], "thawed first, before what takes long"
    if cancel:
        assert (backup.record.status, backup.points) == (Status.CANCELLED, [])
    else:
        assert backup.record.result["consistency"] == "application"
        (point,) = backup.points
        held = backup.held(point)
        assert held == backup.at(backup.world.read()["moment"])
        assert held["2000"][5:27] == b"while nobody was there"
    backup.assert_nothing_is_left()


def test_what_could_not_be_thawed_fails_the_backup_and_is_thawed_by_a_cleanup(application, playbooks):
    backup = application.backup
    stuck = lambda: application.does.update(thaw=stuck) or "The playbook thaw.yml failed in task Unlock."  # noqa: E731
    application.does["thaw"] = stuck
    backup.begin(backup.source, "vm-1", backup.place, type="backup", **playbooks)
    assert (backup.record.status, backup.record.error_code) == (Status.FAILED, "hook-failed")
    assert "frozen-application web could not be removed: The playbook thaw.yml failed" in backup.record.error
    assert frozen_entries(backup) == [EntryState.LEFT]
    assert backup.points == []
    application.does.clear()
    (backup.world.root / "source-is-gone").touch()
    assert undo(backup.store, Clouds(backup.store), backup.id) == []
    assert not application.frozen
    assert backup.record.status is Status.FAILED
    assert backup.record.phase == "rolled-back"


def test_a_thaw_that_hangs_is_given_up(application, playbooks, monkeypatch):
    backup = application.backup
    monkeypatch.setattr(thawing, "LONGEST", 1.0)  # the second try has to be done within it
    application.does["thaw"] = lambda: asyncio.sleep(60)
    backup.begin(backup.source, "vm-1", backup.place, type="backup", **playbooks)
    assert "thaw.yml didn't end within" in backup.record.error
    assert not application.frozen, "the second try"
    assert frozen_entries(backup) == [EntryState.REMOVED]


def test_a_policy_freezes_each_machine_and_its_points_say_how(application, playbooks):
    backup = application.backup
    policy = Policy(backup, machines=("web", "volume:archive"))
    policy.store.backup_policies.change(policy.id, **playbooks)
    assert [one.stand for one in policy.run_at_once()] == [Stand.DONE] * 2
    assert application.seen == [("freeze", 0), ("thaw", 1)]
    rules = [point.content["rules"] for point in backup.points]
    assert {(one["before"], one["after"]) for one in rules} == {(playbooks["before"], playbooks["after"])}
    assert {point.content["consistency"] for point in backup.points} == {"application", "off"}
    application.does["freeze"] = lambda: "The playbook freeze.yml failed."
    web, archive = policy.run_at_once()
    assert (web.stand, archive.stand) == (Stand.FAILED, Stand.DONE)
    assert "freeze.yml failed" in web.error
    backup.world.root.parent.joinpath("thaw.yml").unlink()
    web, archive = policy.run_at_once()
    assert "thaw.yml can't be read" in web.error
