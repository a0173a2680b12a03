"""Runs a confined process that works on a guest, and passes on what it says.

It may have been taken over by what it reads, so nothing that it says is believed: what is kept and passed on is limited
in shape and size, and so is its time. When this returns nothing of it is left.
"""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from longshore.border.texts import shortened
from longshore.errors import ConversionError, LongshoreError
from longshore.guests.converter.tree import in_use
from longshore.model.durations import duration
from longshore.model.strict_reading import read_json
from longshore.processes.launcher import ProcessLimits, Sandbox, refusal

LIMIT = "conversion-limit"  # code of the error when a guest needed more than it may: a second try would, too
NONSENSE = "The programs that worked on the guest gave no understandable answer."
_LONGEST_TEXT = 2000  # characters
_STANDARD_ERROR = 2  # whatever Python's own is at the moment
_GRACE = 5.0  # seconds to end by itself when all is said
_END = 1 << 16  # bytes of what was printed last, which are kept in any case


@dataclass(frozen=True, slots=True)
class GuestLimits(ProcessLimits):
    """Limits of how much of a worker all that works on one guest may use: what the guest holds is a stranger's."""

    memory: int = 8 << 30  # the appliance with 2 GiB under emulation takes 4
    scratch: int = 2 << 30  # virt-v2v wants 1 GiB free of them
    processes: int = 512
    messages: int = 1 << 20  # progress and result
    log: int = 16 << 20


def run_confined(
    sandbox: Sandbox, command: tuple[str, ...], request: Mapping[str, Any], on_message: Callable[[str], None]
) -> dict[str, Any]:
    """Run `command` confined, and return what it answers to the request, a line of JSON that it finds on its standard
    input.

    It says {"message": …} in lines of JSON on its standard output, and at the end {"result": {…}} or {"error": …}. What
    it prints on standard error goes to ours, up to a limit. Raises ConversionError, NotConfined.
    """
    limits = sandbox.limits
    process = sandbox.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    log = _Log(process.stderr, limits.log)
    status = 0
    too_late = threading.Event()

    def end() -> None:
        too_late.set()
        process.kill()  # bubblewrap's first process goes with it, and all others with that one

    timer = threading.Timer(limits.seconds, end)
    timer.daemon = True
    try:
        log.start()
        timer.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass  # it died at once; its status tells
        answer = _listen(process.stdout, limits.messages, on_message)
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(_GRACE if answer is not None else None)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        log.join()  # until the last of its processes has closed it
    if answer is not None:
        return answer
    if too_late.is_set():
        raise ConversionError(
            f"Working on the guest took longer than {duration(limits.seconds)}, the most it may; it was ended.",
            code=LIMIT,
        )
    raise _ended(status, log.last_line())


def ensure_confinement() -> None:
    """Try whether guests can be worked on. To be asked before a machine's downtime begins.

    Raises NotConfined when this machine can't confine guests, and ConversionError when it has no converter in which
    they are worked on.
    """
    with in_use() as converter:
        try_confinement(converter.root)


def try_confinement(root: Path) -> None:
    """Raise NotConfined when this machine can't confine programs of that tree."""
    run_confined(Sandbox(GuestLimits(seconds=60.0), root=root, kvm=True), ("cat",), {"result": {}}, lambda _: None)


def _listen(lines: IO[bytes], most: int, on_message: Callable[[str], None]) -> dict[str, Any] | None:
    """Read what the command says to its end, and return the result; None when it ended without one. Raises
    ConversionError for its error, and for nonsense."""
    for line in _up_to(lines, most):
        try:
            said = _printable(read_json(line))
        except (ValueError, RecursionError):
            raise ConversionError(NONSENSE) from None
        match said:
            case {"message": str(text)}:
                on_message(_plain(text))
            case {"result": dict(result)}:
                return result
            case {"error": {"message": str(text), "advice": str(advice), "code": str() | None as code}}:
                raise ConversionError(_plain(text), advice=_plain(advice), code=code)
            case _:
                raise ConversionError(NONSENSE)
    return None


def _up_to(lines: IO[bytes], most: int) -> Iterator[bytes]:
    while line := lines.readline(most + 1):
        most -= len(line)
        if most < 0:
            raise ConversionError(
                "The programs that worked on the guest said more than they may; they were ended.", code=LIMIT
            )
        yield line


def _printable(said: Any) -> Any:
    """Return the same without what a terminal would take for a command, and without endless texts."""
    match said:
        case str():
            return shortened(said, _LONGEST_TEXT)
        case list():
            return [_printable(part) for part in said]
        case dict():
            return {_printable(key): _printable(value) for key, value in said.items()}
        case _:
            return said


def _plain(text: str) -> str:
    """Return one line, without gaps."""
    return " ".join(text.split())


def _ended(status: int, last_line: str) -> LongshoreError:
    if (why := refusal(last_line)) is not None:
        return why
    said = f": {last_line}" if last_line else ""
    return ConversionError(f"The programs that worked on the guest ended unexpectedly (status {status}){said}")


class _Log(threading.Thread):
    """Copies what is printed to our standard error: all of a little, of more than that the beginning and the end."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        super().__init__(name="longshore-guest-log", daemon=True)
        self._source = source
        self._room = most
        self._end = b""

    def run(self) -> None:
        with open(_STANDARD_ERROR, "wb", closefd=False) as out:
            self._copy(out)

    def _copy(self, out: IO[bytes]) -> None:
        over = 0
        while piece := self._source.read1(_END):  # type: ignore[attr-defined]
            self._end = (self._end + piece)[-_END:]
            out.write(piece[: self._room])
            out.flush()
            over += max(0, len(piece) - self._room)
            self._room -= min(self._room, len(piece))
        if over > _END:
            out.write(f"\n… {over - _END} bytes are left out here …\n".encode())
        if over:
            out.write(self._end[-over:])
            out.flush()

    def last_line(self) -> str:
        lines = self._end.decode(errors="replace").strip().splitlines()
        return _plain(_printable(lines[-1])) if lines else ""
