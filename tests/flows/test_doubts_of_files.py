"""What is wrong with files stops a move before anything is made, and goes on when the user accepts it."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from files_made import make_ova

from longshore.errors import InvalidInput
from longshore.flows.moves.source_side import check_files
from longshore.model.request import MigrationRequest
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource


class Job(SimpleNamespace):
    """As much of one as is asked here."""

    def say(self, text, level="information"):
        if not text.startswith("Checking web01: "):  # how far it is, of whatever takes longer than a moment
            self.said.append((level, text))

    def raise_if_cancelled(self):
        pass


def damaged(files):
    data = bytearray(files["web01-disk1.vmdk"])
    data[-1] ^= 1
    files["web01-disk1.vmdk"] = bytes(data)


def test_a_digest_that_differs_stops_until_it_is_accepted(tmp_path):
    make_ova(tmp_path / "a.ova", change=damaged)
    source = FilesSource(FilesSettings(f"file://{tmp_path}"))
    job = Job(copy_request=MigrationRequest(), said=[], record=SimpleNamespace(machine_name="web01"))
    with pytest.raises(InvalidInput, match=r"its SHA256 differs.*--accept file-manifest-differs"):
        check_files(job, source, "a.ova")
    assert job.said == []
    job.copy_request = MigrationRequest(accept=("file-manifest-differs",))
    check_files(job, source, "a.ova")
    ((level, text),) = job.said
    assert level == "warning"
    assert text == "web01-disk1.vmdk isn't what web01.mf says: its SHA256 differs. It was accepted."
