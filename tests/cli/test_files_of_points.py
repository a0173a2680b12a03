"""longshore backup files …, as somebody types it who misses a file."""

import json
import subprocess
from random import Random

import pytest

from in_process import longshore
from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from point_in_vault import with_point

BIG = Random(1).randbytes(2_304_000)


@pytest.fixture
def vault(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    vault = Vault.create(Directory(tmp_path / "vault"), None)
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    store.close()
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/fstab").write_text("")
    (tmp_path / "root/etc/big").write_bytes(BIG)
    for text in ("one\n", "another\n", "another\n"):
        notes, image = tmp_path / "root/notes", tmp_path / "image"
        if not notes.exists() or notes.read_text() != text:
            notes.write_text(text)
        image.unlink(missing_ok=True)
        subprocess.run(
            ["mke2fs", "-q", "-t", "ext4", "-d", tmp_path / "root", image, "8M"], check=True, capture_output=True
        )
        with_point(vault, tmp_path, content_of_disk=image.read_bytes())
    return tmp_path


def files(vault, *words):
    return longshore(vault / "state", "backup", "files", *words, "--vault", "offsite")


def test_files_are_listed_and_found(vault):
    listed = json.loads(files(vault, "list", "web", "/etc", "-f", "json").stdout)
    assert [(row["Path"], row["Kind"], row["Size"]) for row in listed] == [
        ("/etc/big", "file", len(BIG)),
        ("/etc/fstab", "file", 0),
    ]
    assert "/notes" in files(vault, "find", "web", "NOTES").stdout


def test_each_version_of_a_file_is_shown_once_with_how_many_points_have_it(vault):
    found = json.loads(files(vault, "find", "web", "notes", "--every", "-f", "json").stdout)
    assert sorted(row["Points"] for row in found) == [1, 2]


def test_a_file_is_written_whole_under_its_name_and_never_over_another(vault, monkeypatch):
    monkeypatch.chdir(vault)
    assert "big: 2.2 MiB." in files(vault, "get", "web", "/etc/big").stderr
    assert (vault / "big").read_bytes() == BIG
    assert (vault / "big").stat().st_mode & 0o777 == 0o600
    again = files(vault, "get", "web", "/etc/big")
    assert (again.returncode, "big is there already" in again.stderr) == (1, True)
    assert files(vault, "get", "web", "/etc").returncode == 0
    listed = subprocess.run(["tar", "tf", vault / "etc.tar"], capture_output=True, text=True, check=True).stdout
    assert listed.split() == ["big", "fstab"] or set(listed.split()) == {"big", "fstab"}


def test_what_isnt_there_leaves_no_file(vault, monkeypatch):
    monkeypatch.chdir(vault)
    got = files(vault, "get", "web", "/etc/nothing")
    assert (got.returncode, got.stderr.strip()) == (1, "longshore: There is no /etc/nothing in it.")
    assert not (vault / "nothing").exists()
    assert "can't be written" in files(vault, "get", "web", "/etc/big", "--to", "/nowhere/big").stderr


def test_what_is_damaged_leaves_no_half_file(vault, monkeypatch):
    monkeypatch.chdir(vault)
    for pack in (vault / "vault").glob("packs/*/*.pack"):
        data = bytearray(pack.read_bytes())
        for at in range(4000, len(data) - 4000, 9000):
            data[at] ^= 255
        pack.chmod(0o600)
        pack.write_bytes(data)
    got = files(vault, "get", "web", "/etc/big")
    assert got.returncode == 1
    assert not (vault / "big").exists()
