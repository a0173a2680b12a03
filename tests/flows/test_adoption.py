"""Database and source are gone: a replica is found at its target by its marks, and a machine is made of its points."""

import asyncio
import shutil
from dataclasses import replace

import httpx
import pytest
from small_clouds import MARK, MIB, SIZES

from longshore.engine import embedded
from longshore.model.replica import Stage, Wish
from longshore.model.request import LandingMode
from longshore.model.status import Status
from longshore.service import create_app
from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

NETWORKS = {"networks": {"VM Network": "private"}, "boot_timeout": 5.0, "landing": LandingMode.CONVERT.value}


class Somewhere:
    """A Longshore that knows nothing but the target."""

    def __init__(self, replica):
        self._replica = replica
        replica.store.close()
        root = replica.store.state.root
        shutil.rmtree(root)
        (replica.world.root / "source-is-gone").touch()
        (replica.world.root / "one-moment").touch()
        replica.store = Store(StateDirectory(root))
        settings = {"root": str(replica.world.root)}
        replica.store.providers.add("small-target", "openstack", settings, {"password": "x"})
        self._app = create_app(replica.store, local_files=True)

    def ask(self, method, path, body=None):
        async def go():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://test") as http:
                return await http.request(method, path, json=body)

        return asyncio.run(go())

    def found(self):
        return self.ask("GET", "/v1/providers/small-target/replicas").json()

    def adopt(self, *machines):
        body = {"target": "small-target", "machines": list(machines), "request": NETWORKS}
        return self.ask("POST", "/v1/replicas/adopt", body)


@pytest.fixture
def replica(protect, monkeypatch):
    """With two points."""
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    replica = protect()
    replica.sync(2)
    return replica


def said_of(point):
    """But for the change ids, of which a source that is gone makes no use."""
    return point.number, point.consistency, [replace(disk, change_id=None) for disk in point.disks]


def test_a_replica_fails_over_with_nothing_left_but_its_target(replica):
    before = replica.points
    somewhere = Somewhere(replica)
    (found,) = somewhere.found()
    assert (found["id"], found["machine_name"], found["points"]) == (replica.id, "web", 2), found["refused"]
    assert (found["objection"], found["refused"], found["size"]) == (None, [], sum(SIZES.values()))
    assert replica.store.replicas.all() == [], "it was only looked"
    (adopted,) = somewhere.adopt().json()
    assert adopted["adopted"] is True
    assert replica.engine()[0] == 0
    shown = somewhere.ask("GET", "/v1/replicas/web").json()
    assert (shown["stage"], shown["points"], shown["source"], shown["due_at"]) == ("adopted", 2, "unknown", None)
    assert {"adopted", "unproven"} <= {one["code"] for one in shown["conditions"]}
    after = replica.points
    assert [said_of(point) for point in after] == [said_of(point) for point in before]
    replica.assert_whole()

    landed = replica.land("failover", point=1)
    assert landed.status is Status.DONE, landed.error
    (server,) = replica.world.read()["servers"].values()
    for volume, disk in zip(server["volume_ids"], after[0].disks, strict=True):
        held = (replica.world.root / f"vsnap-{disk.snapshot_id}").read_bytes()
        booted = held[:MIB] + MARK + held[MIB + len(MARK) :] if disk.key == "2000" else held
        assert replica.world.volume_file(volume).read_bytes() == booted
    assert replica.replica.stage is Stage.FAILED_OVER
    replica.ask(Wish.UNDO)
    assert (replica.replica.stage, replica.world.read()["servers"]) == (Stage.ADOPTED, {})


def test_an_adopted_replica_is_tested_and_goes_as_a_whole(replica):
    somewhere = Somewhere(replica)
    somewhere.adopt("vm-1")
    assert replica.land("test-failover", isolated=True).status is Status.DONE
    assert replica.points[-1].proof
    refused = somewhere.ask("POST", f"/v1/replicas/{replica.id}/sync")
    assert (refused.status_code, "The replica is adopted" in refused.json()["message"]) == (409, True)
    planned = somewhere.ask("POST", f"/v1/replicas/{replica.id}/failover", {"planned": True})
    assert (planned.status_code, "source isn't known" in planned.json()["message"]) == (409, True)
    assert somewhere.ask("DELETE", f"/v1/replicas/{replica.id}").is_success
    assert replica.engine()[0] == 0
    state = replica.world.read()
    assert not any(state[kind] for kind in ("volumes", "vsnaps", "servers", "ports"))


def test_what_another_record_has_isnt_adopted_again(replica):
    somewhere = Somewhere(replica)
    assert somewhere.adopt().is_success
    (found,) = somewhere.found()
    assert found["objection"] == "It is a replica here already."
    refused = somewhere.adopt("web")
    assert (refused.status_code, "It is a replica here already" in refused.json()["message"]) == (409, True)
    assert [one["adopted"] for one in somewhere.adopt().json()] == [False], "those that can't be are left out"
    assert somewhere.adopt("db").status_code == 404
    assert len(replica.store.replicas.all()) == 1


def test_a_point_of_which_a_snapshot_is_missing_stays_out_and_goes_with_the_rest(replica):
    lost = replica.points[1].disks[0].snapshot_id
    with replica.world.change() as state:
        del state["vsnaps"][lost]
    somewhere = Somewhere(replica)
    (found,) = somewhere.adopt().json()
    assert (found["points"], found["refused"]) == (1, ["Point 2 isn't taken: it has 1 of 2 snapshots."])
    assert [point.number for point in replica.points] == [1]
    assert any("Point 2 isn't taken" in text for text in replica.told)
    somewhere.ask("DELETE", f"/v1/replicas/{replica.id}")
    replica.engine()
    assert replica.world.read()["vsnaps"] == {}
