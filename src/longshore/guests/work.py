"""The confined process that works on one guest: see longshore.processes.launcher for what it is kept from.

Reads one line of JSON, the request, from standard input. Says on standard output, in lines of JSON, {"message": …} for
each thing done, and at the end {"result": …} or {"error": {"message", "advice", "code"}}.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from longshore.blocks.exports import Listen, serve_nbdkit
from longshore.errors import ConversionError, LongshoreError
from longshore.guests.addressing.windows import Given, give_addresses, keep_addresses, renumber, without_given
from longshore.guests.addressing.writing import put_back, write_addresses
from longshore.guests.appliance import Guest, launched, opened
from longshore.guests.as_found import require_as_found
from longshore.guests.confined import LIMIT
from longshore.guests.efi import put_fallback_loader
from longshore.guests.findings import find
from longshore.guests.finish import finish
from longshore.guests.grub_wrapper import may_have_wrapper, name_disks_by_uuid
from longshore.guests.interfaces import keep_nic_names
from longshore.guests.misread import reason
from longshore.guests.report import ConversionReport, Finished, NicAddresses, NicName, OperatingSystem
from longshore.guests.virt_v2v import SEVERAL_ROOTS, ConverterMessages, root_option, run_virt_v2v
from longshore.guests.windows_findings import windows_findings
from longshore.model.addresses import AdapterInGuest, Addressing, NewAddresses, Renumbering, Route
from longshore.model.agents import Agent
from longshore.model.guest import GuestFindings

_TOO_LARGE = "Something on the guest's disks is too large to be looked into: it takes more memory than this may have."


def main() -> int:
    request = json.loads(sys.stdin.readline())
    operation, read_only = _OPERATIONS[request["operation"]]
    try:
        with _on_loopback(request["disks"], read_only=read_only) as ports:
            _say({"result": operation(ports, request)})
    except LongshoreError as error:
        _say({"error": {"message": error.message, "advice": error.advice, "code": error.code}})
        return 1
    except MemoryError:
        _say({"error": {"message": _TOO_LARGE, "advice": "", "code": LIMIT}})
        return 1
    except Exception as error:  # noqa: BLE001 a guest's text may make any of it raise
        said = f"The guest's disks couldn't be worked on: {reason(error)}."
        _say({"error": {"message": said, "advice": "", "code": None}})
        return 1
    return 0


def _convert(ports: Sequence[int], request: Mapping[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    keys = request["keys"]
    kept = _kept_addresses(ports, request)
    renamed = _renamed_disks(ports, request)
    said = _run_converter(ports, kept.options, keys)
    _message("Finishing the conversion: interface names, console, first boot")
    with opened(ports, read_only=False, system=_known(request), keys=keys) as guest:
        finished = finish(
            guest,
            _nics(request),
            request["first_boot"],
            [Agent(agent) for agent in request["agents"]],
            new_addresses(request),
            keep=request["keep_former"],
        )
        system = guest.system
    done = Finished((*kept.changes, *renamed, *finished.changes), (*kept.warnings, *finished.warnings))
    _tell(done)
    return ConversionReport(
        system=system,
        messages=said.messages,
        warnings=(*said.warnings, *done.warnings),
        changes=done.changes,
        seconds=round(time.monotonic() - started, 1),
        log="",  # who asked knows where it is
    ).to_json()


def _kept_addresses(ports: Sequence[int], request: Mapping[str, Any]) -> Given:
    """Return what Windows' adapters are given at the first boot. Asked for of Windows alone: looking takes a start."""
    new = new_addresses(request)
    if not request["addresses"]:
        return Given()
    try:
        with opened(ports, read_only=True, keys=request["keys"]) as guest:
            if guest.system.family != "windows":
                return Given()
            found = windows_findings(guest, GuestFindings()).static_addresses
    except ConversionError:  # virt-v2v says it better, or knows how to do without
        return Given()
    given = give_addresses(new.adapters)
    nics = [NicAddresses(**nic) for nic in request["addresses"] if nic["mac"] not in given.macs]
    kept = keep_addresses(renumber(without_given(found, new.adapters), new.renumbering), nics)
    return Given((*given.options, *kept.options), (*given.changes, *kept.changes), (*given.warnings, *kept.warnings))


def _renamed_disks(ports: Sequence[int], request: Mapping[str, Any]) -> list[str]:
    """Rename disks in a menu. Asked for where an earlier look has found that it may be needed: looking takes a
    start."""
    system = _known(request)
    if not may_have_wrapper(system):
        return []
    with opened(ports, read_only=False, system=system, keys=request["keys"]) as guest:
        return name_disks_by_uuid(guest)


def _key_files(keys: Sequence[str]) -> list[str]:
    """Return the options that tell virt-v2v of keys: it tries all on each encrypted device. The files are in memory of
    our own."""
    told = []
    for number, key in enumerate(keys):
        file = Path(tempfile.gettempdir(), f"key-{number}")
        file.touch(0o600)
        file.write_text(key)
        told.append(f"all:file:{file}")
    return told


def _run_converter(ports: Sequence[int], addresses: Sequence[str] = (), keys: Sequence[str] = ()) -> ConverterMessages:
    """Run virt-v2v. A snapshot of a root is another root for it: only then we look which one it shall take."""
    directory = Path(tempfile.gettempdir())
    files = _key_files(keys)
    try:
        return run_virt_v2v(ports, directory, _message, addresses=addresses, keys=files)
    except ConversionError as several:
        if several.code != SEVERAL_ROOTS:
            raise
    with opened(ports, read_only=True, keys=keys) as guest:
        root = root_option(guest)
        _message(f"The operating system that boots is on {guest.system.root}; what else looks like one are snapshots")
    return run_virt_v2v(ports, directory, _message, root=root, addresses=addresses, keys=files)


def _inspect(ports: Sequence[int], _request: Mapping[str, Any]) -> dict[str, Any]:
    with opened(ports, read_only=True) as guest:
        return asdict(guest.system)


def _look(ports: Sequence[int], request: Mapping[str, Any]) -> dict[str, Any]:
    with launched(ports, read_only=True, keys=request["keys"]) as handle:
        return asdict(find(handle, _nics(request), new_addresses(request).adapters))


def _start(ports: Sequence[int], _request: Mapping[str, Any]) -> dict[str, Any]:
    """Looks at a disk that has nothing on it."""
    started = time.monotonic()
    with launched(ports, read_only=True) as handle:
        handle.list_filesystems()
        version = handle.version()
    library = f"{version['major']}.{version['minor']}.{version['release']}"
    return {"seconds": round(time.monotonic() - started, 1), "library": library}


def _check(ports: Sequence[int], request: Mapping[str, Any]) -> dict[str, Any]:
    with _as_found(ports, request, read_only=True):
        return {"changes": []}


def _finish_as_is(ports: Sequence[int], request: Mapping[str, Any]) -> dict[str, Any]:
    with _as_found(ports, request, read_only=False) as guest:
        names = keep_nic_names(guest, _nics(request))
        new = new_addresses(request)
        written = write_addresses(guest, new, keep=request["keep_former"]) if new else Finished()
        loader = put_fallback_loader(guest) if request["loader"] else []
    done = Finished((*names, *written.changes, *loader), written.warnings)
    _tell(done)
    return asdict(done)


def _put_back(ports: Sequence[int], request: Mapping[str, Any]) -> dict[str, Any]:
    with opened(ports, read_only=False, keys=request["keys"]) as guest:
        return {"changes": put_back(guest) if guest.system.family == "linux" else []}


_OPERATIONS = {  # and whether one only reads
    "convert": (_convert, False),
    "inspect": (_inspect, True),
    "look": (_look, True),
    "finish-as-is": (_finish_as_is, False),
    "put-back": (_put_back, False),
    "check": (_check, True),
    "start": (_start, True),
}


@contextmanager
def _as_found(ports: Sequence[int], request: Mapping[str, Any], *, read_only: bool) -> Iterator[Guest]:
    """Open the guest. With a signature of what was found at an earlier moment of the machine, it has to be that
    still."""
    system, keys, signature = _known(request), request["keys"], request["signature"]
    if system is None or not signature:
        with opened(ports, read_only=read_only, system=system, keys=keys) as guest:
            yield guest
        return
    with launched(ports, read_only=read_only, keys=keys) as handle:
        yield require_as_found(handle, system, signature, read_only=read_only)


def _known(request: Mapping[str, Any]) -> OperatingSystem | None:
    """Return the system that an earlier look at the same disks has found."""
    return None if request["system"] is None else OperatingSystem(**request["system"])


def new_addresses(request: Mapping[str, Any]) -> NewAddresses:
    """Read them as they have come in JSON, which knows no tuples; there is no library here that does."""
    data = request["new_addresses"]
    adapters = tuple(_adapter(one) for one in data["adapters"])
    return NewAddresses(adapters, Renumbering(**data["renumbering"]))


def _adapter(data: Mapping[str, Any]) -> AdapterInGuest:
    wanted = data["wanted"]
    if isinstance(wanted, Mapping):
        routes = tuple(Route(**route) for route in wanted["routes"])
        wanted = Addressing(**{**wanted, "routes": routes})
    words = {name: tuple(data[name]) for name in ("names", "addresses")}
    return AdapterInGuest(data["mac"], data["old_mac"], **words, wanted=wanted)


def _nics(request: Mapping[str, Any]) -> list[NicName]:
    return [NicName.told(nic) for nic in request["nics"]]


@contextmanager
def _on_loopback(disks: Sequence[str], *, read_only: bool) -> Iterator[list[int]]:
    """Serve the disk behind each socket on a TCP port of our own loopback address: virt-v2v takes nothing else."""
    with ExitStack() as stack:
        ports = []
        for socket in disks:
            export = stack.enter_context(
                serve_nbdkit("nbd", {"socket": socket}, read_only=read_only, threads=8, listen=Listen())
            )
            port = urlsplit(export.uri).port
            assert port is not None
            ports.append(port)
        yield ports


def _tell(done: Finished) -> None:
    for text in (*done.changes, *(f"Warning: {warning}" for warning in done.warnings)):
        _message(text)


def _message(text: str) -> None:
    _say({"message": text})


def _say(what: Mapping[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
