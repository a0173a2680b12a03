"""Three machines in two tiers with a gate: a planned failover keeps their order, and stops at a gate that is closed."""

from contextlib import ExitStack

import pytest
from moves import seen_on, state_of
from test_protected_machines import TO, replica_until

from conftest import last_acknowledged, running_tiny, target_inventory, wait_for
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]  # small clouds show it every day


@pytest.fixture
def three(sidedoor, lab):
    with ExitStack() as stack:
        yield [stack.enter_context(running_tiny(sidedoor, lab)) for _ in range(3)]


def group_until(cli, condition, seconds, what):
    with Client(Embedded(read_configuration(state=str(cli.state)))) as client:
        found = []

        def holds():
            found[:] = [client.group("shop")]
            return condition(found[0])

        wait_for(holds, seconds, what)
    return found[0]


def seen_up(cli, migration):
    """When its guest was seen up."""
    (at,) = (e["At"] for e in cli.json("migration", "events", migration) if e["What"].startswith("The guest is up"))
    return at


def test_their_order_is_kept_and_a_closed_gate_stops_them(cli, three, sidedoor, cloud, tmp_path, tell):
    before = target_inventory(cloud)
    database, *others = three
    for guest in three:
        done = cli("replica", "create", guest.name, *TO, "--every", "1h", "--keep", "last=3")
        assert done.returncode == 0, done.stderr
    for guest in three:
        replica_until(cli, guest.name, lambda shown: shown.points == 1, 300, "its first point")
    gate = tmp_path / "open"
    members = ["--member", database.name, *(word for one in others for word in ("--member", f"{one.name}=2"))]
    done = cli("replica", "group", "create", "shop", *members, "--command", f"1=test -e {gate}")
    assert done.returncode == 0, done.stderr

    done = cli("replica", "group", "failover", "shop", "--planned", "--wait", "--plain", timeout=900)
    assert done.returncode != 0
    assert "The gate after tier 1 is closed: test ended with status 1." in done.stderr
    shown = group_until(cli, lambda it: it.run.status.value == "failed", 60, "the run to end")
    assert [one.stage.value for one in shown.members] == ["failed-over", "protected", "protected"]
    for one in others:
        wait_for(lambda g=one: sidedoor.machine(g.name)["power"] == "poweredOn", 60, f"{one.name} to run again")
    assert sidedoor.machine(database.name)["power"] == "poweredOff"

    # Only a guest that is up again can be asked to shut down
    stopped = {one.name: last_acknowledged(sidedoor.console(one.name)) for one in others}
    for one in others:
        said = lambda g=one: last_acknowledged(sidedoor.console(g.name))  # noqa: E731
        wait_for(lambda s=said, g=one: s() > stopped[g.name], 120, f"{one.name} to write again")
    gate.touch()
    acknowledged = {one.name: last_acknowledged(sidedoor.console(one.name)) for one in others}
    done = cli("replica", "group", "failover", "shop", "--planned", "--wait", "--plain", timeout=900)
    assert done.returncode == 0, done.stderr
    shown = cli.json("replica", "group", "show", "shop")
    records = {one["machine_name"]: state_of(cli, one["migration"]) for one in shown["members"]}
    up = {name: seen_up(cli, record["id"]) for name, record in records.items()}
    assert all(up[database.name] < up[one.name] for one in others), up
    for one in others:
        seen = seen_on(cloud, records[one.name]["server_id"])
        assert (seen.verified.bad, seen.verified.last >= acknowledged[one.name]) == (0, True)
    tell(f"up: {sorted(up.items(), key=lambda item: item[1])}")

    done = cli("replica", "group", "undo", "shop")
    assert done.returncode == 0, done.stderr
    for guest in three:
        replica_until(cli, guest.name, lambda it: it.stage.value == "protected", 180, "its failover to be undone")
        assert sidedoor.machine(guest.name)["power"] == "poweredOn"
        assert cli("replica", "delete", guest.name).returncode == 0
    wait_for(lambda: target_inventory(cloud) == before, 180, "nothing to be left")
