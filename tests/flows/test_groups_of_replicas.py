"""Groups that are tried and fail over, between small clouds: the order is kept, and what goes wrong stops it.

Whatever fails, or wherever the run dies: nobody of a later tier has begun, what is up is known, and can be undone.
"""

import pytest
from protected_group import COMMAND, PAUSE

from longshore.errors import Conflict
from longshore.flows.replicas import gate
from longshore.flows.replicas.gate_command import run as run_gate_command
from longshore.model.replica import Wish
from longshore.model.status import Status
from longshore.service.groups_shown import groups_shown
from longshore.store.jobs import NEVER

pytestmark = pytest.mark.long

ALL = {"web", "app", "db"}


@pytest.fixture
def group(protect_group):
    return protect_group()


def standings(group):
    """Of the run's tiers, as people are told."""
    (shown,) = groups_shown(group.store, [group.group])
    return [one.state + (f"/{one.gate}" if one.gate else "") for one in shown.run.tiers]


def every(stage):
    return dict.fromkeys(ALL, stage)


def test_a_failover_lands_tier_after_tier_and_is_committed(group):
    assert group.begin("failover") == 0
    assert group.run.status is Status.DONE, group.told
    assert group.stages == every("failed-over")
    assert standings(group) == ["up", "up"]
    assert group.servers() == dict.fromkeys(ALL, 1)
    up = group.landing("db").target_up_at
    assert all(up <= group.landing(name).started_at for name in ("app", "web"))
    tiers = group.run.result["tiers"]
    assert [[one["name"] for one in tier["machines"]] for tier in tiers] == [["db"], ["app", "web"]]
    assert all(one["server"] and one["addresses"] and one["seconds"] > 0 for tier in tiers for one in tier["machines"])
    group.wish_all(Wish.COMMIT)
    assert group.stages == every("committed")


def test_where_a_machine_fails_no_further_tier_begins_and_all_is_as_it_was(group):
    group.fail("db", "console")
    assert group.begin("failover") == 0
    assert (group.run.status, group.run.error_code) == (Status.FAILED, "group-stopped")
    assert group.run.error.startswith("Tier 1 can't be got up. db: ")
    assert "weakness in console" in group.run.error
    assert [group.landing(name).target_up_at for name in ("app", "web")] == [None, None]
    assert [world.calls().count("create_server") for world in group.worlds.values()] == [0, 0, 1]
    assert group.stages == every("protected")
    assert standings(group) == ["stopped", "not-begun"]
    group.assert_nothing_left()


def test_a_gate_that_is_closed_stops_it_says_so_and_what_is_up_stays(protect_group, monkeypatch):
    group = protect_group(gates={1: COMMAND})
    answers, told = [{"error": "check-db ended with status 3"}, {"done": True}], []

    async def ask(_module, request, _log, _say):
        told.append(request)
        return answers.pop(0), 1

    monkeypatch.setattr(gate, "ask", ask)
    assert group.begin("failover") == 0
    assert (group.run.status, group.run.error_code) == (Status.FAILED, "hook-failed")
    assert "The gate after tier 1 is closed: check-db ended with status 3." in group.run.error
    assert "What is up stays: db." in group.told[-1]
    assert group.stages == {"web": "protected", "app": "protected", "db": "failed-over"}
    assert standings(group) == ["stopped/not-passed", "not-begun"]
    assert told[0]["command"] == ["check-db", "--now"]
    (machine,) = told[0]["told"]["machines"]
    assert (machine["name"], machine["server"]) == ("db", group.landing("db").server_id)
    # It goes on with those that are left
    assert group.begin("failover") == 0
    assert group.run.status is Status.DONE, group.told
    assert standings(group) == ["up/passed", "up"]
    assert group.stages == every("failed-over")
    assert group.servers() == dict.fromkeys(ALL, 1)
    group.wish_all(Wish.UNDO)
    assert group.stages == every("protected")
    group.assert_nothing_left()


def test_a_planned_one_shuts_the_last_tier_down_first_and_loses_nothing(group):
    assert group.begin("failover", planned=True) == 0
    assert group.run.status is Status.DONE, group.told
    off = {name: group.store.migrations.get(id_).source_off_at for name, id_ in group.ids.items()}
    assert max(off["web"], off["app"]) <= off["db"]
    assert {group.power(name) for name in ALL} == {"off"}
    assert group.landing("db").target_up_at <= min(group.landing(name).started_at for name in ("app", "web"))
    for id_ in group.ids.values():
        assert group.store.points.usable(id_)[-1].consistency.value == "off"
    group.wish_all(Wish.UNDO)
    assert {group.power(name) for name in ALL} == {"on"}
    group.assert_nothing_left()


def test_where_a_machine_cant_be_shut_down_the_others_run_again(group):
    (group.worlds["db"].root / "stays-on").touch()
    assert group.begin("failover", planned=True) == 0
    assert group.run.status is Status.FAILED
    assert group.run.error.startswith("Tier 1 can't be got up. db: ")
    assert group.stages == every("protected")
    assert standings(group) == ["stopped", "stopped"]
    assert {group.power(name) for name in ALL} == {"on"}
    assert sum(world.calls().count("create_server") for world in group.worlds.values()) == 0
    group.assert_nothing_left()


def test_a_pause_is_waited_for_and_a_stop_leaves_what_is_up(protect_group):
    group = protect_group(gates={1: PAUSE})
    assert group.begin("failover") == 0
    assert (group.run.status, group.run.phase) == (Status.RUNNING, "gate")
    assert group.stages == {"web": "failing-over", "app": "failing-over", "db": "failed-over"}
    assert group.landing("app").job.due_at == NEVER
    assert standings(group) == ["at-gate/waiting", "waiting"]
    with pytest.raises(Conflict, match="A failover of group shop is under way"):
        group.store.groups.change(group.group_id, {group.ids["db"]: 2}, {})
    with pytest.raises(Conflict, match="A failover of group shop is under way"):
        group.begin("failover")
    group.store.migrations.request_cancel(group.run_id)
    assert group.engine()[0] == 0
    assert (group.run.status, group.run.error) == (Status.CANCELLED, "The run was stopped.")
    assert group.stages == {"web": "protected", "app": "protected", "db": "failed-over"}


def test_a_pause_ends(protect_group):
    group = protect_group(gates={1: PAUSE})
    assert group.begin("failover") == 0
    state = group.run.state
    state["progress"]["pause_until"] = "2026-01-01T00:00:00Z"
    group.store.migrations.update(group.run_id, state=state)
    group.store.jobs.hasten(group.run_id)
    assert group.engine()[0] == 0
    assert group.run.status is Status.DONE


def test_a_test_has_all_up_at_once_and_leaves_nothing(group):
    assert group.begin("test-failover", stays=3600.0) == 0
    assert (group.run.status, group.run.phase) == (Status.RUNNING, "up")
    assert standings(group) == ["up", "up"]
    assert group.servers() == dict.fromkeys(ALL, 1)
    state = group.run.state
    group.store.migrations.update(group.run_id, state={**state, "remove_at": "2026-01-01T00:00:00Z"})
    group.store.jobs.hasten(group.run_id)
    assert group.engine()[0] == 0
    assert group.run.status is Status.DONE, group.told
    assert group.stages == every("protected")
    assert all(group.store.points.usable(id_)[-1].proof for id_ in group.ids.values())
    group.assert_nothing_left()


def test_a_test_that_fails_leaves_nothing(group):
    group.fail("web", "console")
    assert group.begin("test-failover") == 0
    assert group.run.status is Status.FAILED
    assert "Tier 2 can't be got up. web: " in group.run.error
    assert standings(group) == ["up", "stopped"]
    group.assert_nothing_left()


@pytest.mark.turns
@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize(
    ("name", "number", "when"),
    # Before a step it is where it was after the one before
    [("do", 1, "before"), *(("do", number, "after") for number in range(1, 7))],
)
def test_a_run_that_dies_at_any_of_its_steps_goes_on(group, planned, name, number, when):
    group.kill_at = name, number, when
    status = group.begin("failover", planned=planned)
    for _ in range(3):
        if status == 0 and group.run.status.ended:
            break
        group.store.jobs.hasten(group.run_id)
        status = group.engine()[0]
    assert group.run.status is Status.DONE, group.told
    assert group.stages == every("failed-over")
    assert group.servers() == dict.fromkeys(ALL, 1)
    group.wish_all(Wish.UNDO)
    group.assert_nothing_left()


@pytest.mark.turns
@pytest.mark.parametrize("machine", ["db", "web"])
@pytest.mark.parametrize("call", ["create_volume", "create_server", "console", "shut_down", "snapshot_volume"])
def test_whatever_fails_in_a_planned_one_nothing_is_lost(group, machine, call):
    group.fail(machine, call)
    assert group.begin("failover", planned=True) == 0
    for _ in range(3):
        if group.run.status.ended:
            break
        group.store.jobs.hasten(group.run_id)
        assert group.engine()[0] == 0
    assert group.run.status is Status.FAILED, group.told
    assert machine in group.run.error
    up = [name for name, stage in group.stages.items() if stage == "failed-over"]
    assert machine not in up
    for name in ALL:
        running = group.power(name) == "on"
        assert running is (name not in up), f"{name} runs nowhere, or twice"
        assert group.worlds[name].violations == []
    for name in up:
        group.store.replicas.wish(group.ids[name], Wish.UNDO)
    assert group.engine()[0] == 0
    group.assert_nothing_left()


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["sh", "-c", "grep -q hello"], None),
        (["sh", "-c", "exit 3"], "sh ended with status 3"),
        (["no-such-program"], "there is no program no-such-program"),
    ],
)
def test_the_command_of_a_gate_is_told_in_json_and_says_by_its_status(command, error):
    assert run_gate_command({"command": command, "told": {"group": "hello"}, "patience": 5.0}) == error


def test_a_command_that_takes_too_long_is_ended():
    said = run_gate_command({"command": ["sleep", "60"], "told": {}, "patience": 0.05})
    assert said == "sleep took longer than 0 s"
