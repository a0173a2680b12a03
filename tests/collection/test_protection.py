"""Replicas, policies of backups and restores, by playbooks, where no server runs."""

import json
import subprocess
import time
from contextlib import contextmanager

import pytest
from playbooks import BIN, Playbooks, task
from small_clouds import World
from stand import environment

from longshore.store import StateDirectory, Store

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
def playbooks(tmp_path):
    known = environment(tmp_path)
    (tmp_path / "world" / "one-moment").touch()  # its guest runs on: what is restored is older, and whole
    store = Store(StateDirectory(tmp_path / "state"))
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {"root": known["SMALL_WORLD"]}, {"password": "x"})
    store.close()
    return Playbooks(tmp_path, {"state_dir": str(tmp_path / "state"), "command": str(BIN / "longshore")}, known)


@contextmanager
def asking(playbooks):
    """Yield what asks Longshore as the modules do."""
    process = subprocess.Popen(
        [str(BIN / "longshore"), "api"],
        env=playbooks.known,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(method, path, body=None):
        process.stdin.write(json.dumps({"method": method, "path": path, "body": body}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert answer["status"] < 400, answer
        return answer["body"]

    with process:
        yield ask
        process.stdin.close()


def back_up(playbooks, source, machine):
    """Make a vault, and one point of the machine in it."""
    with asking(playbooks) as ask:
        ask("POST", "/v1/vaults", {"name": "archive", "directory": str(playbooks.place / "archive")})
        made = ask("POST", "/v1/backups", {"machine": machine, "source": source, "vault": "archive"})
        while made["status"] not in ("done", "failed"):
            time.sleep(0.5)
            made = ask("GET", f"/v1/jobs/{made['id']}")
        assert made["status"] == "done", made["error"]


def test_a_policy_and_a_restore_are_made_once(playbooks):
    back_up(playbooks, "vc", "web")
    policy = task("backup_policy", **POLICY)
    other = task("backup_policy", name="nightly", retention="last 5")
    gone = task("backup_policy", name="nightly", state="absent")
    restore = task("restore", vault="archive", point="web", target="cloud", request={**LANDING, "type": "dry-run"})
    points = task("point_info", vault="archive", machine="web") | {"register": "found"}
    told, said = playbooks.run(policy, restore, words=("--check", "--diff"))
    assert told == ["changed", "changed"]
    assert "daily 02:00 UTC" in said
    shown = {"ansible.builtin.debug": {"msg": "{{ found.points | length }} of {{ found.points[0].machine_name }}"}}
    told, said = playbooks.run(
        *(policy, policy, restore, restore, other, policy, points, shown),
        *(task("backup_policy", name="nightly", vault="elsewhere") | {"ignore_errors": True}, gone, gone),
    )
    assert told == ["changed", "ok", "changed", "ok", "changed", "changed", "ok", "ok", "fatal", "changed", "ok"], said
    assert "1 of web" in said
    assert "Policy nightly has archive as its vault, which stays." in said


def test_a_server_is_restored_in_place_undone_and_committed(playbooks):
    server = World(playbooks.known["SMALL_WORLD"]).add_server()
    back_up(playbooks, "cloud", server)
    asked = {"vault": "archive", "point": "web", "target": "cloud"}
    restored = task("restore", **asked, request={"type": "in-place", "boot_timeout": 20})
    undone, committed = (task("restore", **asked, state=state) for state in ("undone", "committed"))
    assert playbooks.run(restored, committed, words=("--check",))[0] == ["changed", "changed"]
    told, said = playbooks.run(restored, restored, undone, undone, restored, committed, committed, restored)
    assert told == ["changed", "ok", "changed", "ok", "changed", "changed", "ok", "ok"], said


def test_a_replica_is_made_changed_paused_and_deleted(playbooks):
    replica, absent = task("replica", **REPLICA), task("replica", **{**REPLICA, "state": "absent"})
    told, said = playbooks.run(replica, absent, words=("--check", "--diff"))
    assert told == ["changed", "ok"], said
    oftener, paused = task("replica", **REPLICA | {"schedule": "hourly"}), {"paused": True}
    info = task("replica_info") | {"register": "found"}
    shown = {"ansible.builtin.debug": {"msg": "{{ found.replicas[0].points }} at {{ found.replicas[0].schedule }}"}}
    told, said = playbooks.run(
        *(replica, replica, oftener, task("replica", **REPLICA | {"schedule": "hourly"} | paused), info, shown),
        *(absent, absent),
        words=("--diff",),
    )
    assert told == ["changed", "ok", "changed", "changed", "ok", "ok", "changed", "ok"], said
    assert "1 at hourly" in said, "the first one is waited for"
