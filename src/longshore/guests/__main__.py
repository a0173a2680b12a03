"""The process that works on one guest: see longshore.guests.process for who starts it and why.

Reads one line of JSON, the request, from standard input. Says on standard output, in lines of JSON, {"message": …} for
each thing done, and at the end {"result": …} or {"error": {"message", "advice", "code"}}.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from longshore.blocks.deadline import obey
from longshore.blocks.exports import Listen, serve_nbdkit
from longshore.errors import ConversionError, LongshoreError
from longshore.guests.appliance import opened
from longshore.guests.drivers import find_drivers
from longshore.guests.efi import put_fallback_loader
from longshore.guests.finish import finish, keep_nic_names
from longshore.guests.first_boot import add_first_boot
from longshore.guests.report import ConversionReport, NicName, OperatingSystem
from longshore.guests.virt_v2v import run_virt_v2v


def main() -> int:
    signal.signal(signal.SIGTERM, _leave)  # unwinds: servers are closed and their directories removed
    obey()
    request = json.loads(sys.stdin.readline())
    operations = {"convert": _convert, "inspect": _inspect, "drivers": _drivers, "finish-as-is": _finish_as_is}
    try:
        _say({"result": operations[request["operation"]](request)})
    except LongshoreError as error:
        _say({"error": {"message": error.message, "advice": error.advice, "code": error.code}})
        return 1
    except RuntimeError as error:  # how guestfs raises everything
        _say({"error": {"message": f"The guest's disks couldn't be worked on: {error}", "advice": "", "code": None}})
        return 1
    return 0


def _convert(request: Mapping[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    directory = Path(request["directory"])
    with _on_loopback(request["disks"], read_only=False) as ports:
        said = run_virt_v2v(ports, directory, _message)
        _message("Finishing the conversion: interface names, console, first boot")
        with opened(ports, read_only=False) as guest:
            changes = [*finish(guest, _nics(request)), *add_first_boot(guest, request["first_boot"])]
            changes.extend(put_fallback_loader(guest))  # the last: it mounts the EFI partition in place of all others
            system = guest.system
    for change in changes:
        _message(change)
    return ConversionReport(
        system=system,
        messages=said.messages,
        warnings=said.warnings,
        changes=tuple(changes),
        seconds=round(time.monotonic() - started, 1),
        log=str(directory / "virt-v2v.log"),
    ).to_json()


def _inspect(request: Mapping[str, Any]) -> dict[str, Any]:
    with _on_loopback(request["disks"], read_only=True) as ports, opened(ports, read_only=True) as guest:
        return asdict(guest.system)


def _drivers(request: Mapping[str, Any]) -> dict[str, Any]:
    with _on_loopback(request["disks"], read_only=True) as ports, opened(ports, read_only=True) as guest:
        return asdict(find_drivers(guest, _nics(request)))


def _finish_as_is(request: Mapping[str, Any]) -> dict[str, Any]:
    system = None if request["system"] is None else OperatingSystem(**request["system"])
    with (
        _on_loopback(request["disks"], read_only=False) as ports,
        opened(ports, read_only=False, system=system) as guest,
    ):
        changes = keep_nic_names(guest, _nics(request))
        if request["loader"]:
            changes += put_fallback_loader(guest)
    for change in changes:
        _message(change)
    return {"changes": changes}


def _nics(request: Mapping[str, Any]) -> list[NicName]:
    return [NicName(**nic) for nic in request["nics"]]


@contextmanager
def _on_loopback(disks: Sequence[str], *, read_only: bool) -> Iterator[list[int]]:
    """Serve each disk once more on a TCP port of the loopback address: virt-v2v takes nothing else."""
    with ExitStack() as stack:
        ports = []
        for uri in disks:
            export = stack.enter_context(
                serve_nbdkit("nbd", {"uri": uri}, read_only=read_only, threads=8, listen=Listen())
            )
            port = urlsplit(export.uri).port
            if port is None:
                raise ConversionError(f"The disk at {uri} couldn't be served on a loopback port.")
            ports.append(port)
        yield ports


def _message(text: str) -> None:
    _say({"message": text})


def _say(what: Mapping[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
