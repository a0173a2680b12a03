"""The guest of a machine that others' disks are attached to: the relay's own program serves them (NBD over TLS).

What is the image's own is run as it is (relay_image/recipe/agent, of whoever asks for it), in a process of this
machine; what the guest knows of VMware is answered by a script in the place of VMware's. A disk shows under udev's name
some time after it was attached, as it is then: what is attached for reading doesn't change. Without disk.EnableUUID it
shows under no name.

What is attached for writing is served from a copy, too, which is carried back when the disk is detached, or the guest
dies: nothing that a client was told is written gets lost, and nothing else is written to the disk's file.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .foreign_disks import ForeignDisk

if TYPE_CHECKING:
    from .virtual_machine import VirtualMachine

ADDRESS = "127.0.0.1"
LOOK_EVERY = 0.03  # seconds
_TOLD = "guestinfo.longshore."
# VMware's program: info-get NAME, info-set NAME VALUE
_RPC = """#!/bin/sh
set -- $1
case $1 in
  info-get) cat "$GUESTINFO/${2#guestinfo.longshore.}" ;;
  info-set) printf '%s' "$3" > "$GUESTINFO/.new" && mv "$GUESTINFO/.new" "$GUESTINFO/${2#guestinfo.longshore.}" ;;
esac
"""
# As init does, with the parts that ask for a machine of its own left out
_INIT = """
(while kill -0 "$parent" 2> /dev/null; do sleep 1; done; kill -KILL -- "-$$") &
say() { echo "LONGSHORE-RELAY $*"; }
unit_of() { cat "$units/${1##*/}" 2> /dev/null; }
. "$agent"
make_credentials "$pki" "$address" || exit 1
serve "$port" default --readonly &
disks="$writable" serve "$writes" none &
tell writes "$writes"
tell endpoint "$address:$port"
while :; do take_client "$pki"; take_writable "$writable"; sleep 0.2; done
"""


class ProxyGuest:
    """A guest that runs from `start` on until `stop`."""

    def __init__(
        self, machine: VirtualMachine, directory: Path, agent: Path, delay: float, forgets: bool, more: int
    ) -> None:
        """`agent`: the relay's program. `delay`: seconds until a disk shows; below zero: none ever does. Not `forgets`:
        what was detached is shown still, as by a kernel that wasn't told. `more`: bytes that it shows of each disk
        beside its own."""
        self._machine = machine
        self._directory = directory
        self._agent = agent
        self._delay = delay
        self._forgets = forgets
        self._more = more
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._kernel = threading.Thread(target=self._live, name=f"{machine.spec.name} guest", daemon=True)

    def start(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        for name in ("disks", "units", "writable", "guestinfo", "bin"):
            (self._directory / name).mkdir(parents=True)
        rpc = self._directory / "bin" / "vmware-rpctool"
        rpc.write_text(_RPC)
        rpc.chmod(0o755)
        with socket.socket(socket.AF_INET6) as probe, socket.socket(socket.AF_INET6) as other:
            ports = []
            for one in (probe, other):
                one.bind(("::", 0))
                ports.append(one.getsockname()[1])
        told = {
            "PATH": f"{rpc.parent}:{os.environ['PATH']}", "GUESTINFO": self._directory / "guestinfo",
            "agent": self._agent, "parent": os.getpid(), "address": ADDRESS, "port": ports[0],
            "writes": ports[1], "writable": self._directory / "writable", "units": self._directory / "units",
            "disks": self._directory / "disks", "zeroes": "noextents", "pki": self._directory / "pki",
        }  # fmt: skip
        with (self._directory / "console").open("wb") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", _INIT], env={**os.environ, **{name: str(value) for name, value in told.items()}},
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        atexit.register(self.stop)
        self._kernel.start()

    def stop(self) -> None:
        """End it, as when its kernel panics: what is attached stays so."""
        self._ended.set()
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._kernel.ident is not None:
            self._kernel.join(60)  # it may be showing a disk, in the directory that its successor empties
        for disk in list(self._machine.foreign):
            disk.carry_back()

    def _live(self) -> None:
        seen: dict[str, float] = {}  # by the file's name, when it was first seen attached
        shown: dict[str, ForeignDisk] = {}
        while not self._ended.wait(LOOK_EVERY):
            self._carry_words()
            attached = {udev_name(disk.uuid): disk for disk in list(self._machine.foreign)}
            gone = [name for name, disk in shown.items() if attached.get(name) is not disk]
            for name in gone if self._forgets else ():
                (self._directory / "disks" / name).unlink(missing_ok=True)
                seen.pop(name, None)
                shown.pop(name)
            if self._delay < 0 or not self._machine.get("config.flags").diskUuidEnabled:
                continue
            for name, disk in attached.items():
                since = seen.setdefault(name, time.monotonic())
                if name not in shown and time.monotonic() - since >= self._delay and self._show(name, disk):
                    shown[name] = disk

    def _show(self, name: str, disk: ForeignDisk) -> bool:
        new, top = self._directory / f"{name}.new", disk.layers[-1]
        form = "raw" if len(disk.layers) == 1 else "qcow2"
        command = ["qemu-img", "convert", "-U", "-f", form, "-O", "raw", top, str(new)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return False  # it was detached, or deleted, meanwhile
        os.truncate(new, new.stat().st_size + self._more)
        (self._directory / "units" / name).write_text(str(disk.unit))
        disk.shown = new.rename(self._directory / "disks" / name)
        return True

    def _carry_words(self) -> None:
        """Carry words between the machine's settings and the guest's program."""
        here = self._directory / "guestinfo"
        options = {option.key: option.value for option in self._machine.properties["config"].extraConfig}
        for name in ("client", "writable"):
            file = here / name
            if (wanted := options.get(f"{_TOLD}{name}", "")) != (file.read_text() if file.exists() else ""):
                (here / f".{name}").write_text(wanted)
                (here / f".{name}").rename(file)
        said = {name: here / name for name in ("server", "writes", "endpoint")}
        news = {f"{_TOLD}{name}": path.read_text() for name, path in said.items() if path.exists()}
        if any(options.get(key) != value for key, value in news.items()):
            self._machine.put_extra(news)


def udev_name(uuid: str) -> str:
    return f"wwn-0x{uuid.replace('-', '').lower()}"
