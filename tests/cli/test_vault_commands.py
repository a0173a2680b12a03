"""Vaults as one makes and adds them on a command line."""

import json
import secrets

import pytest

from in_process import longshore
from longshore.vault.prune import prune
from longshore.vault.vault import Vault
from longshore.vault.versions import is_needed
from s3_server import SECRET, S3Server, own_certificate

pytestmark = pytest.mark.long

PHRASE = "a phrase of some length"


@pytest.fixture
def where(s3):
    return f"s3://vaults/{secrets.token_hex(4)}"


@pytest.fixture
def run(tmp_path, s3):
    (tmp_path / "key").write_text(SECRET + "\n")
    (tmp_path / "phrase").write_text(f"{PHRASE}\n")

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
    usage = json.loads(run("vault", "usage", "same", "-f", "json").stdout)
    assert (usage["stored"] > 0, usage["free"], usage["machines"]) == (True, None, [])
    assert json.loads(run("vault", "prune", "same", "--dry-run", "-f", "json").stdout)["deleted"] == 0
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
        (
            ["vault", "create", "v", tmp_path / "here", *given],
            "A directory has no endpoint, region, access key or CA file.",
        ),
        (["provider", "add", "vault", "v"], "A vault is in a directory or in a bucket."),
    ):
        done = run(*words)
        assert done.returncode == 1, words
        assert sentence in done.stderr
        assert SECRET not in done.stderr
    assert s3.stored(where) == {}
    assert not (tmp_path / "here").exists()
    assert json.loads(run("vault", "list", "-f", "json").stdout) == []


@pytest.fixture
def locked(s3):
    bucket = f"locked-{secrets.token_hex(4)}"
    s3.make_bucket(bucket, locks=True)
    yield f"s3://{bucket}/v"
    s3.remove_bucket(bucket)


def test_a_vault_that_locks_is_made_checked_and_brought_back(run, locked, where, s3, tmp_path):
    given = [*options(tmp_path, s3), "--lock", "30"]
    refused = run("vault", "create", "v", where, *given)
    assert (refused.returncode, "keeps no versions, so nothing in it can be locked" in refused.stderr) == (1, True)
    for words, sentence in (
        ((str(tmp_path / "here"), "--lock", "3"), "can't be locked"),
        ((locked, *given[:-1], "0"), "lock: it has to be 1 at least"),
    ):
        done = run("vault", "create", "v", *words)
        assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    assert s3.stored(where) == s3.kept(locked) == {}
    assert not (tmp_path / "here").exists()

    made = run("vault", "create", "safe", locked, *given)
    assert made.returncode == 0, made.stderr
    whole = {name: one.value for name, one in s3.stored(locked).items() if is_needed(name)}
    checked = run("vault", "check", "safe", "-f", "json")
    assert checked.returncode == 0, checked.stderr
    told = json.loads(checked.stdout)
    assert (told["lock_days"], told["locked_short"]) == (30, 0)
    s3.days_pass(locked, 40 * 86400)
    done = run("vault", "check", "safe")
    assert (done.returncode, "object(s) aren't locked" in done.stderr) == (1, True), done.stderr
    assert prune(Vault.open(s3.store(locked), "prune", PHRASE)).renewed == len(whole)
    assert run("vault", "check", "safe").returncode == 0

    store = s3.store(locked)
    for name in whole:
        store.delete(name)
    done = run("vault", "check", "safe")
    assert (done.returncode, "longshore vault recover" in done.stderr) == (1, True), done.stderr
    back = run("vault", "recover", "safe", "-f", "json")
    assert back.returncode == 0, back.stderr
    assert set(json.loads(back.stdout)["others"].split("\n")) == set(whole)
    back_there = {name: one.value for name, one in s3.stored(locked).items() if is_needed(name)}
    assert back_there == whole
    assert run("vault", "check", "safe").returncode == 0


def test_a_check_notices_a_server_that_heeds_conditions_no_more(run, where, s3, tmp_path, monkeypatch):
    assert run("vault", "create", "away", where, *options(tmp_path, s3)).returncode == 0
    assert run("vault", "check", "away").returncode == 0
    real = s3._app
    monkeypatch.setattr(
        s3, "_app", lambda environ, begin: real({n: v for n, v in environ.items() if n != "HTTP_IF_NONE_MATCH"}, begin)
    )
    done = run("vault", "check", "away")
    assert (done.returncode, "two writers could spoil the vault" in done.stderr) == (1, True), done.stderr


def test_the_authority_of_a_servers_certificate_is_named_by_a_file(run, where, s3, tmp_path):
    context, certificate = own_certificate(tmp_path)
    served = S3Server(context)
    try:
        given = options(tmp_path, served)
        refused = run("vault", "create", "away", where, *given)
        assert (refused.returncode, "--ca-file" in refused.stderr) == (1, True), refused.stderr
        made = run("vault", "create", "away", where, *given, "--ca-file", certificate)
        assert made.returncode == 0, made.stderr
        assert run("vault", "check", "away").returncode == 0
        added = run("provider", "add", "vault", "same", "--url", where, *given, "--ca-file", certificate)
        assert added.returncode == 0, added.stderr
    finally:
        served.close()


def test_what_a_copy_and_a_verification_have_done_is_told(tmp_path):
    def run(*words):
        done = longshore(tmp_path / "state", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "images").mkdir()
    (tmp_path / "images/web.img").write_bytes(b"something to be kept".ljust(1 << 20, b"."))
    run("provider", "add", "files", "images", "--url", f"file://{tmp_path}/images")
    for name in ("one", "two"):
        run("vault", "create", name, tmp_path / name)
    run("backup", "create", "web", "--source", "images", "--vault", "one", "--wait", "--plain")
    assert "1 point(s) copied, " in run("vault", "copy", "one", "two", "--wait", "--plain")
    assert "of 1 point(s) read and compared" in run("vault", "verify", "two", "--wait", "--plain")
