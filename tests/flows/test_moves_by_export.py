"""A machine of the lab's vCenter moves into the small cloud without VMware's disk library and without a proxy: vSphere
itself sends its disks, while a lease is held."""

import sys
import tempfile
from pathlib import Path

import pytest
from small_clouds import MARK
from waiting import wait_for

from longshore.model.status import Status

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from vsphere_proxy import CONTENT, DATA, GOODS, MIB, ROOT, vcenter_at

pytestmark = pytest.mark.long

NIC = {"network": "VM Network", "mac": "00:50:56:ab:cd:ef"}


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture
def moved(begin, place):
    """Begin to move a machine that runs."""
    ref = place.add_machine(nics=[NIC])
    with place.source() as source:
        source.power_on(ref)
    vcenter = place.provider(transport="export")

    def begin_to_move(**request):
        run = begin(machine=(GOODS, ref), vcenter=vcenter, force_power_off=True, **request)
        (run.world.root / "one-moment").touch()  # the small cloud boots what it is given: this test looks at it itself
        return run

    yield begin_to_move
    place.door.clear_trouble()
    place.door.remove_machines(GOODS)


def open_leases(place):
    return place.door.fingerprint()["open_leases"]


def leases_of(run):
    return [entry for entry in run.store.ledger.entries(run.id) if entry.kind.value == "proxy-disks"]


def assert_left_alone(run, place, power):
    machine = place.door.machine(GOODS)
    assert (machine["snapshots"], machine["power"], machine["tracking"]) == ([], power, False)
    assert open_leases(place) == []
    assert {entry.state.value for entry in leases_of(run)} <= {"removed"}


def assert_arrived(run, place):
    (server,) = run.world.read()["servers"].values()
    volumes = [run.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]]
    assert volumes == [CONTENT[:MIB] + MARK + CONTENT[MIB + len(MARK) :], CONTENT]
    assert_left_alone(run, place, "poweredOff")


def test_a_cold_one(moved, place):
    run = moved()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert any("they are looked into once they are copied" in text for text in run.told)
    assert_arrived(run, place)


def test_a_dry_run_of_it_while_it_runs_changes_nothing(moved, place):
    run = moved(type="dry-run", keep=True)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    (server,) = run.world.read()["servers"].values()
    assert run.world.volume_file(server["volume_ids"][1]).read_bytes() == CONTENT
    assert_left_alone(run, place, "poweredOn")


def test_a_stream_that_ends_too_early_begins_anew_and_is_told(moved, place):
    place.door.trouble_exports(cut_after=66 * 1024 + 200, cuts=1)
    run = moved()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    (told,) = (text for text in run.told if "as if it were whole" in text)
    assert "It is tried again" in told
    assert_arrived(run, place)


def test_a_disk_that_came_otherwise_than_it_was_sent_is_copied_again(moved, place):
    place.door.trouble_exports(damaged=1)
    run = moved()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    (told,) = (text for text in run.told if "has sent something else" in text)
    assert "It is discarded, and the copy begins anew" in told
    assert_arrived(run, place)


def wait_until_held(run, life):
    """Wait until the process has learned of the leases of both disks: one of which nobody knows is waited for."""
    wait_for(lambda: [entry.state.value for entry in leases_of(run)] == ["made", "made"], life)


def test_an_engine_that_is_killed_while_a_lease_is_held_leaves_none(moved, place):
    place.door.trouble_exports(slow=0.3)
    run = moved()
    life = run.start_engine()
    wait_until_held(run, life)
    life.kill()
    place.door.trouble_exports()
    assert open_leases(place), "nobody was there to end them"
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    assert_arrived(run, place)


def test_one_that_is_cancelled_leaves_nothing(moved, place):
    place.door.trouble_exports(slow=0.3)
    run = moved()
    life = run.start_engine()
    wait_until_held(run, life)
    run.store.migrations.request_cancel(run.id)
    assert life.wait(120) == 0, life.said
    assert run.record.status is not Status.DONE
    assert_left_alone(run, place, "poweredOn")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"type": "inspection"}, "each as a whole: they can't be looked into there"),
        ({"type": "warm", "cutover": {"mode": "manual"}}, "it can't be moved warm"),
    ],
)
def test_what_it_can_not_do_is_said_and_changes_nothing(moved, place, asked, words):
    run = moved(**asked)
    record = run.to_the_end(lives=1)
    assert record.status is not Status.DONE
    assert words in str(record.error)
    assert_left_alone(run, place, "poweredOn")


def test_a_backup_of_it_reads_all_of_it(backed_up, moved, place):
    ref = place.door.machine(GOODS)["moref"]
    backup = backed_up()
    backup.source = backup.store.providers.add("vcenter", "vsphere", *place.provider(transport="export"))
    for _ in range(2):
        assert backup.begin(backup.source, ref, backup.place, type="backup") == 0
        assert backup.record.status is Status.DONE, backup.record.error
    assert [backup.held(point) for point in backup.points] == [{ROOT: CONTENT, DATA: CONTENT}] * 2
    assert open_leases(place) == []
