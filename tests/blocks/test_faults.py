"""Servers that fail, lie, die and fill up."""

import os
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from longshore.blocks.copy import Copy
from longshore.blocks.copy_threads import CopyThreads
from longshore.blocks.exports import serve_nbdkit
from longshore.blocks.request import CopyRequest
from longshore.errors import Cancelled, CopyError, VerificationError
from longshore.model.extents import Extent
from longshore.model.verify import Verify

from .conftest import KIB, MIB, Image, copy

SIZE = 4 * MIB
BLOCK = 64 * KIB
SMALL = 6 * BLOCK  # where each request is a process of its own


@pytest.fixture
def lying(tmp_path):
    """A target that answers "written" to writes at one offset and drops them: the first `times` of them."""
    with ExitStack() as stack:

        def serve(image, offset, times):
            count = tmp_path / "dropped"
            count.write_text("")
            disk = f'"{image.path}"'
            dd = "dd bs=1M status=none iflag=fullblock"
            write = (
                f"if [ $4 -le {offset} ] && [ $(($4 + $3)) -gt {offset} ] && "
                f'[ $(wc -c < "{count}") -lt {times} ]; then printf x >> "{count}"; cat > /dev/null; '
                f"else {dd} of={disk} conv=notrunc oflag=seek_bytes seek=$4; fi"
            )
            parameters = {
                "get_size": f"stat -c %s {disk}",
                "pread": f"{dd},skip_bytes,count_bytes if={disk} skip=$4 count=$3",
                "pwrite": write,
                "can_write": "exit 0",
                "can_flush": "exit 0",
                "flush": f"sync -d {disk}",
            }
            return stack.enter_context(serve_nbdkit("eval", parameters, read_only=False))

        yield serve


@pytest.mark.parametrize("verify", [Verify.WRITTEN, Verify.FULL])
def test_a_write_that_was_dropped_is_found_and_mended(image, exports, lying, verify):
    source, target = image(SIZE, [(0, MIB)]), image(SIZE)
    result = copy(exports(source), lying(target, 3 * BLOCK, times=1), verify=verify)
    assert result.repaired == (Extent(3 * BLOCK, BLOCK),)
    assert target.read() == source.read()


def test_a_write_that_is_dropped_again_fails_the_copy_and_names_the_range(image, exports, lying):
    source, target = image(SIZE, [(0, MIB)]), image(SIZE)
    with pytest.raises(VerificationError, match=f"bytes {3 * BLOCK}-{4 * BLOCK - 1}") as caught:
        copy(exports(source), lying(target, 3 * BLOCK, times=9), verify=Verify.WRITTEN)
    assert str(5 * BLOCK) not in str(caught.value)


def test_a_dropped_piece_of_a_delta_is_found(image, exports, lying):
    source, target = image(SIZE, [(0, MIB)]), image(SIZE, [(0, MIB)])
    source.write(100 * KIB, b"changed")
    served = lying(target, 100 * KIB, times=1)
    result = copy(exports(source), served, changes=(Extent(100 * KIB, 512),), verify=Verify.WRITTEN)
    assert result.repaired == (Extent(100 * KIB, 512),)
    assert target.read() == source.read()


def test_without_verification_nothing_is_said_to_be_verified(image, exports, lying):
    source, target = image(SIZE, [(0, MIB)]), image(SIZE)
    result = copy(exports(source), lying(target, 3 * BLOCK, times=1), verify=Verify.NONE)
    assert result.bytes_verified == 0
    assert target.read() != source.read()


@pytest.mark.parametrize("operation", ["pread", "pwrite", "zero"])
def test_errors_that_pass_are_ridden_out(image, exports, tmp_path, operation):
    source, target = image(SIZE, [(0, MIB)]), image(SIZE, [(0, SIZE)], seed=7)
    trigger = tmp_path / "fail"
    trigger.touch()
    failing = {f"error-{operation}-rate": "50%", f"error-{operation}-file": trigger, "error": "EIO"}
    source_options = failing if operation == "pread" else {}
    target_options = {} if operation == "pread" else failing
    source_served = exports(source, filters=("error",) if source_options else (), **source_options)
    target_served = exports(target, filters=("error",) if target_options else (), **target_options)
    healing = threading.Timer(0.5, trigger.unlink)
    healing.start()
    copy(source_served, target_served, verify=Verify.WRITTEN)
    healing.join()
    assert target.read() == source.read()


def test_a_lasting_read_error_names_disk_offset_and_length(image, exports, monkeypatch):
    monkeypatch.setattr("longshore.blocks.connections.FIRST_PAUSE", 0.01)
    failing = {"error-pread-rate": "100%", "error": "EIO"}
    source = exports(image(SIZE, [(BLOCK, BLOCK)]), filters=("error",), **failing)
    with pytest.raises(CopyError, match=f"read {BLOCK} bytes at offset {BLOCK} of web01, disk 1: Input/output error"):
        copy(source, exports(image(SIZE)), disk="web01, disk 1")


def test_a_full_target_says_so_and_after_enlarging_the_copy_goes_on(image, exports, tmp_path):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    options = {"checkpoint": tmp_path / "checkpoint", "source_identity": "s@1", "target_identity": "t"}
    full = tmp_path / "full"
    full.touch()
    # As a thin pool does: writes succeed for a while, then there is no room
    served = exports(
        target,
        filters=("delay", "error"),
        **{"error-pwrite-file": full, "error-pwrite-rate": "20%", "error": "ENOSPC", "wdelay": "10ms"},
    )
    with pytest.raises(CopyError, match="target is full") as caught:
        copy(exports(source), served, checkpoint_interval=0.0, **options)
    assert caught.value.code == "target-full"
    # A fresh server, as flows do: nbdkit 1.32 may abort when a client leaves with requests under way
    result = copy(exports(source), exports(target), verify=Verify.FULL, **options)
    assert target.read() == source.read()
    assert result.bytes_resumed + result.bytes_read == SIZE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_target_on_a_full_file_system_that_is_enlarged(image, exports, tmp_path):
    source = image(SIZE, [(0, SIZE)])
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE // 2}", "none", place], check=True)
    try:
        target = Image(place / "disk")
        target.path.touch()
        os.truncate(target.path, SIZE)
        options = {"checkpoint": tmp_path / "checkpoint", "source_identity": "s@1", "target_identity": "t"}
        with ExitStack() as stack:
            parameters = {"file": str(target.path)}
            served = stack.enter_context(serve_nbdkit("file", parameters, read_only=False))
            with pytest.raises(CopyError, match="target is full") as caught:
                copy(exports(source), served, checkpoint_interval=0.01, **options)
            assert caught.value.code == "target-full"
            subprocess.run(["mount", "-o", f"remount,size={2 * SIZE}", place], check=True)
            result = copy(exports(source), served, verify=Verify.FULL, **options)
        assert target.read() == source.read()
        assert 0 < result.bytes_resumed <= SIZE // 2
        assert result.bytes_resumed + result.bytes_read == SIZE
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("dying", ["source", "target"])
def test_a_server_that_dies_and_does_not_come_back(image, exports, dying):
    target = image(SIZE)
    slow = exports(image(SIZE, [(0, SIZE)]), filters=("delay",), rdelay="50ms", threads=2)
    served = {"source": slow, "target": exports(target)}

    def kill():
        while not target.allocated:
            time.sleep(0.002)
        os.kill(served[dying].pid, 9)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(CopyError, match=f"The {dying} of disk is gone") as caught:
        copy(served["source"], served["target"], retry_for=0.5, connections=1)
    killer.join()
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize(
    ("dying", "target_delay"),
    [("source", "20ms"), ("source", "0"), ("target", "20ms"), ("target", "0")],
    ids=["source of a far one", "source of a near one", "far", "near"],
)
def test_a_server_that_dies_and_comes_back_costs_nothing_but_time(image, dying, target_delay):
    """Behind the same socket, as a service that is restarted. The target loses what wasn't flushed, as a cache does.

    To a near target what comes from far away is written by copy threads, which have asked for it.
    """
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    images = {"source": source, "target": target}
    filters = {"source": ("delay",), "target": ("delay", "cache")}
    deaths = []
    with ExitStack() as stack:

        def start(role, delay):
            parameters = {"file": str(images[role].path), "rdelay": delay, "wdelay": delay}
            return stack.enter_context(
                serve_nbdkit("file", parameters, filters=filters[role], read_only=role == "source", threads=2)
            )

        served = {"source": start("source", "20ms"), "target": start("target", target_delay)}

        def restart():
            while target.allocated < SIZE / 4:
                time.sleep(0.002)
            place = Path(served[dying].uri.split("socket=")[1])
            os.kill(served[dying].pid, 9)
            deaths.append(target.allocated)
            place.unlink()
            place.symlink_to(start(dying, "0").uri.split("socket=")[1])

        restarting = threading.Thread(target=restart)
        restarting.start()
        options = {"retry_for": 10.0, "verify": Verify.NONE, "connections": 2, "checkpoint_interval": 0.05}
        result = copy(served["source"], served["target"], **options)
        restarting.join()
    assert deaths[0] < SIZE
    assert target.read() == source.read()
    if dying == "target":
        assert result.bytes_written > SIZE


def test_a_source_that_changes_its_size_is_noticed(image, tmp_path):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    with ExitStack() as stack:
        first = stack.enter_context(
            serve_nbdkit("file", {"file": str(source.path), "rdelay": "50ms"}, filters=("delay",), threads=2)
        )
        served = stack.enter_context(serve_nbdkit("file", {"file": str(target.path)}, read_only=False))

        def grow():
            while not target.allocated:
                time.sleep(0.002)
            os.kill(first.pid, 9)
            place = first.uri.split("socket=")[1]
            os.truncate(source.path, SIZE + MIB)
            again = stack.enter_context(serve_nbdkit("file", {"file": str(source.path)}))
            os.unlink(place)
            os.symlink(again.uri.split("socket=")[1], place)

        growing = threading.Thread(target=grow)
        growing.start()
        with pytest.raises(CopyError, match=f"changed its size from {SIZE} to {SIZE + MIB} bytes"):
            copy(first, served, retry_for=10.0, connections=1)
        growing.join()


def test_cancel_ends_within_a_second_and_leaves_a_valid_checkpoint(image, exports, tmp_path):
    source, target = image(SIZE, [(0, SIZE)]), image(SIZE)
    slow = exports(source, filters=("delay",), rdelay="100ms", threads=2)
    served = exports(target)
    checkpoint = tmp_path / "checkpoint"
    named = {"checkpoint": checkpoint, "source_identity": "s@1", "target_identity": "t"}
    options = {**named, "block_size": BLOCK, "checkpoint_interval": 0.1}
    running = Copy(CopyRequest(source_uri=slow.uri, target_uri=served.uri, connections=1, **options), lambda _: None)
    cancelled_at = []

    def cancel():
        while not checkpoint.exists():
            time.sleep(0.01)
        cancelled_at.append(time.monotonic())
        running.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(Cancelled):
        running.run()
    assert time.monotonic() - cancelled_at[0] < 5
    again = exports(source), exports(target)  # not the servers that a client left with requests under way
    result = copy(*again, verify=Verify.FULL, **named)
    assert result.bytes_resumed > 0
    assert result.bytes_resumed + result.bytes_read == SIZE
    assert target.read() == source.read()


def test_cancel_also_ends_a_copy_that_nobody_has_answered_yet(image, exports):
    """A host that takes the connection and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        request = CopyRequest(
            source_uri=f"nbd://127.0.0.1:{silent.getsockname()[1]}", target_uri=exports(image(SIZE)).uri
        )
        running = Copy(request, lambda _: None)
        threading.Timer(0.3, running.cancel).start()
        start = time.monotonic()
        with pytest.raises(Cancelled):
            running.run()
        assert time.monotonic() - start < 5


@pytest.fixture
def forgetful(tmp_path):
    """A target that drops what wasn't durable when a flush fails, and says so once, as Linux does: the next succeeds.

    `fails`: which flushes do, as a test of the shell; `drops`: the first write at this offset is answered and lost.
    """
    with ExitStack() as stack:

        def serve(size, *, fails, drops=-1, multi_conn=True, error="EIO"):
            cache, durable, flushes = (tmp_path / name for name in ("cache", "durable", "flushes"))
            for path, content in ((cache, bytes(size)), (durable, bytes(size)), (flushes, b"")):
                path.write_bytes(content)
            parameters = {
                "get_size": f"echo {size}",
                "pread": f"touch {tmp_path}/read; dd if={cache} bs=1M iflag=skip_bytes,count_bytes,fullblock "
                f"skip=$4 count=$3 status=none",
                "pwrite": f"if [ $4 = {drops} ] && mkdir {tmp_path}/dropped; then cat > /dev/null; "
                f"else dd of={cache} bs=1M iflag=fullblock oflag=seek_bytes conv=notrunc seek=$4 status=none; fi",
                "can_write": "exit 0",
                "can_flush": "exit 0",
                "can_multi_conn": f"exit {0 if multi_conn else 3}",
                "flush": f"printf x >> {flushes}; if {fails}; then cp {durable} {cache}; echo {error} >&2; exit 1; "
                f"else cp {cache} {durable}; fi",
            }
            export = stack.enter_context(serve_nbdkit("eval", parameters, read_only=False))
            return export, Image(durable), flushes

        yield serve


@pytest.fixture(params=["carried", "one connection", "loop"])
def ways(request, monkeypatch):
    """Ways that blocks go to a target; answers whether it says that its connections see each other's writes."""
    monkeypatch.setattr("longshore.blocks.copy.CARRY_FROM", 4 if request.param == "carried" else 1 << 30)
    monkeypatch.setattr("longshore.blocks.window.FAR_FROM", 10.0)  # the target is slow: each request is a process
    monkeypatch.setattr("longshore.blocks.connections.FIRST_PAUSE", 0.01)
    carried, carry = [], CopyThreads._carry
    monkeypatch.setattr(CopyThreads, "_carry", lambda *given: carried.append(given) or carry(*given))
    yield request.param != "one connection"
    assert bool(carried) == (request.param == "carried")


def test_what_a_failed_flush_lost_is_written_again(image, exports, forgetful, tmp_path, ways):
    source = image(SMALL, [(0, SMALL)])
    target, durable, flushes = forgetful(SMALL, fails=f"[ $(wc -c < {tmp_path}/flushes) -le 2 ]", multi_conn=ways)
    copy(exports(source), target, verify=Verify.NONE, checkpoint=tmp_path / "checkpoint", source_identity="s@1")
    assert flushes.read_text().startswith("xxx")  # and one more where it takes longer than checkpoints are apart
    assert durable.read() == source.read()


def test_no_checkpoint_says_what_a_failed_flush_lost(image, exports, forgetful, tmp_path, monkeypatch):
    monkeypatch.setattr("longshore.blocks.connections.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("longshore.blocks.connections.MAXIMUM_ATTEMPTS", 2)
    source = image(SMALL, [(0, SMALL)])
    target, durable, _ = forgetful(SMALL, fails=f"[ ! -e {tmp_path}/healed ]")
    options = {"verify": Verify.NONE, "checkpoint": tmp_path / "checkpoint", "source_identity": "s@1", "disk": "web01"}
    with pytest.raises(CopyError, match=r"failed 2 times to flush what was written to web01: Input/output error"):
        copy(exports(source), target, **options)
    (tmp_path / "healed").touch()
    result = copy(exports(source), target, **options)
    assert result.bytes_resumed == 0
    assert durable.read() == source.read()


def test_what_is_repaired_is_flushed_too(image, exports, forgetful, tmp_path, ways):
    source = image(SMALL, [(0, SMALL)])
    fails = f"[ -e {tmp_path}/read ] && mkdir {tmp_path}/struck"
    target, durable, _ = forgetful(SMALL, fails=fails, drops=3 * BLOCK, multi_conn=ways)
    result = copy(exports(source), target, verify=Verify.WRITTEN)
    assert result.repaired == (Extent(3 * BLOCK, BLOCK),)
    assert (tmp_path / "struck").exists()
    assert durable.read() == source.read()


def test_a_target_that_is_full_when_it_is_flushed_says_so_at_once(image, exports, forgetful):
    target, _, flushes = forgetful(SMALL, fails="true", error="ENOSPC")
    with pytest.raises(CopyError, match="full") as caught:
        copy(exports(image(SMALL, [(0, SMALL)])), target)
    assert caught.value.code == "target-full"
    assert flushes.read_text() == "x"
