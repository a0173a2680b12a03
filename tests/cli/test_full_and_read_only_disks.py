"""A vault on a small disk of its own: what is said when that is full, or can't be written, and how one gets on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("longshore")
MIB = 1 << 20
APART = ("unshare", "--mount", "--user", "--map-root-user")


def may_mount():
    return subprocess.run([*APART, "true"], check=False, capture_output=True).returncode == 0


pytestmark = [pytest.mark.long, pytest.mark.skipif(not may_mount(), reason="nothing can be mounted here")]


class SmallDisk:
    """In a mount namespace of its own, in which commands run."""

    def __init__(self, place, size):
        self.path, self.state = place / "disk", place / "state"
        self.path.mkdir()
        inside = f"mount -t tmpfs -o size={size} none {self.path} && echo mounted && exec cat"
        self._process = subprocess.Popen(
            [*APART, "sh", "-c", inside], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout.readline() == "mounted\n"

    def run(self, *words):
        enter = ("nsenter", f"--target={self._process.pid}", "--mount", "--user", "--preserve-credentials", "--")
        return subprocess.run([*enter, *map(str, words)], check=False, capture_output=True, text=True, timeout=300)

    def longshore(self, *words):
        return self.run(COMMAND, "--state", self.state, *words)

    def told(self, *words):
        done = self.longshore(*words, "-f", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def end(self):
        self._process.communicate(timeout=60)


@pytest.fixture
def disk(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "small.img").write_bytes(os.urandom(4 * MIB))
    (images / "large.img").write_bytes(os.urandom(96 * MIB))
    disk = SmallDisk(tmp_path, 128 * MIB)
    disk.told("provider", "add", "files", "files", "--url", f"file://{images}")
    yield disk
    disk.end()


def test_on_a_full_disk_points_are_deleted_and_pruned_all_the_same_and_the_backup_goes_on(disk):
    disk.told("vault", "create", "offsite", disk.path / "vault")
    assert (
        disk.longshore("backup", "create", "small", "--source", "files", "--vault", "offsite", "--wait").returncode == 0
    )
    begun = disk.told("backup", "create", "large", "--source", "files", "--vault", "offsite")
    deadline = time.monotonic() + 240
    while (record := disk.told("migration", "show", begun["id"]))["status"] != "parked":
        assert time.monotonic() < deadline, record
        time.sleep(0.2)
    assert f"The vault in {disk.path}/vault is full." in record["parked"]
    assert "delete points and prune" in record["parked"]
    assert disk.run("find", disk.path, "-name", ".new-*").stdout == "", "what couldn't be filled takes no room"
    (point,) = disk.told("backup", "list", "--vault", "offsite")
    disk.told("backup", "hold", point["Point"], "--vault", "offsite")
    disk.told("backup", "release", point["Point"], "--vault", "offsite")
    deleted = disk.longshore("backup", "delete", point["Point"], "--vault", "offsite")
    assert deleted.returncode == 0, deleted.stderr
    assert disk.told("vault", "prune", "offsite", "--wait")["status"] == "done"
    disk.run("mount", "-o", f"remount,size={256 * MIB}", disk.path)
    assert disk.told("migration", "resume", begun["id"], "--wait")["status"] == "done"
    assert disk.told("vault", "verify", "offsite", "--wait")["result"]["faults"] == []


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_vault_that_cannot_be_made_there_is_refused_in_a_sentence_and_leaves_nothing(disk, how):
    if how == "full":
        disk.run("dd", "if=/dev/zero", f"of={disk.path}/other", "bs=1M")
    else:
        disk.run("mount", "-o", "remount,ro", disk.path)
    refused = disk.longshore("vault", "create", "offsite", disk.path / "vault")
    assert refused.returncode == 1
    assert ("is full" if how == "full" else "Read-only file system") in refused.stderr
    assert "a bug" not in refused.stderr
    assert disk.run("ls", disk.path).stdout == ("other\n" if how == "full" else "")
    assert disk.told("vault", "list") == []
