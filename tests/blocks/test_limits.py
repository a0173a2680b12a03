"""Limits: kept by one copy, kept by many together, changed while they run, and freed by the killed."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from longshore.blocks import limits as copy_limits
from longshore.blocks.limits import CopyLimits, SharedLimits
from longshore.errors import InvalidInput

from .conftest import KIB, MIB, command, copy

SIZE = 4 * MIB


@pytest.fixture
def group(tmp_path):
    path = tmp_path / "vcenter.json"

    def limit(**limits):
        beside = tmp_path / "new"
        beside.write_text(json.dumps(limits))
        beside.rename(path)
        return path

    return limit


def test_a_copy_is_no_faster_than_its_limit(image, exports):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    result = copy(exports(source), exports(target), rate_limit=4 * MIB)
    assert result.seconds > 0.8
    assert target.read() == source.read()


def test_two_copies_together_are_no_faster_than_their_group(image, exports, group):
    limits = group(bytes_per_second=4 * MIB)
    copies = [
        command(exports(image(SIZE, [(0, SIZE)])), exports(image(SIZE)), f"--limit-group={limits}", "--block-size=64K")
        for _ in range(2)
    ]
    start = time.monotonic()
    running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for arguments in copies]
    results = [json.loads(process.communicate(timeout=30)[0].splitlines()[-1]) for process in running]
    assert [result["event"] for result in results] == ["result", "result"]
    assert time.monotonic() - start > 2 * SIZE / (4 * MIB) * 0.9


def test_a_groups_limit_changes_while_its_copies_run(image, exports, group):
    limits = group(bytes_per_second=64 * KIB)
    arguments = command(
        exports(image(SIZE, [(0, SIZE)])), exports(image(SIZE)), f"--limit-group={limits}", "--block-size=64K"
    )
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as running:
        time.sleep(1.0)
        assert running.poll() is None
        group(bytes_per_second=1 << 30)
        lines = running.communicate(timeout=20)[0].splitlines()
    # At the first rate it would have taken a minute
    assert json.loads(lines[-1])["seconds"] < 20


@pytest.fixture
def passing(monkeypatch):
    """A clock that stands still but for what is called."""
    now = [1000.0]
    monkeypatch.setattr(copy_limits, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0]))
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_what_was_read_before_there_was_a_limit_is_not_owed_when_one_is_set(group, passing):
    ours = CopyLimits(None, (group(),))
    for _ in range(1000):
        assert ours.pause() == 0
        ours.begin()
        ours.spend(MIB)
        ours.end()
    group(bytes_per_second=MIB)
    passing(1)
    read = 0
    for _ in range(100):
        pause = ours.pause()
        assert pause < 0.2, "a megabyte a second, and what went before is past"
        if not pause:
            ours.begin()
            ours.spend(64 * KIB)
            ours.end()
            read += 64 * KIB
        passing(0.05)
    assert 4 * MIB < read < 6 * MIB
    group()
    passing(1)
    assert ours.pause() == 0


def test_of_several_groups_the_tightest_counts_whichever_that_is_now(tmp_path, passing):
    paths = tuple(tmp_path / name for name in ("source.json", "host.json", "project.json"))

    def write(path, text):
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    for path in paths:
        write(path, "{}")
    ours = CopyLimits(None, paths)
    assert not list(tmp_path.glob("*.state")), "nothing is shared while there is no limit"
    for tight in paths:
        for path in paths:
            write(path, json.dumps({"bytes_per_second": MIB if path == tight else 100 * MIB}))
        passing(10)
        read = 0
        while not (pause := ours.pause()):
            ours.spend(MIB)
            read += 1
            assert read < 6, "what was drawn at the earlier rate, and a portion that is overdrawn"
        assert pause > 0.5


def test_requests_in_flight_are_shared_and_a_killed_copys_are_freed(group):
    limits = group(requests=3)
    program = f"""
from pathlib import Path
from longshore.blocks import limits as copy_limits
from longshore.blocks.limits import CopyLimits, SharedLimits
group = SharedLimits(Path({str(limits)!r}))
for _ in range(2):
    assert group.pause() == 0
    group.begin()
print("holding two", flush=True)
import time
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "holding two\n"
        ours = SharedLimits(limits)
        assert ours.pause() == 0
        ours.begin()
        assert ours.pause() > 0
        other.kill()
        other.wait()
    for _ in range(2):
        assert ours.pause() == 0
        ours.begin()
    assert ours.pause() > 0
    ours.end()
    assert ours.pause() == 0


def test_a_copy_with_few_requests_in_flight_still_ends(image, exports, group):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    copy(exports(source), exports(target), limit_groups=(group(requests=1),))
    assert target.read() == source.read()


@pytest.mark.parametrize("content", ["", "[]", '{"bytes_per_second": "fast"}', '{"requests": 0}'])
def test_a_file_that_holds_no_limits_is_refused(tmp_path, content):
    path = tmp_path / "limits"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="doesn't hold limits"):
        SharedLimits(path)
    with pytest.raises(InvalidInput, match="can't be read"):
        SharedLimits(tmp_path / "missing")
