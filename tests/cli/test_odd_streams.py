"""Standard streams that are full, closed or of another encoding, and files that nobody means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from in_process import longshore

COMMAND = Path(sys.executable).with_name("longshore")
SNOWMAN = "wéb☃"
NO_ROOM = "longshore: The answer can't be written: No space left on device. Make room for it.\n"


@pytest.fixture
def state(tmp_path):
    """Return a state directory that has a provider of a machine whose name isn't in Latin-1, and a plan of it."""
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / f"{SNOWMAN}.raw").write_bytes(bytes(1 << 20))
    done = longshore(tmp_path / "state", "provider", "add", "files", "exports", "--url", tmp_path / "exports")
    assert done.returncode == 0, done.stderr
    return tmp_path / "state"


def in_shell(state, words, **environment):
    said = subprocess.run(
        ["bash", "-c", f"'{COMMAND}' {words}"],
        capture_output=True,
        check=False,
        env={**os.environ, "LONGSHORE_STATE": str(state), **environment},
    )
    return said.returncode, said.stdout, said.stderr.decode()


@pytest.mark.parametrize("words", ["", "provider list", "provider list -f json", "help migrate"])
def test_an_answer_that_finds_no_room_is_told_in_one_sentence(state, words):
    assert in_shell(state, f"{words} > /dev/full") == (1, b"", NO_ROOM)


def test_what_was_wrong_is_told_alone_when_nothing_finds_room_besides(state):
    said = "longshore: There is no provider named nix. See: longshore provider list.\n"
    assert in_shell(state, "provider show nix > /dev/full") == (1, b"", said)


@pytest.mark.parametrize("words", ["", "provider list"])
def test_nobody_has_to_listen(state, words):
    assert in_shell(state, f"{words} >&- 2>&-") == (0, b"", "")


def test_letters_that_a_screen_lacks_are_written_as_numbers(state):
    code, out, said = in_shell(state, "machine list exports", PYTHONIOENCODING="latin-1")
    assert (code, said) == (0, "")
    assert "wéb\\u2603" in out.decode("latin-1")


def test_files_are_utf_8_whatever_the_screen_is(state, tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"name: p\nsource: exports\ntarget: exports\nmachines: [{{machine: {SNOWMAN}}}]\n", "utf-8")
    latin = {"PYTHONIOENCODING": "latin-1"}
    assert in_shell(state, f"plan apply - < '{plan}'", **latin)[0] == 0
    code, out, _ = in_shell(state, "plan export p", **latin)
    assert code == 0
    assert SNOWMAN in out.decode()


def test_a_name_of_another_encoding_is_told(state):
    done = longshore(state, "plan", "show", "b\udcfcro")
    said = 'longshore: "b\\udcfcro" isn\'t UTF-8. Set the terminal to UTF-8, and type it again.\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize("words", [("plan", "apply"), ("replica", "apply")])
def test_a_file_that_is_no_plan_but_a_disk_isnt_read_whole(state, words, tmp_path):
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(1 << 40)
    done = longshore(state, *words, disk)
    said = f"longshore: {disk} can't be read: more than 16 MiB. Name another file.\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("words", ["plan apply -", "replica apply -", "api"])
def test_closed_standard_input_is_told(state, words):
    assert in_shell(state, f"{words} <&-")[2] == "longshore: Standard input can't be read: it is closed.\n"


def test_nobody_is_asked_where_standard_input_is_closed(state):
    """A cron job's may be closed: it is as if there were no terminal."""
    known = f"--fingerprint {'ab' * 32}"
    said = in_shell(state, f"provider add vsphere vc --host vc.invalid --username x {known} <&-")
    assert (said[0], "No password was given." in said[2]) == (1, True), said
    said = in_shell(state, "replica delete nobody <&-")
    assert said[2] == "longshore: There is no replica nobody. See: longshore replica list.\n"


@pytest.mark.parametrize("words", [("plan", "apply"), ("tenant", "validate"), ("converter", "unpack")])
def test_a_file_that_the_system_refuses_is_told_with_why(state, words):
    """It says no in the same way in somebody else's directory, or below a stale mount; but tests may run as root."""
    done = longshore(state, *words, "x" * 300)
    said = f"longshore: {'x' * 200} can't be used: File name too long.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
