"""The command, as someone new to it would get it wrong: one plain sentence, exit code 1 or 2, nothing written."""

import os
import subprocess
import sys

import pytest

from .conftest import MIB, run_command

SIZE = MIB
USAGE, FAILED, INVALID = 2, 1, 2


def spoken(*arguments):
    """Exit code and what is on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "longshore.blocks", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == "" or done.returncode == 0
    return done.returncode, done.stderr.strip()


@pytest.fixture
def ends(image, exports):
    """Served: a source, an empty target, and the target's image."""
    target = image(SIZE)
    return exports(image(SIZE, [(0, SIZE)])).uri, exports(target).uri, target


def test_it_says_what_it_did(ends):
    source, target, _ = ends
    done = subprocess.run(
        [sys.executable, "-m", "longshore.blocks", source, target], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Copied in ")
    assert "1.0 MiB written" in done.stdout
    assert done.stderr == ""


def test_json_lines_end_with_the_result(ends):
    source, target, _ = ends
    code, result = run_command(source, target, "--verify=full")
    assert code == 0
    assert result["event"] == "result"
    expected = {
        "bytes_read",
        "bytes_written",
        "bytes_zeroed",
        "bytes_skipped",
        "bytes_verified",
        "seconds",
        "root_digest",
    }
    assert expected <= result.keys()
    assert result["bytes_verified"] == SIZE


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"source": "/dev/sda"}, INVALID, "/dev/sda is not an NBD URI."),
        ({"source": "nbd://127.0.0.1:1"}, FAILED, "Can't connect to nbd://127.0.0.1:1: nbd_connect_uri: connect"),
        ({"source": "nbd+unix:///?socket=/nowhere"}, FAILED, "No such file or directory."),
        ({"more": ["--changes=/nowhere"]}, INVALID, "The list of changes /nowhere can't be read: No such file"),
        ({"more": ["--base-manifest=/nowhere"]}, FAILED, "The manifest /nowhere can't be read: No such file"),
        ({"more": ["--manifest=/nowhere/m"]}, INVALID, "There is no directory /nowhere for the manifest."),
        ({"more": ["--checkpoint=/nowhere/c"]}, FAILED, "There is no directory /nowhere for the checkpoint."),
        ({"more": ["--limit-group=/nowhere"]}, INVALID, "The limits in /nowhere can't be read: No such file"),
        ({"more": ["--block-size=1000"]}, INVALID, "The block size 1000 is not a power of two"),
        (
            {"more": ["--rate-limit=fast"]},
            USAGE,
            "'fast' isn't a rate: write bytes per second such as 800K, 50M or 1.5G",
        ),
        ({"more": ["--rate-limit=0"]}, USAGE, "'0' isn't a rate: write bytes per second"),
        ({"more": ["--connections=0"]}, USAGE, "'0' is not a number above 0"),
        ({"more": ["--verify=maybe"]}, USAGE, "invalid choice: 'maybe'"),
    ],
)
def test_mistakes_are_explained_in_a_sentence(ends, change, code, words):
    source, target, image = ends
    found, said = spoken(change.get("source", source), target, *change.get("more", []))
    assert found == code
    assert words in said
    assert image.allocated == 0
    assert len(said.splitlines()) == 1 or code == USAGE


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '[["1", 1]]', "[[0, -1]]"])
def test_a_list_of_changes_that_is_none(ends, tmp_path, content):
    source, target, image = ends
    changes = tmp_path / "changes"
    changes.write_text(content)
    code, said = spoken(source, target, f"--changes={changes}")
    assert code == INVALID
    assert said.startswith(f"The list of changes {changes}")
    assert image.allocated == 0


def test_the_same_disk_twice(ends):
    assert spoken(ends[0], ends[0]) == (INVALID, "Source and target are the same disk. Nothing was written.")


def test_a_target_that_is_smaller(ends, image, exports):
    small = image(SIZE - 512)
    code, said = spoken(ends[0], exports(small).uri)
    assert code == INVALID
    assert f"too small: it has {SIZE - 512} bytes, the source {SIZE}" in said
    assert small.allocated == 0


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b'{"format": "something else"}', pytest.param(os.urandom(100), id="random")]
)
def test_a_checkpoint_that_is_none(ends, tmp_path, content):
    source, target, image = ends
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_bytes(content)
    code, said = spoken(source, target, f"--checkpoint={checkpoint}")
    assert code == FAILED
    assert said.startswith(f"The checkpoint {checkpoint} was cut short or altered.")
    assert image.allocated == 0


def test_a_finished_copys_checkpoint_is_kept_only_if_it_names_its_moment(ends, tmp_path):
    source, target, _ = ends
    checkpoint = tmp_path / "checkpoint"
    assert run_command(source, target, f"--checkpoint={checkpoint}")[0] == 0
    assert not checkpoint.exists()
    named = [f"--checkpoint={checkpoint}", "--source-identity=disk@snapshot-1"]
    assert run_command(source, target, *named)[1]["bytes_read"] == SIZE
    assert run_command(source, target, *named)[1]["bytes_read"] == 0
    code, error = run_command(source, target, f"--checkpoint={checkpoint}", "--source-identity=disk@snapshot-2")
    assert (code, error["event"], error["code"]) == (FAILED, "error", "checkpoint-misfit")
