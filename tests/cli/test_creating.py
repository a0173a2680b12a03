"""What is made may be there already: it is shown then where that is asked for, and is left as it is."""

import json

import pytest

from in_process import longshore


def answered(state, *words):
    done = longshore(state, *words, "-f", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def state(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "old.raw").write_bytes(bytes(1 << 20))
    return tmp_path / "state"


def test_what_is_there_already_is_shown_as_it_is(state, tmp_path):
    add = ("provider", "add", "files", "shelf", "--or-show", "--url")
    assert answered(state, *add, str(tmp_path / "images"))["provider"] == "shelf"
    there = answered(state, *add, str(tmp_path / "elsewhere"))
    assert there["url"] == f"file://{tmp_path}/images"
    refused = longshore(state, "provider", "add", "files", "shelf", "--url", str(tmp_path / "images"))
    assert refused.returncode == 1
    assert "A provider named shelf is there already. Choose another name or delete it." in refused.stderr
    vault = ("vault", "create", "offsite", str(tmp_path / "vault"), "--or-show")
    assert answered(state, *vault) == answered(state, *vault)


def test_machines_in_files_are_named_by_a_path(state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answered(state, "provider", "add", "files", "whole", "--url", str(tmp_path / "images"))
    answered(state, "provider", "add", "files", "here", "--url", "images")
    shown = [answered(state, "provider", "show", name)["url"] for name in ("whole", "here")]
    assert shown == [f"file://{tmp_path}/images"] * 2
    refused = longshore(state, "provider", "add", "files", "other", "--url", "gopher://x")
    assert "Name a directory or file by its whole path (/DIRECTORY)" in refused.stderr
