"""Requests straight on a connection's socket, against real servers."""

import errno
import random
import socket
from contextlib import suppress

import pytest

from longshore.blocks.exports import serve_nbdkit
from longshore.blocks.wire import RequestRefused, Wire, _lengthen_queue

from .conftest import KIB, MIB

SIZE = 8 * MIB


def test_what_is_written_is_read_back_and_nothing_else_changes(image, exports):
    disk = image(SIZE, [(0, SIZE)])
    expected = bytearray(disk.read())
    numbers = random.Random(4)
    wire = Wire(exports(disk).uri)
    under_way = []
    for _ in range(90):
        offset = numbers.randrange(SIZE // 512) * 512
        length = min(numbers.choice([512, 64 * KIB, MIB, 3 * MIB]), SIZE - offset)
        if any(offset < end and start < offset + length for start, end in under_way):
            wire.confirm()
            under_way.clear()
        under_way.append((offset, offset + length))
        match numbers.randrange(3):
            case 0:
                data = numbers.randbytes(length)
                wire.write(memoryview(data), offset)
                expected[offset : offset + length] = data
            case 1:
                wire.zero(length, offset)
                expected[offset : offset + length] = bytes(length)
            case 2:
                memory = bytearray(length)
                wire.read(memoryview(memory), offset)
                assert memory == expected[offset : offset + length]
    wire.confirm()
    wire.close()
    assert disk.read() == expected


def script_that_reads(disk, first):
    """For the eval plugin; `first`: shell commands before each read, whose offset is $4."""
    dd = "dd bs=1M status=none iflag=fullblock,skip_bytes,count_bytes"
    return {
        "get_size": f"echo {SIZE}",
        "thread_model": "echo parallel",
        "pread": f"{first}; {dd} if={disk.path} skip=$4 count=$3",
    }


def test_what_was_asked_for_comes_in_any_order(image):
    disk = image(SIZE, [(0, SIZE)])
    with serve_nbdkit("eval", script_that_reads(disk, "[ $4 -ne 0 ] || sleep 0.5"), threads=8) as served:
        wire = Wire(served.uri)
        memories = [bytearray(512 * KIB + number * 512) for number in range(6)]
        numbers = [wire.ask(memoryview(memory), number * MIB) for number, memory in enumerate(memories)]
        came = [wire.answered() for _ in numbers]
        assert sorted(came) == numbers
        assert came[-1] == numbers[0]
        for number, memory in enumerate(memories):
            assert memory == disk.read(number * MIB, len(memory))
        wire.close()


def test_of_several_that_were_asked_for_one_is_refused(image):
    disk = image(SIZE, [(0, SIZE)])
    refuses = "if [ $4 -eq 1048576 ]; then echo EIO too bad >&2; exit 1; fi"
    with serve_nbdkit("eval", script_that_reads(disk, refuses)) as served:
        wire = Wire(served.uri)
        memories = [bytearray(4 * KIB) for _ in range(4)]
        for number, memory in enumerate(memories):
            wire.ask(memoryview(memory), number * MIB)
        came = 0
        for _ in memories:
            try:
                wire.answered()
                came += 1
            except RequestRefused as error:
                assert error.errno == errno.EIO
        assert came == 3
        assert [memory == disk.read(n * MIB, 4 * KIB) for n, memory in enumerate(memories)] == [True, False, True, True]
        wire.close()


@pytest.mark.timeout(60)
def test_a_server_lives_on_whoever_leaves_before_all_has_come(image):
    disk = image(SIZE, [(0, SIZE)])
    with serve_nbdkit("file", {"file": str(disk.path), "rdelay": "200ms"}, filters=("delay",), threads=8) as served:
        for _ in range(3):
            wire = Wire(served.uri)
            for number in range(8):
                wire.ask(memoryview(bytearray(MIB)), number * MIB)
            wire.answered()
            wire.close()
        wire = Wire(served.uri)
        wire.read(memory := memoryview(bytearray(MIB)), 0)
        assert memory == disk.read(0, MIB)
        wire.close()


@pytest.mark.parametrize("kind", ["pread", "pwrite", "zero"])
def test_the_servers_error_is_raised(image, exports, kind):
    served = exports(image(SIZE), filters=("error",), **{f"error-{kind}-rate": "100%", "error": "ENOSPC"})
    wire = Wire(served.uri)
    with pytest.raises(RequestRefused) as raised:
        match kind:
            case "pread":
                wire.read(memoryview(bytearray(4 * KIB)), 0)
            case "pwrite":
                wire.write(memoryview(bytes(4 * KIB)), 0)
                wire.confirm()
            case "zero":
                wire.zero(4 * KIB, 0)
                wire.confirm()
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("call", ["read", "confirm", "seventeenth"])
def test_a_write_that_was_refused_is_told_by_a_later_call(image, exports, call):
    served = exports(image(SIZE), filters=("error",), **{"error-pwrite-rate": "100%", "error": "ENOSPC"})
    wire = Wire(served.uri)
    for number in range(16):
        wire.write(memoryview(bytes(4 * KIB)), number * 4 * KIB)
    with pytest.raises(RequestRefused) as raised:
        match call:
            case "read":
                wire.read(memoryview(bytearray(4 * KIB)), 0)
            case "confirm":
                wire.confirm()
            case "seventeenth":
                wire.zero(4 * KIB, MIB)
    assert raised.value.errno == errno.ENOSPC
    with suppress(RequestRefused):
        wire.confirm()
    wire.confirm()  # nothing is to come any more
    wire.read(memoryview(bytearray(4 * KIB)), 0)


def test_one_write_of_many_that_was_refused_is_told_once_all_are_answered(image, exports):
    disk = image(SIZE)
    refuses = "if [ $4 -eq 65536 ]; then echo EIO too bad >&2; exit 1; fi"
    dd = "dd bs=1M status=none iflag=fullblock"
    script = {
        "get_size": f"echo {SIZE}",
        "pread": f"{dd},skip_bytes,count_bytes if={disk.path} skip=$4 count=$3",
        "pwrite": f"{refuses}; {dd} of={disk.path} conv=notrunc oflag=seek_bytes seek=$4",
        "can_write": "exit 0",
    }
    with serve_nbdkit("eval", script, read_only=False) as served:
        wire = Wire(served.uri)
        for number in range(4):
            wire.write(memoryview(b"x" * 64 * KIB), number * 64 * KIB)
        with pytest.raises(RequestRefused) as raised:
            wire.confirm()
        assert raised.value.errno == errno.EIO
        assert disk.read(0, 4 * 64 * KIB).count(b"x") == 3 * 64 * KIB
        wire.close()


def test_only_a_local_socket_is_told_how_much_it_may_hold():
    ours, theirs = socket.socketpair()
    usual = ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    far = socket.socket()
    usual_far = far.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    for each in (ours, far):
        _lengthen_queue(each.fileno())
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > usual
    assert far.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == usual_far
    for each in (ours, theirs, far):
        each.close()


def test_memory_that_was_written_from_may_be_used_again_at_once(image, exports):
    disk, memory = image(SIZE), bytearray(MIB)
    wire = Wire(exports(disk, filters=("delay",), wdelay="20ms").uri)
    for number in range(1, 5):
        memory[:] = bytes([number]) * MIB
        wire.write(memoryview(memory), number * MIB)
    wire.confirm()
    assert [set(disk.read(number * MIB, MIB)) for number in range(1, 5)] == [{1}, {2}, {3}, {4}]


def test_a_server_that_is_gone_is_an_error(image):
    with serve_nbdkit("file", {"file": str(image(SIZE).path)}) as served:
        wire = Wire(served.uri)
    with pytest.raises(ConnectionError, match=r"reset|Broken pipe"):
        wire.read(memoryview(bytearray(4 * KIB)), 0)
