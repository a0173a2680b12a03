"""Starts an appliance with an empty disk, in the confinement in which guests are worked on: whether that works here."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from longshore.blocks.exports import serve_nbdkit
from longshore.errors import ConversionError, NotConfined
from longshore.guests.confined import GuestLimits
from longshore.guests.converter.tree import NO_CONVERTER
from longshore.model.strict_reading import read_json
from longshore.processes.parent import die_with_parent

SETTINGS = "LIBGUESTFS_BACKEND_SETTINGS"
EMULATED = "force_tcg"
_KVM = Path("/dev/kvm")
# Seconds. Where a processor's help works, a start takes three; under emulation, on a busy machine, a minute
_LONGEST, _LONGEST_BY_KVM = 600.0, 60.0
_NOT_ITS_FAULT = (NO_CONVERTER, NotConfined.code)


@dataclass(frozen=True, slots=True)
class Started:
    seconds: float
    library: str  # libguestfs' version
    by_kvm: bool
    why_not: str = ""  # what became of the start by KVM, where /dev/kvm is there and it fails


def start_appliance(root: Path | None = None) -> Started:
    """Start the appliance of this tree, or of the current converter. By KVM where /dev/kvm can be opened, and if that
    fails without it.

    Raises ConversionError.
    """
    if not may_try_kvm():
        return _started(root, by_kvm=False)
    try:
        return _started(root, by_kvm=True)
    except ConversionError as error:
        emulated = _started(root, by_kvm=False)
        return Started(emulated.seconds, emulated.library, by_kvm=False, why_not=error.message)


def may_try_kvm() -> bool:
    """Tell whether /dev/kvm can be opened, and nobody has said that it shall be left alone."""
    return EMULATED not in os.environ.get(SETTINGS, "").split(":") and os.access(_KVM, os.R_OK | os.W_OK)


_trying = threading.Lock()
_kvm_boots: bool | None = None  # None: not tried yet by this process


def acceleration() -> dict[str, str]:
    """Return what libguestfs has to be told so that its appliance starts: additions to the environment.

    A /dev/kvm that can be opened may boot nothing, in a machine that is virtual itself: so it is tried, by the first
    who works on a guest in this process.
    """
    global _kvm_boots  # noqa: PLW0603 it is the machine's
    if not may_try_kvm():
        return {}
    with _trying:
        if _kvm_boots is None:
            try:
                _started(None, by_kvm=True)
                _kvm_boots = True
            except ConversionError as error:
                if error.code in _NOT_ITS_FAULT:  # whoever asked finds out the same
                    return {}
                _kvm_boots = False
        return {} if _kvm_boots else {SETTINGS: EMULATED}


def _started(root: Path | None, *, by_kvm: bool) -> Started:
    limits = GuestLimits(seconds=_LONGEST_BY_KVM if by_kvm else _LONGEST)
    with serve_nbdkit("memory", {"size": "1M"}) as export:
        request = {
            "operation": "start",
            "disks": [export.uri],
            "limits": asdict(limits),
            "converter": None if root is None else str(root),
        }
        process = subprocess.run(
            die_with_parent(sys.executable, "-m", "longshore.guests"),
            input=json.dumps(request) + "\n",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={**os.environ, **({} if by_kvm else {SETTINGS: EMULATED})},
        )
    said = read_json(process.stdout.splitlines()[-1]) if process.stdout else {}
    match said:
        case {"result": {"seconds": float(seconds), "library": str(library)}}:
            return Started(seconds, library, by_kvm)
        case {"error": {"message": str(message), "advice": str(advice), "code": code}}:
            raise ConversionError(message, advice=advice, code=code)
        case _:
            raise ConversionError(f"The start of an appliance ended unexpectedly (status {process.returncode}).")
