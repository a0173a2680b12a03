"""What opens an encrypted vault: pass phrases and recovery keys, added and removed."""

import json
import re
import subprocess
import sys

import pytest

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault import sealing
from longshore.vault.directory import Directory
from longshore.vault.errors import WrongKey
from longshore.vault.keys import add_key, keys_of, new_recovery_key, remove_key
from longshore.vault.points import point_names
from longshore.vault.sealing import InBarbican
from longshore.vault.vault import Vault
from point_in_vault import with_point

FIRST, SECOND = "the first pass phrase", "the second pass phrase"


@pytest.fixture
def vault(tmp_path):
    vault = Vault.create(Directory(tmp_path / "vault"), FIRST)
    with_point(vault, tmp_path)
    return vault


def opened(vault, phrase):
    return Vault.open(vault.store, "write", phrase)


def test_each_opens_the_same_vault_until_it_is_removed(vault):
    recovery = new_recovery_key()
    add_key(vault, recovery, "recovery")
    add_key(vault, SECOND, "2027")
    for phrase in (FIRST, SECOND, recovery):
        again = opened(vault, phrase)
        assert (again.key, point_names(again)) == (vault.key, point_names(vault))
    again = opened(vault, SECOND)
    assert {key.name: key.opens for key in keys_of(again)} == {"": False, "recovery": False, "2027": True}
    (first,) = [key for key in keys_of(again) if not key.name]
    remove_key(again, first.id)
    remove_key(again, "recovery")
    for phrase in (FIRST, recovery):
        with pytest.raises(WrongKey):
            opened(vault, phrase)
    assert [key.name for key in keys_of(opened(vault, SECOND))] == ["2027"]


@pytest.fixture
def elsewhere(monkeypatch):
    """As in another process, in which a pass phrase is stretched by nobody."""

    def refuse(**_how):
        raise AssertionError("a pass phrase is stretched once more")

    monkeypatch.setattr(sealing, "_found", type(sealing._found)())
    monkeypatch.setattr(sealing, "Scrypt", refuse)


def test_what_a_pass_phrase_gives_opens_the_vault_elsewhere_as_long_as_the_key_is_there(vault, request):
    add_key(vault, SECOND, "2027")
    stretched = opened(vault, FIRST).stretched(FIRST)
    assert FIRST not in stretched
    by_second = opened(vault, SECOND)
    request.getfixturevalue("elsewhere")
    sealing.remember(FIRST, stretched)
    assert opened(vault, FIRST).key == vault.key
    (first,) = [key for key in keys_of(by_second) if not key.name]
    remove_key(by_second, first.id)
    with pytest.raises(AssertionError, match="once more"):  # there is the other key to be tried
        opened(vault, FIRST)


def test_a_damaged_key_doesnt_stand_before_a_good_one(vault):
    (good,) = keys_of(vault)
    add_key(vault, SECOND, "2027")
    (other,) = [key for key in keys_of(vault) if key.id != good.id]
    path = vault.store.root / f"keys/{other.id}.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in told.items() if name != "salt"}))
    assert opened(vault, FIRST).key == vault.key


def test_a_pass_phrase_is_the_same_on_every_keyboard(tmp_path):
    """macOS may write é as two characters where others write one."""
    composed, apart = "caf\u00e9 au lait", "cafe\u0301 au lait"
    vault = Vault.create(Directory(tmp_path / "vault"), composed)
    point = with_point(vault, tmp_path)
    assert opened(vault, apart).key == vault.key
    (tmp_path / "phrase").write_text(apart, encoding="utf-8")
    assert restored(tmp_path, point, "--pass-phrase-file", tmp_path / "phrase").returncode == 0


@pytest.mark.parametrize("said", ["", "[]", "{", '{"salt": 1, "scrypt": {}, "key": ""}', '{"salt": "AA"}', "null"])
def test_of_nonsense_nothing_is_remembered(vault, said):
    sealing.remember(FIRST, said)
    assert opened(vault, FIRST).key == vault.key


def test_what_one_pass_phrase_gives_opens_nothing_for_another(vault):
    sealing.remember("a wrong one", opened(vault, FIRST).stretched(FIRST))
    with pytest.raises(WrongKey):
        opened(vault, "a wrong one")


def test_a_process_that_opens_it_again_and_again_pays_for_that_once(vault, monkeypatch):
    """What makes a pass phrase hard to guess takes a fifth of a second, and each step of a backup opens the vault."""
    dear, made = sealing.Scrypt, []
    monkeypatch.setattr(sealing, "Scrypt", lambda **how: made.append(how) or dear(**how))
    monkeypatch.setattr(sealing, "_found", type(sealing._found)())
    for _ in range(3):
        assert opened(vault, FIRST).key == vault.key
    assert len(made) == 1
    with pytest.raises(WrongKey):
        opened(vault, FIRST + " ")
    add_key(vault, SECOND, "second")
    remove_key(opened(vault, SECOND), next(key.id for key in keys_of(vault) if not key.name))
    with pytest.raises(WrongKey):  # whatever is remembered of it
        opened(vault, FIRST)


def test_what_opens_it_here_is_not_removed_and_so_the_last_one_never_is(vault):
    (only,) = keys_of(opened(vault, FIRST))
    with pytest.raises(Conflict, match="opened here"):
        remove_key(opened(vault, FIRST), only.id)
    add_key(vault, SECOND, "second")
    with pytest.raises(Conflict):
        remove_key(opened(vault, FIRST), only.id)
    with pytest.raises(NotFound, match="vault key list"):
        remove_key(vault, "nobody")
    opened(vault, FIRST)


def test_wrong_ones_are_refused_and_make_none(vault, tmp_path):
    add_key(vault, SECOND, "second")
    with pytest.raises(Conflict):
        add_key(vault, "another", "second")
    for phrase in ("", "two\nlines"):
        with pytest.raises(InvalidInput):
            add_key(vault, phrase, "third")
    assert len(keys_of(vault)) == 2
    clear = Vault.create(Directory(tmp_path / "clear"))
    for what in (lambda: keys_of(clear), lambda: add_key(clear, SECOND, "x"), lambda: remove_key(clear, "x")):
        with pytest.raises(InvalidInput, match="isn't encrypted"):
            what()


def test_a_key_says_nothing_of_what_it_wraps(vault):
    recovery = new_recovery_key()
    add_key(vault, recovery, "recovery")
    assert re.fullmatch(r"([A-Z2-7]{4}-){7}[A-Z2-7]{4}", recovery)
    assert new_recovery_key() != recovery
    for name in vault.store.names("keys"):
        said = vault.store.read(name)
        assert recovery.encode() not in said
        assert bytes.fromhex(vault.key) not in said
        assert json.loads(said)["kind"] == "passphrase", "whoever knows the format knows this one"


def test_a_stranger_restores_with_the_recovery_key(vault, tmp_path):
    recovery = new_recovery_key()
    add_key(vault, recovery, "recovery")
    (tmp_path / "key").write_text(recovery + "\n")
    (point,) = point_names(vault)
    done = restored(tmp_path, point, "--pass-phrase-file", tmp_path / "key")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "disk").read_bytes().startswith(b"bootboot")


def restored(tmp_path, point, *words, typed=""):
    """By the script in the vault, as a stranger calls it."""
    script = [sys.executable, "-I", tmp_path / "vault" / "restore.py", point, "2000", tmp_path / "disk", *words]
    return subprocess.run(script, capture_output=True, text=True, check=False, input=typed, start_new_session=True)


def test_who_tries_pass_phrases_needs_64_mib_for_each():
    """In a process of its own: in those of the tests it is next to nothing (less_work.py)."""
    made = (
        "from longshore.vault.sealing import Wrapped; print(Wrapped.by_pass_phrase(bytes(32), 'v', 'p').told['scrypt'])"
    )
    done = subprocess.run([sys.executable, "-c", made], capture_output=True, text=True, check=True)
    assert done.stdout == "{'n': 65536, 'r': 8, 'p': 1}\n"


def test_a_stranger_is_told_which_secret_opens_it_and_restores_with_what_that_holds(tmp_path):
    phrase = new_recovery_key()
    kept = InBarbican("0f9a", "https://cloud.example.org:5000/v3", "north", "8d1c")
    vault = Vault.create(Directory(tmp_path / "vault"), phrase, kept=kept)
    point = with_point(vault, tmp_path)
    (tmp_path / "key").write_text(phrase + "\n")
    (tmp_path / "other").write_text("something else\n")
    for words, typed in ((["--secret-file", tmp_path / "other"], ""), ([], "")):
        done = restored(tmp_path, point, *words, typed=typed)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        for said in (kept.secret, kept.auth_url, kept.region, kept.project, "openstack secret get --payload 0f9a"):
            assert said in done.stderr
    for words, typed in ((["--secret-file", tmp_path / "key"], ""), ([], f"{phrase}\n")):
        done = restored(tmp_path, point, *words, typed=typed)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "disk").read_bytes().startswith(b"bootboot")
        (tmp_path / "disk").unlink()


def test_a_key_of_a_kind_that_is_not_known_is_left_alone(vault, tmp_path):
    """By readers of today, so that there may be others tomorrow."""
    vault.store.create("keys/0.json", json.dumps({"kind": "of tomorrow", "wrapped": "…"}).encode())
    assert opened(vault, FIRST).key == vault.key
    (point,) = point_names(vault)
    (tmp_path / "key").write_text(FIRST)
    assert restored(tmp_path, point, "--pass-phrase-file", tmp_path / "key").returncode == 0
