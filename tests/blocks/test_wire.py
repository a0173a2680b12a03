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
                wire.read(memoryview(memory), offset)
                assert memory == expected[offset : offset + length]
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
            case "zero":
                wire.zero(4 * KIB, 0)
    assert raised.value.errno == errno.ENOSPC


def test_a_server_that_is_gone_is_an_error(image):
    with serve_nbdkit("file", {"file": str(image(SIZE).path)}) as served:
        wire = Wire(served.uri)
    with pytest.raises(ConnectionError, match=r"reset|Broken pipe"):
        wire.read(memoryview(bytearray(4 * KIB)), 0)
