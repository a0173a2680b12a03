"""A volume that no machine has moves between the small clouds, with a fault at each of its steps."""

import pytest
from small_clouds import LOOSE, LOOSE_SIZE

from longshore.engine.retry import TRIES
from longshore.model.status import Status

# Every call the flow makes to a cloud, in the order of a run without faults (checked below)
LOOKING = ["volume", "room", "volume_types", "quota_room", "choices", "present_volumes"]
MAKING = ["create_volume", "make_ready", "snapshot", "open_disk", "open_volume", "remove_snapshot", "finish_volume"]
LASTING = ["create_volume", "snapshot", "open_volume", "remove_snapshot", "finish_volume"]


@pytest.fixture
def run(begin):
    return begin(machine=("archive", f"volume:{LOOSE}"), type="volume", storage={"slow": "ceph"})


def assert_arrived(run):
    state = run.world.read()
    ((volume_id, volume),) = state["volumes"].items()
    assert run.world.volume_file(volume_id).read_bytes() == (run.world.root / f"source-{LOOSE}").read_bytes()
    told = ("name", "type", "description", "bootable", "image_properties", "reserved")
    assert {key: volume[key] for key in told} == {
        "name": "archive",
        "type": "ceph",
        "description": "kept for years",
        "bootable": True,
        "image_properties": {"os_type": "linux"},
        "reserved": None,
    }
    assert volume["metadata"] == {"team": "web", "longshore:source": f"volume:{LOOSE}"}
    assert not any(state[kind] for kind in ("snapshots", "vsnaps", "networks", "ports", "servers"))
    assert state["power"] == "on"  # nothing else was touched
    entries = {(e.kind.value, e.state.value) for e in run.store.ledger.entries(run.id)}
    assert entries == {("volume", "handed-over"), ("source-snapshot", "removed")}
    assert run.steps_kept() == 0


def assert_as_before(run):
    state = run.world.read()
    assert not any(state[kind] for kind in ("snapshots", "volumes", "vsnaps", "networks", "ports", "servers"))
    assert {e.state.value for e in run.store.ledger.entries(run.id)} <= {"removed"}


@pytest.mark.long
def test_a_volume_arrives_with_all_that_is_said_of_it_and_a_second_run_finds_it_there(run):
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert_arrived(run)
    assert set(run.world.calls()) == {*LOOKING, *MAKING}
    assert record.result["bytes_verified"] == LOOSE_SIZE
    assert record.result["volume_id"] in run.world.read()["volumes"]
    assert record.disks[0].volume_id == record.result["volume_id"]
    before = run.world.read()
    run.again()
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "volume-there-already")
    assert run.world.read() == before
    assert run.store.ledger.entries(run.id) == []


def test_what_it_is_to_become_is_followed(begin):
    wishes = {"name": "store", "description": "", "image_properties": {"os_type": "windows"}}
    run = begin(machine=("archive", f"volume:{LOOSE}"), type="volume", storage={"slow": "ceph"}, volume=wishes)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    (volume,) = run.world.read()["volumes"].values()
    assert [volume[key] for key in ("name", "description", "image_properties")] == [
        "store",
        None,
        {"os_type": "windows"},
    ]


def test_without_room_for_its_snapshot_nothing_is_made(run):
    (run.world.root / "no-snapshots").touch()
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "source-quota-snapshots")
    assert record.error.startswith(
        "The source project's quota has room for 0 volume snapshot(s), archive needs 1. Ask for a larger quota there"
    )
    assert set(run.world.calls()) == set(LOOKING)
    assert run.store.ledger.entries(run.id) == []


def test_one_that_a_server_gets_while_it_is_copied_does_not_count_as_moved(run):
    (run.world.root / "attached-meanwhile").touch()
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "volume-attached")
    assert_as_before(run)


@pytest.mark.turns
@pytest.mark.long
@pytest.mark.parametrize(
    "call", [LOOKING[0], LOOKING[-1], *(call for call in MAKING if call != "remove_snapshot")]
)  # all of LOOKING is one step
def test_an_error_takes_back_the_volume_and_says_why(run, call):
    for _ in range(TRIES if call in ("open_disk", "open_volume") else 1):
        run.world.plan_fault(call, 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert f"a moment of weakness in {call}" in record.error
    assert_as_before(run)


@pytest.mark.long
def test_a_snapshot_that_cannot_be_removed_at_once_is_removed_then(run):
    run.world.plan_fault("remove_snapshot", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert_arrived(run)


@pytest.mark.long
def test_a_snapshot_that_somebody_reads_on_and_on_costs_no_copy(run):
    run.world.plan_fault("remove_snapshot", 1, "before", "conflict", stays=True)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert any("could not be removed: The cloud can't remove_snapshot now." in text for text in run.told)
    entries = {(e.kind.value, e.state.value) for e in run.store.ledger.entries(run.id)}
    assert entries == {("volume", "handed-over"), ("source-snapshot", "left")}


@pytest.mark.turns
@pytest.mark.long
@pytest.mark.parametrize("call", LASTING)
def test_a_kill_right_after_a_call_makes_no_second_volume(run, call):
    run.world.plan_fault(call, 1, "after", "kill")
    status, _ = run.engine()
    assert status == -9
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    assert_arrived(run)


@pytest.mark.long
@pytest.mark.parametrize("call", ["delete_volume", "remove_snapshot"])
def test_a_kill_while_taking_the_volume_back_is_taken_up_again(run, call):
    for _ in range(TRIES):
        run.world.plan_fault("open_volume", 1, "before", "error")
    run.world.plan_fault(call, 1, "after", "kill")
    status, _ = run.engine()
    assert status == -9
    assert run.to_the_end().status is Status.FAILED
    assert_as_before(run)
