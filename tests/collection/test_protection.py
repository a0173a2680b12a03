"""Replicas, policies of backups and restores, by the collection's modules, where no server runs."""

import time

import pytest
from modules import Modules
from playbooks import task
from small_clouds import World
from stand import command, environment

from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

LANDING = {"networks": {"VM Network": "private"}, "boot_timeout": 20, "shutdown_timeout": 5}
POLICY = {
    "name": "nightly",
    "source": "vc",
    "vault": "archive",
    "machines": ["web"],
    "schedule": "daily 02:00 UTC",
    "retention": "last 3",
    "paused": True,
}
REPLICA = {"machine": "web", "source": "vc", "target": "cloud", "schedule": "daily", "options": LANDING}


@pytest.fixture
def modules(tmp_path):
    known = environment(tmp_path)
    (tmp_path / "world" / "one-moment").touch()  # its guest runs on: what is restored is older, and whole
    store = Store(StateDirectory(tmp_path / "state"))
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {"root": known["SMALL_WORLD"]}, {"password": "x"})
    store.close()
    with Modules(tmp_path, command(tmp_path), known) as modules:
        yield modules


def back_up(modules, source, machine):
    """Make a vault, and one point of the machine in it."""
    modules.ask("POST", "/v1/vaults", {"name": "archive", "directory": str(modules.place / "archive")})
    made = modules.ask("POST", "/v1/backups", {"machine": machine, "source": source, "vault": "archive"})
    while made["status"] not in ("done", "failed"):
        time.sleep(0.2)
        made = modules.ask("GET", f"/v1/jobs/{made['id']}")
    assert made["status"] == "done", made["error"]


@pytest.mark.turns("playbooks")
def test_a_policy_and_a_restore_are_made_once(modules):
    back_up(modules, "vc", "web")
    policy = task("backup_policy", **POLICY)
    other = task("backup_policy", name="nightly", retention="last 5")
    elsewhere = task("backup_policy", name="nightly", vault="elsewhere")
    gone = task("backup_policy", name="nightly", state="absent")
    restore = task("restore", vault="archive", point="web", target="cloud", request={**LANDING, "type": "dry-run"})
    points = task("point_info", vault="archive", machine="web")
    told, said = modules.run(policy, restore, check=True)
    assert told == ["changed", "changed"]
    assert said[0]["diff"]["after"]["schedule"] == "daily 02:00 UTC"
    told, said = modules.run(policy, policy, restore, restore, other, policy, points, elsewhere, gone, gone)
    assert told == ["changed", "ok", "changed", "ok", "changed", "changed", "ok", "fatal", "changed", "ok"], said
    assert [point["machine_name"] for point in said[6]["points"]] == ["web"]
    assert said[7]["msg"] == "Policy nightly has archive as its vault, which stays."


@pytest.mark.turns("playbooks")
def test_a_server_is_restored_in_place_undone_and_committed(modules):
    server = World(modules.known["SMALL_WORLD"]).add_server()
    back_up(modules, "cloud", server)
    asked = {"vault": "archive", "point": "web", "target": "cloud"}
    restored = task("restore", **asked, request={"type": "in-place", "boot_timeout": 20})
    undone, committed = (task("restore", **asked, state=state) for state in ("undone", "committed"))
    assert modules.run(restored, committed, check=True)[0] == ["changed", "changed"]
    told, said = modules.run(restored, restored, undone, undone, restored, committed, committed, restored)
    assert told == ["changed", "ok", "changed", "ok", "changed", "changed", "ok", "ok"], said


@pytest.mark.turns("playbooks")
def test_a_replica_is_made_changed_paused_and_deleted(modules):
    replica, absent = task("replica", **REPLICA), task("replica", **{**REPLICA, "state": "absent"})
    told, said = modules.run(replica, absent, check=True)
    assert told == ["changed", "ok"], said
    oftener, paused = task("replica", **REPLICA | {"schedule": "hourly"}), {"paused": True}
    pausing = task("replica", **REPLICA | {"schedule": "hourly"} | paused)
    told, said = modules.run(replica, replica, oftener, pausing, task("replica_info"), absent, absent)
    assert told == ["changed", "ok", "changed", "changed", "ok", "changed", "ok"], said
    (found,) = said[4]["replicas"]
    assert (found["points"], found["schedule"]) == (1, "hourly"), "the first one is waited for"
