"""Requests straight on a connection's socket, against real servers."""

import errno
import random

import pytest

from longshore.blocks.exports import serve_nbdkit
from longshore.blocks.wire import Refused, Wire

from .conftest import KIB, MIB

SIZE = 8 * MIB


def test_what_is_written_is_read_back_and_nothing_else_changes(image, exports):
    disk = image(SIZE, [(0, SIZE)])
    expected = bytearray(disk.read())
    numbers = random.Random(4)
    wire = Wire(exports(disk).uri)
    for _ in range(60):
        offset = numbers.randrange(SIZE // 512) * 512
        length = min(numbers.choice([512, 64 * KIB, MIB, 3 * MIB]), SIZE - offset)
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
                wire.ask(length, offset)
                wire.take(memoryview(memory))
                assert memory == expected[offset : offset + length]
    wire.confirm()
    wire.close()
    assert disk.read() == expected


@pytest.mark.parametrize("kind", ["pread", "pwrite", "zero"])
def test_the_servers_error_is_raised(image, exports, kind):
    served = exports(image(SIZE), filters=("error",), **{f"error-{kind}-rate": "100%", "error": "ENOSPC"})
    wire = Wire(served.uri)
    with pytest.raises(Refused) as raised:
        match kind:
            case "pread":
                wire.read(memoryview(bytearray(4 * KIB)), 0)
            case "pwrite":
                wire.write(memoryview(bytes(4 * KIB)), 0)
                wire.confirm()
            case "zero":
                wire.zero(4 * KIB, 0)
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("call", ["read", "write", "zero"])
def test_a_write_that_was_refused_is_told_by_whatever_comes_next(image, exports, call):
    served = exports(image(SIZE), filters=("error",), **{"error-pwrite-rate": "100%", "error": "ENOSPC"})
    wire = Wire(served.uri)
    wire.write(memoryview(bytes(4 * KIB)), 0)
    with pytest.raises(Refused) as raised:
        match call:
            case "read":
                wire.read(memoryview(bytearray(4 * KIB)), 0)
            case "write":
                wire.write(memoryview(bytes(4 * KIB)), 0)
            case "zero":
                wire.zero(4 * KIB, 0)
    assert raised.value.errno == errno.ENOSPC
    wire.confirm()  # nothing is to come any more
    wire.read(memoryview(bytearray(4 * KIB)), 0)


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
