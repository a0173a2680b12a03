"""What `longshore backup files get` writes: files with their holes, and of a directory all that can be read."""

import subprocess

import pytest

from in_process import longshore
from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from point_in_vault import with_point

MIB = 1 << 20


@pytest.fixture
def vault(tmp_path, monkeypatch):
    """With a point in which one file is encrypted, and one is a hole for the most part."""
    monkeypatch.chdir(tmp_path)
    store = Store(StateDirectory(tmp_path / "state"))
    vault = Vault.create(Directory(tmp_path / "vault"), None)
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    store.close()
    (tmp_path / "root/home").mkdir(parents=True)
    for name in ("plain", "private"):
        (tmp_path / f"root/home/{name}").write_text(name * 1000)
    with (tmp_path / "root/home/hole").open("wb") as file:
        file.truncate(100 * MIB)
        file.write(b"begin")
    image = tmp_path / "image"
    run("mke2fs", "-q", "-t", "ext4", "-O", "encrypt", "-d", tmp_path / "root", image, "8M")
    run("debugfs", "-w", "-R", "sif /home/private flags 0x80800", image)
    with_point(vault, tmp_path, content_of_disk=image.read_bytes())
    return tmp_path


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def get(vault, *words):
    return longshore(vault / "state", "backup", "files", "get", "web", *words, "--vault", "offsite")


def test_what_cant_be_read_of_a_directory_is_named_and_the_rest_is_there(vault):
    got = get(vault, "/home")
    assert got.returncode == 1
    assert "private isn't in it: it is encrypted, and its key isn't on the disk." in got.stderr
    assert "Of what is in /home 1 can't be read, and isn't in the archive." in got.stderr
    run("tar", "xf", "home.tar")
    assert (vault / "plain").read_text() == "plain" * 1000
    assert not (vault / "private").exists()
    assert "private isn't in it" in (vault / "NOT-IN-THIS-ARCHIVE.txt").read_text()


def test_what_cant_be_read_is_refused_by_its_name_and_leaves_no_file(vault):
    got = get(vault, "/home/private")
    assert (got.returncode, got.stderr.count("/home/private isn't read: it is encrypted")) == (1, 1)
    assert not (vault / "private").exists()


def test_a_file_with_a_hole_has_it_here_too(vault):
    assert get(vault, "/home/hole").returncode == 0
    found = (vault / "hole").stat()
    assert (found.st_size, found.st_blocks * 512 < MIB) == (100 * MIB, True)
    with (vault / "hole").open("rb") as file:
        assert file.read(10) == b"begin" + bytes(5)
