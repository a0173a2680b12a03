"""Copies that are killed: at any moment, and they go on; with any mixture of what else can happen, and all is equal."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

from longshore.blocks.checkpoint import Checkpoint, Identity
from longshore.blocks.exports import serve_nbdkit
from longshore.model.extents import Extent, merge, total

from .conftest import KIB, MIB, command, run_command

pytestmark = pytest.mark.long

SIZE = 24 * MIB
BLOCK = 64 * KIB
KILLS = 20
NAMES = ("--source-identity=s@1", "--target-identity=t")


def killed_after(seconds, arguments):
    """Run a copy and kill it after that time; says whether it was still running."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _, words = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
        assert process.returncode == 0, words
        return False


def records(path):
    """What the checkpoint says is on the target."""
    identity = Identity(source="s@1", target="t", size=SIZE, block_size=BLOCK, scope="all", base="")
    checkpoint = Checkpoint.open(path, identity)
    try:
        return list(checkpoint.records())
    finally:
        checkpoint.close()


def recorded(path):
    """How many bytes that is, each counted once."""
    return total(merge(record.extent for record in records(path)))


def assert_recorded_is_there(path, source, target):
    for record in records(path):
        offset, length = record.extent
        assert target.read(offset, length) == source.read(offset, length)


def test_a_copy_killed_at_random_moments_goes_on_and_repeats_only_what_was_not_recorded(image, exports, tmp_path):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    # Never the server that a killed client left: nbdkit 1.32 with several threads may not survive that
    served = exports(source, read_only=True, threads=1), exports(target, threads=1)
    checkpoint = tmp_path / "checkpoint"
    arguments = command(
        *served,
        *NAMES,
        f"--checkpoint={checkpoint}",
        f"--block-size={BLOCK}",
        "--checkpoint-every=0.02",
        "--rate-limit=3M",
        "--verify=none",
    )
    seconds = random.Random(8)
    kills = 0
    before = 0
    longest = 0.35
    while kills < KILLS:
        # Long enough for the interpreter to start in some of the runs, however busy the machine is
        if not killed_after(seconds.uniform(0.05, longest), arguments):
            break
        longest += 0.1 if before == 0 else 0.0
        kills += 1
        now = recorded(checkpoint)
        assert now >= before, "a checkpoint forgot something"
        before = now
        assert_recorded_is_there(checkpoint, source, target)
    assert kills == KILLS
    code, result = run_command(*served, *NAMES, f"--checkpoint={checkpoint}", f"--block-size={BLOCK}", "--verify=full")
    assert (code, result["event"]) == (0, "result")
    assert result["bytes_resumed"] == before
    assert result["bytes_read"] == SIZE - before
    assert before > 0
    assert target.read() == source.read()


def test_what_is_recorded_survives_when_the_target_crashes_too(image, exports, tmp_path):
    """The target keeps what it is given in memory until it is flushed, as a disk's cache does, and loses it."""
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    reading = exports(source, read_only=True, threads=1)
    checkpoint = tmp_path / "checkpoint"
    options = [*NAMES, f"--checkpoint={checkpoint}", f"--block-size={BLOCK}", "--verify=full"]
    for _ in range(4):
        with serve_nbdkit("file", {"file": str(target.path)}, filters=("cache",), read_only=False) as losing:
            slowly = [*options, "--checkpoint-every=0.02", "--rate-limit=10M"]
            with subprocess.Popen(command(reading, losing, *slowly), stdout=subprocess.DEVNULL) as running:
                before = checkpoint.read_bytes() if checkpoint.exists() else b""
                while not checkpoint.exists() or checkpoint.read_bytes() == before:
                    time.sleep(0.01)
                os.kill(losing.pid, signal.SIGKILL)
                running.kill()
        assert_recorded_is_there(checkpoint, source, target)
    code, result = run_command(reading, exports(target), *options)
    assert (code, result["event"]) == (0, "result")
    assert 0 < result["bytes_read"] < SIZE
    assert target.read() == source.read()


class Guest:
    """Writes to a disk and keeps a list of what it changed, as a hypervisor does."""

    def __init__(self, disk, numbers):
        self.disk = disk
        self.numbers = numbers
        self.changes = []

    def write(self):
        for _ in range(self.numbers.randint(1, 20)):
            length = self.numbers.choice([512, 4 * KIB, 64 * KIB, 300 * KIB, MIB])
            offset = self.numbers.randrange(0, (SIZE - length) // 512 + 1) * 512
            kind = self.numbers.random()
            self.disk.write(offset, bytes(length) if kind < 0.3 else self.numbers.randbytes(length))
            self.changes.append(Extent(offset, length))


def test_any_mixture_of_writes_deltas_kills_and_resumes_ends_equal(image, exports, tmp_path):
    numbers = random.Random(4)
    source, target = image(SIZE, [(0, 4 * MIB), (9 * MIB + 512, 5 * MIB)]), image(SIZE, [(MIB, 12 * MIB)], seed=2)
    guest = Guest(source, numbers)
    base = None
    for number in range(12):
        served = exports(source, read_only=True, threads=1), exports(target, threads=1)
        manifest = tmp_path / f"manifest-{number}"
        way = "whole" if base is None else numbers.choice(["delta", "delta", "compare", "whole", "bare delta"])
        arguments = [
            f"--source-identity=s@{number}",
            "--target-identity=t",
            f"--checkpoint={tmp_path / f'checkpoint-{number}'}",
            f"--block-size={BLOCK}",
            f"--merge-gap={numbers.choice(['0', '64K'])}",
            "--checkpoint-every=0.02",
        ]
        if way in ("delta", "bare delta"):
            changes = tmp_path / f"changes-{number}"
            changes.write_text(json.dumps(guest.changes))
            arguments.append(f"--changes={changes}")
        if way in ("delta", "compare"):
            arguments.append(f"--base-manifest={base}")
        if way != "bare delta":
            arguments += [f"--manifest={manifest}", "--verify=full"]
        guest.changes = []
        for _ in range(numbers.randint(0, 2)):
            killed_after(numbers.uniform(0.1, 0.3), command(*served, *arguments, "--rate-limit=30M"))
        code, result = run_command(*served, *arguments)
        assert (code, result["event"]) == (0, "result"), (way, result)
        assert target.read() == source.read(), way
        # After a bare delta nobody has a manifest of what the target holds now
        base = None if way == "bare delta" else manifest
        guest.write()
