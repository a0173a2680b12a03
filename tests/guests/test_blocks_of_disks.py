"""What the confined process reads of a served disk, whose memory for blocks is used again and again."""

import os
import subprocess
import sys

from file_disk import FileDisk

from longshore.guests.files import _served
from longshore.guests.parts import Disk

BLOCK = 1 << 17


def test_what_is_read_is_what_the_disk_has_however_often_its_memory_was_used_before(tmp_path):
    content = os.urandom(300 * BLOCK + 5000)  # more than is kept, and a last block that isn't whole
    (tmp_path / "image").write_bytes(content)
    with _served(FileDisk(tmp_path / "image"), tmp_path / "socket"):
        disk = Disk(str(tmp_path / "socket"), 2)
        for _ in range(2):
            for at in range(0, len(content), 40 * BLOCK):
                disk.ahead([(at, 3 * BLOCK)])
                wanted = content[at : at + 40 * BLOCK]
                assert disk.read(at, 40 * BLOCK) == wanted
        assert disk.read(BLOCK - 10, 20) == content[BLOCK - 10 : BLOCK + 10]
        assert disk.read(len(content) - 10, BLOCK) == content[-10:]
        disk.close()


def test_the_process_that_reads_files_loads_nothing_that_takes_long():
    seen = "import sys, longshore.guests.files_confined, longshore.guests.sleuth_kit; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout.split()
    assert "longshore.guests.parts" in loaded
    assert not {"dataclasses", "inspect", "pydantic", "tarfile"} & set(loaded)
