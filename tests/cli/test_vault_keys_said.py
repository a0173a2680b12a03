"""Keys of a vault by commands: none is said, but for a recovery key in a file that nobody else reads."""

import json
import stat

from in_process import longshore
from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.errors import WrongKey
from longshore.vault.vault import Vault

PHRASE = "the first pass phrase"


def opens(tmp_path, phrase):
    try:
        return bool(Vault.open(Directory(tmp_path / "vault"), "read", phrase))
    except WrongKey:
        return False


def test_a_pass_phrase_is_changed_and_a_recovery_key_kept_in_a_file_of_ones_own(tmp_path):
    state, new = tmp_path / "state", tmp_path / "new"
    new.write_text("the second pass phrase\n")
    store = Store(StateDirectory(state))
    Vault.create(Directory(tmp_path / "vault"), PHRASE)
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {"pass_phrase": PHRASE})
    store.close()

    def does(*words, fails=False):
        done = longshore(state, *words)
        assert bool(done.returncode) is fails, done.stderr
        assert "second pass phrase" not in done.stdout + done.stderr
        return done

    does("vault", "key", "add", "offsite", "2027", "--pass-phrase-file", str(new))
    does("provider", "set", "offsite", "--pass-phrase-file", str(new))
    said = does("vault", "key", "list", "offsite", "-f", "json").stdout
    assert '"2027"' in said
    file = tmp_path / "recovery"
    does("vault", "key", "add", "offsite", "recovery", "--recovery-file", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert opens(tmp_path, file.read_text().strip())
    again = does("vault", "key", "add", "offsite", "more", "--recovery-file", str(file), fails=True)
    assert "is there already" in again.stderr
    taken = does("vault", "key", "add", "offsite", "2027", "--recovery-file", str(tmp_path / "other"), fails=True)
    assert ("already" in taken.stderr, (tmp_path / "other").exists()) == (True, False)
    firsts = [
        key for key in json.loads(does("vault", "key", "list", "offsite", "-f", "json").stdout) if not key["Name"]
    ]
    does("vault", "key", "delete", "offsite", firsts[0]["ID"])
    assert not opens(tmp_path, PHRASE)
    does("vault", "check", "offsite")
