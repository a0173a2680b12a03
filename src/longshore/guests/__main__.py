"""The process that keeps one guest's work confined: see longshore.guests.process for who starts it and why.

It serves the guest's disks on Unix sockets, so that whoever works on them needs neither a network nor the keys of their
storage, and starts longshore.guests.work where nothing else can be reached.

Reads one line of JSON, the request, from standard input. Says on standard output, in lines of JSON, {"message": …} for
each thing done, and at the end {"result": …} or {"error": {"message", "advice", "code"}}.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

import longshore
from longshore.blocks.exports import reaching, serve_nbdkit
from longshore.errors import LongshoreError
from longshore.guests.agent_packages import PACKAGES, agent_packages
from longshore.guests.confined import GuestLimits, run_confined
from longshore.guests.converter.tree import in_use
from longshore.guests.windows_parts import FIRST_BOOT, VIRTIO_WIN, windows_parts
from longshore.processes.deadline import obey
from longshore.processes.launcher import Sandbox

# What libguestfs is told by whoever started us, as far as it is no file: their names mean nothing inside
_PASSED_ON = ("LIBGUESTFS_BACKEND_SETTINGS", "LIBGUESTFS_MEMSIZE", "LIBGUESTFS_DEBUG", "LIBGUESTFS_TRACE")
# Places inside
_APPLIANCE, _CODE = "/appliance", "/code"
_WORK = ("/usr/bin/python3", "-m", "longshore.guests.work")  # the converter's own Python


def main() -> int:
    signal.signal(signal.SIGTERM, _leave)  # unwinds: servers are closed and their directories removed
    obey()
    request = json.loads(sys.stdin.readline())
    try:
        _say({"result": _work(request)})
    except LongshoreError as error:
        _say({"error": {"message": error.message, "advice": error.advice, "code": error.code}})
        return 1
    return 0


def _work(request: dict[str, Any]) -> dict[str, Any]:
    limits = GuestLimits(**request.pop("limits"))
    # Kept from writing here already, and not only by what is confined
    read_only = request["operation"] in {"inspect", "look", "check", "start"}
    named = request.pop("converter", None)  # a tree that isn't the current one yet
    with ExitStack() as stack:
        converter = stack.enter_context(in_use(None if named is None else Path(named)))
        sockets = {}
        for position, uri in enumerate(request["disks"]):
            export = stack.enter_context(serve_nbdkit("nbd", reaching(uri), read_only=read_only, threads=8))
            sockets[f"/disks/{position}"] = Path(parse_qs(urlsplit(export.uri).query)["socket"][0])
        given = dict([*_given_for_windows(), *_given_packages(request)])
        sandbox = Sandbox(
            limits,
            files={
                _APPLIANCE: converter.appliance,
                f"{_CODE}/longshore": Path(longshore.__file__).parent,
                f"{_CODE}/yaml": Path(yaml.__file__).parent,  # its sources, for netplan's files
                **{place: path for place, path in given.values()},
            },
            sockets=sockets,
            environment={
                "LIBGUESTFS_PATH": _APPLIANCE,
                "PYTHONPATH": _CODE,
                **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                **{name: place for name, (place, _) in given.items()},
            },
            root=converter.root,
            kvm=True,
        )
        return run_confined(sandbox, _WORK, {**request, "disks": list(sockets)}, _message)


def _given_for_windows() -> Iterator[tuple[str, tuple[str, Path]]]:
    """Yield (variable, (place inside, path here)) for each part that Windows guests need. What isn't there is left out:
    only a Windows guest would miss it."""
    parts = windows_parts()
    for variable, found in ((VIRTIO_WIN, parts.virtio_win), (FIRST_BOOT, parts.first_boot)):
        if found:
            path = Path(found).resolve()
            yield variable, (f"/given/{variable.lower()}{path.suffix if path.is_file() else ''}", path)


def _given_packages(request: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, Path]]]:
    """Yield the same for the operator's packages, where agents are to be installed."""
    packages = agent_packages()
    if request.get("agents") and packages.directory and not packages.fault:
        yield PACKAGES, ("/given/packages", Path(packages.directory).resolve())


def _message(text: str) -> None:
    _say({"message": text})


def _say(what: Mapping[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
