"""Files that options name to be written: they are replaced as a whole, or stay as they were."""

import errno
import os

import pytest

from longshore.cli.given_files import put_text
from longshore.errors import InvalidInput


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    plan = tmp_path / "plan.yaml"
    plan.write_text("old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInput, match=r"plan\.yaml can't be written: No space left on device\.$"):
        put_text(str(plan), "new")
    assert plan.read_text() == "old"
    assert list(tmp_path.iterdir()) == [plan], "nothing that is half written is left beside it"


def test_what_is_replaced_keeps_its_link_and_its_mode(tmp_path):
    plan, link = tmp_path / "plan.yaml", tmp_path / "link"
    plan.write_text("old")
    plan.chmod(0o640)
    link.symlink_to(plan)
    put_text(str(link), "new ü")
    assert link.is_symlink()
    assert plan.read_text(encoding="utf-8") == "new ü"
    assert plan.stat().st_mode & 0o777 == 0o640


def test_a_new_file_is_made_as_the_shell_would_make_it(tmp_path):
    (tmp_path / "by the shell").touch()
    put_text(str(tmp_path / "new"), "text")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "by the shell").stat().st_mode


def test_what_the_shell_has_opened_is_written_through(tmp_path):
    with (tmp_path / "all").open("a") as file:
        file.write("before\n")
        file.flush()
        put_text(f"/dev/fd/{file.fileno()}", "text\n")
        file.write("after\n")
    assert (tmp_path / "all").read_text().endswith("text\nafter\n")
    put_text("/dev/null", "text")
