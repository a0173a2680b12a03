"""The copy in a process of its own, as the flows run it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from longshore.blocks import CopyRequest, run_copy
from longshore.errors import CopyError, ExportError, InvalidInput
from longshore.model.extents import Extent
from longshore.model.verify import Verify

from .conftest import KIB, MIB
from .test_exports import is_running, wait_until_gone

SIZE = 8 * MIB


def asked(source, target, **options):
    return CopyRequest(source_uri=source.uri, target_uri=target.uri, **options)


def children_of(pid):
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


def test_everything_asked_for_arrives(image, exports, tmp_path):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    request = asked(
        exports(source),
        exports(target),
        disk="a disk, with a comma",
        source_identity="--odd=name @1",
        changes=(Extent(512, 100 * KIB), Extent(MIB, MIB)),
        verify=Verify.WRITTEN,
        block_size=64 * KIB,
        merge_gap=0,
        connections=2,
        maximum_read=32 * KIB,
        checkpoint=tmp_path / "checkpoint",
        rate_limit=100 * MIB,
    )
    seen = []
    result = asyncio.run(run_copy(request, seen.append))
    assert result.bytes_read == MIB + 100 * KIB
    assert result.verify is Verify.WRITTEN
    assert seen[-1].verified == seen[-1].to_verify == MIB + 100 * KIB
    assert target.read(MIB, MIB) == source.read(MIB, MIB)
    assert target.read(2 * MIB) == bytes(SIZE - 2 * MIB)


def test_errors_come_back_as_what_they_were(image, exports):
    source = exports(image(SIZE))
    with pytest.raises(InvalidInput, match="same disk") as caught:
        asyncio.run(run_copy(asked(source, source), lambda _: None))
    assert caught.value.advice == "Nothing was written."
    with pytest.raises(InvalidInput, match="too small") as caught:
        asyncio.run(run_copy(asked(source, exports(image(MIB))), lambda _: None))
    assert caught.value.code == "target-too-small"


def test_cancelling_ends_the_process_within_a_second(image, exports, tmp_path):
    slow = exports(image(SIZE, [(0, SIZE)]), filters=("delay",), rdelay="200ms", threads=1)
    request = asked(slow, exports(image(SIZE)), checkpoint=tmp_path / "checkpoint", block_size=64 * KIB)

    async def cancel():
        known = children_of(os.getpid())
        begun = asyncio.Event()
        task = asyncio.create_task(run_copy(request, lambda progress: begun.set() if progress.done else None))
        await asyncio.wait_for(begun.wait(), 60)
        (child,) = children_of(os.getpid()) - known
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - start < 5  # a second, and what a busy machine adds
        assert not is_running(child)

    asyncio.run(cancel())


def test_a_crash_is_an_error_with_a_plain_sentence(image, exports):
    slow = exports(image(SIZE, [(0, SIZE)]), filters=("delay",), rdelay="200ms", threads=1)
    request = asked(slow, exports(image(SIZE)), disk="web01, disk 1", maximum_read=64 * KIB)

    async def crash():
        known = children_of(os.getpid())
        begun = asyncio.Event()
        task = asyncio.create_task(run_copy(request, lambda _: begun.set()))
        await asyncio.wait_for(begun.wait(), 60)
        (child,) = children_of(os.getpid()) - known
        os.kill(child, signal.SIGSEGV)
        with pytest.raises(CopyError, match="that copied web01, disk 1 ended unexpectedly") as caught:
            await task
        assert caught.value.code == "copy-crashed"

    asyncio.run(crash())


def test_a_server_that_dies_ends_the_copy_at_once_with_its_last_words(image, exports):
    slow = exports(image(SIZE, [(0, SIZE)]), filters=("delay",), rdelay="200ms", threads=1)
    target = exports(image(SIZE))

    async def die():
        begun = asyncio.Event()
        running = run_copy(
            asked(slow, target, retry_for=60.0, maximum_read=64 * KIB), lambda _: begun.set(), exports=(slow, target)
        )
        task = asyncio.create_task(running)
        await asyncio.wait_for(begun.wait(), 60)
        os.kill(target.pid, signal.SIGKILL)
        with pytest.raises(ExportError, match="ended by itself"):
            await asyncio.wait_for(task, 30)

    asyncio.run(die())


def test_the_copy_dies_with_the_process_that_asked_for_it(image, exports):
    slow = exports(image(SIZE, [(0, SIZE)]), filters=("delay",), rdelay="200ms", threads=1)
    target = exports(image(SIZE))
    program = f"""
import asyncio
from longshore.blocks import CopyRequest, run_copy
request = CopyRequest(source_uri={slow.uri!r}, target_uri={target.uri!r}, maximum_read={64 * KIB})
asyncio.run(run_copy(request, lambda _: print("begun", flush=True)))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        (child,) = children_of(process.pid)
        process.kill()
        process.wait()
        wait_until_gone(child)
