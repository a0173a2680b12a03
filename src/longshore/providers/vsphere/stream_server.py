"""Serves a disk that comes as a stream: `python -m longshore.providers.vsphere.stream_server SOCKET PID_FILE REQUEST`.

The stream is read once, as it goes by: whoever reads the disk goes from its beginning to its end, and may be some
blocks out of order, as the copy engine is. What was passed can't be had again. How much has come in is written into a
file; when it is all, its digests; when it can't go on, why, and this server ends. For
`longshore.providers.vsphere.export_disks`.
"""

import hashlib
import io
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from longshore.errors import ExportError, LongshoreError
from longshore.model.reach import Reach
from longshore.model.strict_reading import read_json
from longshore.providers.reaching import Answer, HttpsConnection
from longshore.providers.vsphere.certificate import reaching, trusted_context
from longshore.providers.vsphere.grains import PackedGrain, packed_grains
from longshore.vault.disks import Range
from longshore.vault.nbd import serve

_BLOCK = 1 << 20  # bytes that are kept and passed at a time
_AHEAD = 16  # blocks that are read from the stream before somebody asks for them
_BEHIND = 160  # blocks that are kept until somebody asks for them: more than the copy engine has on the way
_READ_KEPT = 16  # blocks that were read and are kept, for who asks once more
_PIECE = 1 << 20  # bytes of the stream
_SILENCE = 600.0  # seconds: a host may be slow where it finds nothing but zeroes


class StreamedDisk:
    """The disk, as far as it has come in and isn't passed. One thread fills it, others read it."""

    description = ""

    def __init__(self, size: int) -> None:
        self.size = size
        self._changed = threading.Condition()
        self._blocks: dict[int, bytearray] = {}  # that hold something
        self._taken: dict[int, int] = {}  # bytes of these that were read
        self._read: list[int] = []  # those that were read as a whole
        self._gone: set[int] = set()  # those that were, and aren't kept any more
        self._there = 0  # blocks before this one have come in
        self._passed = 0  # blocks before this one can't be had any more
        self._asked = 0  # the furthest block that somebody has asked for

    def fill(self, grains: Iterator[PackedGrain]) -> None:
        """Take in all there is. Waits where nobody asks for more. Raises as the grains do."""
        for grain in grains:
            number, at = divmod(grain.offset, _BLOCK)
            if (block := self._wait_until_wanted(number)) is not None:
                block[at : at + grain.length] = grain.unpack()

    def complete(self) -> None:
        """Note that all has come in."""
        with self._changed:
            self._there = -(-self.size // _BLOCK)
            self._changed.notify_all()

    def _wait_until_wanted(self, number: int) -> bytearray | None:
        """Wait until a block, which is the next one, is near to what is asked for, and return its place. None: it is
        far behind that."""
        with self._changed:
            if number != self._there:
                self._there = number
                self._changed.notify_all()
            self._changed.wait_for(lambda: number <= self._asked + _AHEAD)
            return None if number < self._passed else self._blocks.setdefault(number, bytearray(_BLOCK))

    def parts(self, offset: int, length: int) -> list[bytes]:
        """Read a range, once it has come in. Raises ExportError for what is passed."""
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK
        found = []
        with self._changed:
            if last > self._asked:
                self._asked = last
                self._pass_to(last - _BEHIND)
                self._changed.notify_all()
            self._changed.wait_for(lambda: last < self._there)
            if first < self._passed or not self._gone.isdisjoint(range(first, last + 1)):
                raise ExportError(
                    f"Byte {offset} of the disk has gone by: it is read from its beginning to its end.",
                    advice="What reads here and there needs VMware's disk library, or a proxy.",
                )
            for number in range(first, last + 1):
                start, end = max(offset - number * _BLOCK, 0), min(offset + length - number * _BLOCK, _BLOCK)
                block = self._blocks.get(number)
                found.append(bytes(end - start) if block is None else bytes(block[start:end]))
                self._take(number, end - start)
        return found

    def _take(self, number: int, length: int) -> None:
        """Note that so much of a block was read."""
        if number not in self._blocks or number in self._read:
            return
        self._taken[number] = self._taken.get(number, 0) + length
        if self._taken[number] >= min(_BLOCK, self.size - number * _BLOCK):
            self._read.append(number)
        if len(self._read) > _READ_KEPT:
            gone = self._read.pop(0)
            del self._blocks[gone], self._taken[gone]
            self._gone.add(gone)

    def _pass_to(self, number: int) -> None:
        """Keep nothing of the blocks before this one."""
        self._passed = max(self._passed, number)
        for held in self._blocks, self._taken:
            for one in [one for one in held if one < self._passed]:
                del held[one]
        self._read = [one for one in self._read if one >= self._passed]
        self._gone = {one for one in self._gone if one >= self._passed}

    def ranges(self, offset: int, length: int) -> Iterator[Range]:
        """Return all of it: nobody knows what is zero before it has come in."""
        yield Range(offset, length, zero=False)


class _Digested(io.RawIOBase):
    """An answer whose bytes are digested as they are read."""

    def __init__(self, answer: HTTPResponse) -> None:
        self._answer = answer
        self.digests = {"SHA-1": hashlib.sha1(usedforsecurity=False), "SHA-256": hashlib.sha256()}
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._answer.readinto(buffer)
        for digest in self.digests.values():
            digest.update(memoryview(buffer)[:count])
        self.size += count
        return count


def _receive(told: dict[str, Any], disk: StreamedDisk) -> dict[str, Any]:
    """Take in the disk that is served where `told` says, and return what is to be said of the stream. Raises
    LongshoreError."""
    host, port = told["host"], told["port"]
    reach = None if told["reach"] is None else Reach(**told["reach"])
    context = trusted_context(host, port, told["fingerprint"], None, reach)
    connection = HttpsConnection(host, port, reach=reach, timeout=_SILENCE, context=context)
    try:
        with reaching(host, port):
            connection.request("GET", told["target"])
            answer = connection.getresponse()
            if answer.status != 200:
                raise ExportError(f"{host}:{port} doesn't send the disk: it answered with HTTP {answer.status}.")
            assert isinstance(answer, Answer)
            answer.bound.lift()
            stream = _Digested(answer)
            with io.BufferedReader(stream, _PIECE) as buffered:
                disk.fill(_told(packed_grains(buffered.read, disk.size), disk.size, Path(told["outcome"])))
                while buffered.read(_PIECE):
                    pass
    except HTTPException as error:
        raise ExportError(f"{host}:{port} broke off while it sent the disk: HTTP {error}.") from error
    finally:
        connection.close()
    digests = {name: digest.hexdigest() for name, digest in stream.digests.items()}
    return {"percent": 100, "size": stream.size, **digests}


def _told(grains: Iterator[PackedGrain], size: int, outcome: Path) -> Iterator[PackedGrain]:
    """Yield the grains, and write into the file how much of a hundred comes before each."""
    said = 0
    for grain in grains:
        if (percent := 100 * grain.offset // size) > said:
            said = percent
            _tell(outcome, {"percent": percent})
        yield grain


def main(where: str, pid_file: str, request: str) -> None:
    told = read_json(Path(request).read_text())
    disk, outcome = StreamedDisk(told["size"]), Path(told["outcome"])

    def receive() -> None:
        try:
            _tell(outcome, _receive(told, disk))
            disk.complete()
        except LongshoreError as error:
            _tell(outcome, {"error": error.message, "advice": error.advice, "code": error.code})
            os._exit(1)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(where)
        listening.listen(64)
        Path(pid_file).write_text(f"{os.getpid()}\n")
        threading.Thread(target=receive, daemon=True).start()
        serve(listening, disk)


def _tell(outcome: Path, said: dict[str, Any]) -> None:
    new = outcome.with_suffix(".new")
    new.write_text(json.dumps(said))
    new.rename(outcome)


if __name__ == "__main__":
    main(*sys.argv[1:])
