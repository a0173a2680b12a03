"""A vault on a share that fails: said in a sentence, nothing counted that isn't there, and all well when it is well."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_vault import Backup, InDirectory, scribble

from longshore.errors import NotFound, Unreachable
from longshore.vault.directory import Directory
from longshore.vault.errors import VaultFull
from longshore.vault.points import point_names
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from longshore.vault.verify import verify

pytestmark = [pytest.mark.long, pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="there is no FUSE here")]


class Share:
    """A directory behind FUSE."""

    def __init__(self, root):
        self.beneath, self.path, self._faults = root / "beneath", root / "share", root / "faults"
        for directory in (self.beneath, self.path):
            directory.mkdir()
        self.heal()
        words = [sys.executable, Path(__file__).parent / "failing_share.py", self.beneath, self.path, self._faults]
        self._process = subprocess.Popen(words)
        deadline = time.monotonic() + 30
        while not os.path.ismount(self.path):
            assert time.monotonic() < deadline, "it isn't mounted"
            time.sleep(0.02)

    def fail(self, call, error, left=0):
        self._faults.write_text(json.dumps([{"call": call, "errno": error, "left": left}]))

    def heal(self):
        self._faults.write_text("[]")

    def unmount(self):
        """From its place; whoever has a file of it open keeps that."""
        subprocess.run(["umount", "-l", self.path], check=False, capture_output=True)

    def end(self):
        self.unmount()
        self._process.wait(20)


@pytest.fixture(autouse=True)
def nothing_is_waited_for():
    """But here: what fsync says is what these tests are about."""


@pytest.fixture
def share(tmp_path):
    share = Share(tmp_path)
    yield share
    share.heal()
    share.end()


@pytest.fixture
def place(share):
    """With a vault and a point in it."""
    place = InDirectory(share.path / "vault")
    vault = Vault.create(place.store())
    backup = Backup(place, vault.keys, share.path.parent, 1)
    backup.open()
    scribble(backup, random.Random(1), 6)
    backup.finish()
    return place, vault


def begun(place, vault, share, number):
    backup = Backup(place, vault.keys, share.path.parent, number)
    backup.based_on(point_names(vault)[0])
    backup.open()
    return backup


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("write", "ENOSPC", VaultFull),
        ("flush", "ENOSPC", VaultFull),  # as a file server says it when a file is closed
        ("fsync", "EDQUOT", VaultFull),
        ("fsync", "EIO", Unreachable),
        ("fsyncdir", "EIO", Unreachable),
        ("create", "ESTALE", Unreachable),
        ("link", "EIO", Unreachable),
    ],
)
def test_a_backup_that_the_share_does_not_take_leaves_the_vault_as_it_was(share, place, call, error, said):
    place, vault = place
    before = point_names(vault)
    backup = begun(place, vault, share, 2)
    backup.write(5_000_000, os.urandom(400_000))
    share.fail(call, error)
    with pytest.raises(said) as told:
        backup.finish()
    assert str(share.path) in told.value.message
    backup.close()
    share.heal()
    assert point_names(vault) == before
    assert verify(vault).faults == ()
    after = begun(place, vault, share, 3)
    after.write(5_000_000, os.urandom(400_000))
    after.finish()
    for _ in range(3):
        place.days_pass()
        prune(vault)
    assert verify(vault).faults == ()
    assert len(point_names(vault)) == len(before) + 1
    assert not [path for path in share.beneath.rglob(".new-*")], "what was broken off is gone"


@pytest.mark.parametrize(
    ("call", "error"), [("read", "EIO"), ("open", "ESTALE"), ("getattr", "EIO"), ("readdir", "EIO")]
)
def test_what_cannot_be_read_is_said_and_is_never_an_empty_vault(share, place, call, error):
    _, vault = place
    share.fail(call, error)
    with pytest.raises(Unreachable, match="can't be used"):
        Vault.open(Directory(share.path / "vault"), "read", None) and point_names(vault)
        verify(vault)
    with pytest.raises(Unreachable, match="can't be used"):
        prune(vault)
    share.heal()
    assert verify(vault).faults == ()


def test_a_share_that_is_not_mounted_is_no_new_vault(share, place):
    place, vault = place
    backup = begun(place, vault, share, 2)
    backup.write(0, os.urandom(400_000))
    share.unmount()
    with pytest.raises((NotFound, Unreachable)):
        backup.finish()
    with pytest.raises(NotFound):
        Vault.open(Directory(share.path / "vault"), "write", None)
    assert list(share.path.iterdir()) == [], "nothing is made where it should be mounted"
    backup.close()
