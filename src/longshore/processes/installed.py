"""Debian's bindings and programs, which Longshore takes from a machine beside its Python packages, and what is said
where one of them is missing."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from longshore import BINDINGS, DEBIANS_MODULES
from longshore.errors import NotInstalled

# Debian's packages, by the programs in them
PACKAGES = {
    "bwrap": "bubblewrap",
    "fusermount3": "fuse3",
    "nbdkit": "nbdkit",
    "qemu-img": "qemu-utils",
    "qemu-nbd": "qemu-utils",
}
MOVING = ("nbd", "nbdkit", "qemu-nbd", "bwrap")  # by which disks are read and written, and guests worked on
_MODULES = {"libnbdmod": "nbd", "libguestfsmod": "guestfs"}  # compiled parts, by the module that one imports
_LIBRARIES = {"nbd": "libnbd", "guestfs": "libguestfs", "rados": "librados", "rbd": "librbd"}
_OR = "or have a server do it (LONGSHORE_URL)"


def refuse_without(*names: str, path: str | None = None) -> None:
    """Raise NotInstalled, with all of these programs and modules that aren't there.

    `path`: where programs are looked for; None: as the environment says.
    """
    missing = [name for name in names if not _is_there(name, path)]
    if missing:
        raise _missing(missing)


def refuse_without_driver(driver: str) -> None:
    """Raise NotInstalled where QEMU can't open images by this driver: Debian has those for storage in the network in a
    package of their own."""
    refuse_without("qemu-img")
    command = ["qemu-img", "info", "json:" + json.dumps({"driver": driver})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if f"Unknown driver '{driver}'" in done.stderr:
        raise NotInstalled(
            f"QEMU's driver for {driver} isn't installed on this machine.",
            advice=f"Install the package qemu-block-extra, {_OR}.",
        )


def refuse_without_engine() -> None:
    """Raise NotInstalled where Longshore is installed as a client alone."""
    if not _has_engine():
        raise _client_alone("dbos")


def missing_module(error: ModuleNotFoundError) -> NotInstalled | None:
    """Return what is to be said of a module that isn't there; None when it is one of Longshore's own, which is a
    bug."""
    name = (error.name or "longshore").partition(".")[0]
    if name == "longshore":
        return None
    if name in BINDINGS and _has_engine():
        return _missing([_MODULES.get(name, name)])
    return _client_alone(name)


def _has_engine() -> bool:
    return find_spec("dbos") is not None


def _client_alone(name: str) -> NotInstalled:
    return NotInstalled(
        f"Only Longshore's client is installed here, and this takes its engine ({name} is missing).",
        advice="Set LONGSHORE_URL to ask a server, or install longshore[engine].",
    )


def _is_there(name: str, path: str | None) -> bool:
    if name not in BINDINGS:
        return shutil.which(name, path=path) is not None
    return all(find_spec(part) for part, package in BINDINGS.items() if package == BINDINGS[name])


def _missing(names: list[str]) -> NotInstalled:
    called = [f"{_LIBRARIES[name]} for Python" if name in BINDINGS else name for name in names]
    said = f"{', '.join(called[:-1])} and {called[-1]} aren't" if called[1:] else f"{called[0]} isn't"
    if all(name in BINDINGS and Path(DEBIANS_MODULES, f"{name}.py").exists() for name in names):
        return NotInstalled(
            f"{said} installed for Python {sys.version_info.major}.{sys.version_info.minor}, only for Debian's own.",
            advice=f"Install Longshore with /usr/bin/python3, {_OR}.",
        )
    packages = [BINDINGS.get(name) or PACKAGES.get(name) or f"that has {name}" for name in names]
    return NotInstalled(
        f"{said} installed on this machine.",
        advice=f"Install the package{'s' if packages[1:] else ''} {' '.join(packages)}, {_OR}.",
    )
