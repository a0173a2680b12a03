"""Vaults as one makes and adds them on a command line."""

import json
import secrets

import pytest
from in_process import longshore

from s3_server import SECRET


@pytest.fixture
def where(s3):
    return f"s3://vaults/{secrets.token_hex(4)}"


@pytest.fixture
def run(tmp_path, s3):
    (tmp_path / "key").write_text(SECRET + "\n")
    (tmp_path / "phrase").write_text("a phrase of some length\n")

    def run(*words):
        return longshore(tmp_path / "state", *words)

    return run


def options(tmp_path, s3):
    keys = ["--access-key", "AKIATEST", "--secret-key-file", tmp_path / "key"]
    return ["--endpoint", s3.endpoint, *keys, "--pass-phrase-file", tmp_path / "phrase"]


def test_a_vault_in_a_bucket_is_made_added_elsewhere_and_checked(run, where, s3, tmp_path):
    said = [run("vault", "create", "away", where, *options(tmp_path, s3))]
    said.append(run("provider", "add", "vault", "same", "--url", where, *options(tmp_path, s3)))
    said.append(run("vault", "check", "same", "-f", "json"))
    assert [each.returncode for each in said] == [0, 0, 0], [each.stderr for each in said]
    assert json.loads(said[-1].stdout) == {"name": "same", "encrypted": True, "points": 0}
    listed = json.loads(run("vault", "list", "-f", "json").stdout)
    assert [(each["Name"], each["Place"]) for each in listed] == [("away", where), ("same", where)]
    said.append(run("provider", "show", "same"))
    assert not [each for each in said if SECRET in each.stdout + each.stderr]
    assert {name.partition("/")[0] for name in s3.stored(where)} == {"README.txt", "keys", "restore.py", "vault.json"}


def test_what_a_bucket_lacks_is_said_and_nothing_is_made(run, where, s3, tmp_path):
    given = options(tmp_path, s3)
    for words, sentence in (
        (["vault", "create", "v", where, *given[:4]], "The bucket's secret key is missing."),
        (["provider", "add", "vault", "v", "--url", where, *given[:4]], "The bucket's secret key is missing."),
        (["vault", "create", "v", where, *given[:2], *given[4:]], "The bucket's access key is missing."),
        (["vault", "create", "v", "s3://vaults//x", *given], "is no bucket"),
        (["vault", "create", "v", "s3://nowhere/x", *given], "There is no bucket nowhere at http://127"),
        (["vault", "create", "v", tmp_path / "here", *given], "A directory has no endpoint, region or access key."),
        (["provider", "add", "vault", "v"], "A vault is in a directory or in a bucket."),
    ):
        done = run(*words)
        assert done.returncode == 1, words
        assert sentence in done.stderr
        assert SECRET not in done.stderr
    assert s3.stored(where) == {}
    assert not (tmp_path / "here").exists()
    assert json.loads(run("vault", "list", "-f", "json").stdout) == []
