"""Limits: kept by one copy, kept by many together, changed while they run, and freed by the killed."""

import json
import subprocess
import sys
import time

import pytest

from longshore.blocks.limits import Group
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


def test_requests_in_flight_are_shared_and_a_killed_copys_are_freed(group):
    limits = group(requests=3)
    program = f"""
from pathlib import Path
from longshore.blocks.limits import Group
group = Group(Path({str(limits)!r}))
for _ in range(2):
    assert group.pause() == 0
    group.begin()
print("holding two", flush=True)
import time
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "holding two\n"
        ours = Group(limits)
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
        Group(path)
    with pytest.raises(InvalidInput, match="can't be read"):
        Group(tmp_path / "missing")
