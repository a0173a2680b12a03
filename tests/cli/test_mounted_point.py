"""longshore backup mount: files of a point in a directory of this machine, and nothing left of it afterwards."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from in_process import longshore
from longshore.guests.mounted import bent
from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from point_in_vault import with_point

pytestmark = pytest.mark.long

BIG = Random(1).randbytes(5_000_000)
COMMAND = Path(sys.executable).with_name("longshore")
needs_fuse = pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this machine has no FUSE")


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """That knows a vault with a point of a machine, web; beside it what was in its disk."""
    place = tmp_path_factory.mktemp("installation")
    root = place / "root"
    (root / "etc/deep/er").mkdir(parents=True)
    (root / "etc/fstab").write_text("")
    (root / "etc/shadow").write_text("the guest's own")
    (root / "etc/big").write_bytes(BIG)
    (root / "etc/big").chmod(0o4755)
    for name, target in {
        "etc/deep/absolute": "/etc/shadow",
        "etc/deep/climbing": "../../../../../../../../etc/shadow",
        "etc/deep/sly": "../deep/er/../../../../../etc/shadow",
        "etc/deep/near": "../shadow",
        "up": "..",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    image = place / "image"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, image, "32M"], check=True, capture_output=True)
    store = Store(StateDirectory(place / "state"))
    vault = Vault.create(Directory(place / "vault"), None)
    store.providers.add("offsite", "vault", {"directory": str(place / "vault")}, {})
    store.close()
    with_point(vault, place, content_of_disk=image.read_bytes())
    return place


@pytest.fixture
def mounted(installation, tmp_path):
    """(the directory, the process that holds it)"""
    directory = tmp_path / "mnt"
    directory.mkdir()
    words = ("--state", installation / "state", "backup", "mount", "web", directory, "--vault", "offsite")
    process = subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == str(directory), process.stderr.read()
        yield directory, process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        subprocess.run(["umount", "-l", directory], check=False, capture_output=True)


@needs_fuse
def test_files_are_read_as_the_guest_has_them(mounted):
    directory, _ = mounted
    assert sorted(path.name for path in directory.iterdir()) == ["etc", "lost+found", "up"]  # no pipe
    assert (directory / "etc/big").read_bytes() == BIG
    with (directory / "etc/big").open("rb") as file:
        file.seek(4_999_000)
        assert file.read(5000) == BIG[4_999_000:]
    status = (directory / "etc/big").stat()
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (len(BIG), 0o755), "it keeps its set-user bit"
    assert subprocess.run(["cmp", directory / "etc/big", "-"], input=BIG, check=True).returncode == 0
    with pytest.raises(FileNotFoundError):
        (directory / "etc/nothing").stat()


@needs_fuse
def test_no_link_leads_out(mounted):
    directory, _ = mounted
    for name in ("absolute", "climbing", "sly", "near"):
        assert (directory / "etc/deep" / name).read_text() == "the guest's own", name
    assert (directory / "up").resolve() == directory


@needs_fuse
def test_nothing_can_be_changed_or_executed(mounted):
    directory, _ = mounted
    with pytest.raises(OSError, match="Read-only"):
        (directory / "etc/shadow").write_text("mine")
    with pytest.raises(OSError, match="Read-only"):
        (directory / "new").mkdir()
    with pytest.raises(PermissionError):
        subprocess.run([directory / "etc/big"], check=False)


def is_mounted(directory):
    return any(line.split()[1] == str(directory) for line in Path("/proc/mounts").read_text().splitlines())


@needs_fuse
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, "umount"])
def test_nothing_is_left_however_it_ends(mounted, how):
    directory, process = mounted
    assert is_mounted(directory)
    assert process.stderr.readline() == f"It is mounted until Ctrl-C, or: umount {directory}\n"
    if how == "umount":
        subprocess.run(["umount", directory], check=True)
    else:
        process.send_signal(how)
    _, said = process.communicate(timeout=30)
    assert how is signal.SIGKILL or process.returncode == 0, said
    assert said == ""
    deadline = time.monotonic() + 20
    while is_mounted(directory):
        assert time.monotonic() < deadline, "it is still mounted"
        time.sleep(0.05)
    assert not list(directory.iterdir())


@needs_fuse
def test_a_full_directory_and_a_point_that_is_not_there_are_refused(installation, tmp_path):
    (tmp_path / "file").touch()
    done = longshore(installation / "state", "backup", "mount", "web", tmp_path, "--vault", "offsite")
    assert (done.returncode, "isn't an empty directory" in done.stderr) == (1, True)
    (tmp_path / "empty").mkdir()
    done = longshore(installation / "state", "backup", "mount", "nothing", tmp_path / "empty", "--vault", "offsite")
    assert (done.returncode, "There is no point nothing" in done.stderr) == (1, True)


@needs_fuse
def test_a_point_is_mounted_at_two_directories_and_not_twice_at_one(mounted, installation, tmp_path):
    first, _ = mounted
    words = ("backup", "mount", "web", first, "--vault", "offsite")
    refused = longshore(installation / "state", *words)
    assert (refused.returncode, "isn't an empty directory" in refused.stderr) == (1, True)
    second = tmp_path / "second"
    second.mkdir()
    words = ("--state", installation / "state", "backup", "mount", "web", second, "--vault", "offsite")
    other = subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline().strip() == str(second), other.stderr.read()
        assert (second / "etc/shadow").read_text() == "the guest's own"
    finally:
        other.send_signal(signal.SIGINT)
        other.communicate(timeout=30)
    assert not is_mounted(second)
    assert (first / "etc/shadow").read_text() == "the guest's own"


_PARTS = st.lists(st.sampled_from(["a", "b", "..", ".", ""]), max_size=8).map("/".join)


@given(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4), _PARTS, st.booleans())
def test_a_bent_link_goes_up_first_and_never_beyond_the_top(path, target, absolute):
    found = PurePosixPath(bent("/" + "/".join(path), f"/{target}" if absolute else target or ".")).parts
    ups = len(found) - len([part for part in found if part != ".."])
    assert found[:ups] == ("..",) * ups
    assert ups <= len(path) - 1
    assert ".." not in found[ups:]
