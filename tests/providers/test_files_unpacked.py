"""How much of a server's disk may be filled with what callers' compressed images become."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from files_made import MIB

from longshore.errors import InvalidInput
from longshore.flows.clouds import within_reach
from longshore.model.reach import Reach
from longshore.providers.files import spool as spooling
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource
from longshore.store import StateDirectory, Store

Usage = namedtuple("Usage", "total used free")

# Keeps an image unpacked for a project, until it is killed
KEEPER = """
import sys, time
from longshore.model.reach import Reach
from longshore.providers.files.local import LocalPlace
from longshore.providers.files.settings import path_of
from longshore.providers.files.spool import spool
url, whose, scratch = sys.argv[1:]
with LocalPlace(path_of(url), None, Reach(whose=whose, scratch=scratch)).bundle("a.raw.gz") as bundle:
    with spool(bundle.open("a.raw.gz"), "gz"):
        print("there", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def files(tmp_path):
    made = tmp_path / "files"
    made.mkdir()
    (made / "a.raw.gz").write_bytes(gzip.compress(os.urandom(6 * MIB), 1))
    return made


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """On a disk of which a project may have 8 MiB."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(32 * MIB, 0, 1 << 40))
    return tmp_path / "scratch"


def source(files, scratch, whose):
    return FilesSource(FilesSettings(f"file://{files}", reach=Reach(whose=whose, scratch=str(scratch))))


def taken(scratch):
    return sum(file.stat().st_blocks * 512 for file in scratch.rglob("*") if file.is_file())


def test_a_small_file_cannot_become_more_than_a_projects_part_of_the_disk(files, scratch):
    (files / "bomb.raw.gz").write_bytes(gzip.compress(b"\x01" * (64 * MIB), 9))
    with pytest.raises(
        InvalidInput, match=r"bomb\.raw\.gz doesn't fit when it is unpacked: a project may have"
    ) as caught:
        source(files, scratch, "p").machine("bomb.raw.gz")
    assert caught.value.code == "no-scratch-space"
    assert str(scratch) not in str(caught.value)
    assert taken(scratch) == 0
    assert source(files, scratch, "p").machine("a.raw.gz").disks[0].size == 6 * MIB


def test_all_processes_images_of_one_project_count_and_nobody_elses(files, scratch):
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, f"file://{files}", "p", scratch], stdout=subprocess.PIPE, text=True
    )
    try:
        assert keeper.stdout.readline() == "there\n"
        assert taken(scratch) >= 6 * MIB
        shutil.copy(files / "a.raw.gz", files / "b.raw.gz")
        with pytest.raises(InvalidInput, match="a project may have"):
            source(files, scratch, "p").machine("b.raw.gz")
        assert source(files, scratch, "quiet").machine("b.raw.gz").disks[0].size == 6 * MIB
    finally:
        keeper.send_signal(signal.SIGKILL)
        keeper.communicate()
    assert taken(scratch) >= 6 * MIB, "it had no time to remove it"
    shutil.copy(files / "a.raw.gz", files / "c.raw.gz")  # of the others the size is known by now
    assert source(files, scratch, "p").machine("c.raw.gz").disks[0].size == 6 * MIB
    assert taken(scratch) == 0


def test_a_servers_callers_images_are_unpacked_below_its_state_directory(tmp_path, files, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    store = Store(StateDirectory(tmp_path / "state"))
    reach = within_reach(store, "p", {"url": f"file://{files}"})["reach"]
    assert (reach.whose, reach.scratch) == ("p", str(tmp_path / "state" / "scratch"))
    assert within_reach(store, "", {"url": f"file://{files}"})["reach"] is None
    store.close()
    seen = []
    unpacked = spooling.unpacked

    def noting(*args):
        for piece in unpacked(*args):
            seen.extend(Path(reach.scratch).rglob("unpacked"))
            yield piece

    monkeypatch.setattr(spooling, "unpacked", noting)
    with_reach = FilesSettings(f"file://{files}", reach=reach)
    assert FilesSource(with_reach).machine("a.raw.gz").disks[0].size == 6 * MIB
    assert seen
    assert {path.stat().st_mode & 0o777 for path in Path(reach.scratch).iterdir()} == {0o700}
