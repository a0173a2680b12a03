"""Vaults as releases have written them are read by the script in them, by today's, and by Longshore, which goes on."""

import hashlib
import json
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from small_vault import InDirectory

from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk, PointDisk
from longshore.vault.errors import WrongKey
from longshore.vault.holds import Held, delete_point, hold_of
from longshore.vault.points import Point, new_name, point_names, read_point
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from longshore.vault.verify import verify
from longshore.vault.writers import finish, leave, register

pytestmark = pytest.mark.long

KEPT = sorted((Path(__file__).parents[1] / "data" / "vaults").glob("*.tar.xz"))
TODAYS = files("longshore.vault") / "left" / "restore.py"


@pytest.fixture(params=KEPT, ids=[path.name.removesuffix(".tar.xz") for path in KEPT])
def kept(request, tmp_path):
    """The vault's directory, and what it is to hold."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "vault", json.loads((tmp_path / "expected.json").read_bytes())


def restored(script, vault, phrase, point, disk, out):
    """The SHA-256 of what a script, called as a stranger does, has made of a disk."""
    given = ["--vault", vault]
    if phrase:
        (out.parent / "phrase").write_text(phrase + "\n")
        given += ["--pass-phrase-file", out.parent / "phrase"]
    words = [sys.executable, "-I", str(script), point, disk, out, *given]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    out.unlink()
    return digest


def opened(vault, told, use):
    return Vault.open(Directory(vault), use, told["phrases"][0] if told["phrases"] else None)


def digest_of(vault, top):
    return hashlib.sha256(PointDisk(vault, top).read(0, top.size)).hexdigest()


def test_there_are_some():
    assert len(KEPT) >= 2


def test_its_own_script_and_todays_restore_all_of_it_by_each_of_its_keys(kept, tmp_path):
    vault, told = kept
    disks = [(point, disk, digest) for point, each in told["points"].items() for disk, digest in each.items()]
    for number, (point, disk, digest) in enumerate(disks):
        phrase = told["phrases"][number % len(told["phrases"])] if told["phrases"] else None
        for script in (vault / "restore.py", TODAYS):
            assert restored(script, vault, phrase, point, disk, tmp_path / "out") == digest


def test_longshore_opens_it_by_each_key_and_finds_all_as_it_was_written(kept):
    directory, told = kept
    for phrase in told["phrases"]:
        assert Vault.open(Directory(directory), "read", phrase).encrypted
    if told["phrases"]:
        with pytest.raises(WrongKey):
            Vault.open(Directory(directory), "read", "another one")
    vault = opened(directory, told, "read")
    assert sorted(point_names(vault)) == sorted(told["points"])
    assert verify(vault).faults == ()
    for name, disks in told["points"].items():
        point = read_point(vault, name)
        assert point.content["machine"]["name"] == told["machine"]
        assert {key: digest_of(vault, top) for key, top in point.disks.items()} == disks
        assert (hold_of(vault, name) is not None) is (name == told["held"])


def test_longshore_goes_on_with_it_and_what_it_adds_its_own_script_restores(kept, tmp_path):
    directory, told = kept
    vault = opened(directory, told, "write")
    base = read_point(vault, max(told["points"]))
    register(vault, "w", tuple(base.disks.values()))
    tops = {}
    for key, top in base.disks.items():
        disk = NewDisk(vault, top, tmp_path / "journal")
        disk.write(700_000 % top.size, b"written by a later release")
        tops[key] = disk.finish()
        disk.close()
        (tmp_path / "journal").unlink()
    new = Point(new_name(base.name.partition("/")[0], datetime.now(UTC)), datetime.now(UTC), tops, base.content)
    finish(vault, "w", new)
    leave(vault, "w")
    with pytest.raises(Held):
        delete_point(vault, told["held"])
    delete_point(vault, base.name)
    for _ in range(2):  # what only that has named is condemned, and then goes
        InDirectory(directory).days_pass(3 * vault.grace)
        done = prune(opened(directory, told, "prune"))
    assert done.deleted > 0
    assert verify(vault).faults == ()
    phrase = told["phrases"][0] if told["phrases"] else None
    for point, disk, digest in (
        (new.name, "2000", digest_of(vault, tops["2000"])),
        (told["held"], "2000", told["points"][told["held"]]["2000"]),
    ):
        assert restored(directory / "restore.py", directory, phrase, point, disk, tmp_path / "out") == digest
