"""What opens an encrypted vault: pass phrases and recovery keys, added and removed."""

import json
import re
import subprocess
import sys

import pytest

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault.directory import Directory
from longshore.vault.errors import WrongKey
from longshore.vault.keys import add_key, keys_of, new_recovery_key, remove_key
from longshore.vault.points import point_names
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
    script = tmp_path / "vault" / "restore.py"
    words = (point, "2000", tmp_path / "disk", "--pass-phrase-file", tmp_path / "key")
    done = subprocess.run([sys.executable, "-I", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "disk").read_bytes().startswith(b"bootboot")
