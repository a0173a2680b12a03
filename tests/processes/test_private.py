"""A directory goes with its process; those of others, and of other users, are left alone."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from longshore.processes.private import private_directory


def test_directories_of_many_threads_are_left_alone(tmp_path, monkeypatch):
    """Each begins by looking for abandoned ones, some of which aren't locked yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def make(_):
        with private_directory() as directory:
            (directory / "socket").touch()
            time.sleep(0.001)
            return (directory / "socket").exists()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(make, range(400)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a moment")
@pytest.mark.parametrize("mode", [0o777, 0o733])
def test_another_users_directories_are_left_alone(mode):
    """What is made belongs to the effective user, whoever started the process; and not all may list a directory."""
    program = """
import os, sys, tempfile
from longshore.processes.private import private_directory
tempfile.tempdir = sys.argv[1]
os.seteuid(65534)
with private_directory() as directory:
    print(directory.stat().st_uid)
"""
    with tempfile.TemporaryDirectory() as temporary:  # others can't get at what pytest makes
        os.chmod(temporary, mode)
        others = Path(temporary, "longshore-nbd-others")
        others.mkdir()
        others.chmod(0o777)
        arguments = [sys.executable, "-c", program, temporary]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
        assert done.stdout == "65534\n", done.stderr
        assert list(others.parent.iterdir()) == [others]
