"""One machine: its QEMU, its disks' chains, its points (snapshots), and what of all that outlives this process."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .chain import Chain
from .channel import GuestChannel
from .locks import Busy, MachineError, is_written, refuse_if_open
from .qemu import Hardware, Places, command_line
from .qmp import QemuGone, Qmp, QmpError
from .recovery import settle

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiskFiles:
    key: int
    base: str
    image: str


def _new_epoch() -> str:
    digits = uuid.uuid4().hex
    pairs = [digits[i : i + 2] for i in range(0, 32, 2)]
    return " ".join(pairs[:8]) + "-" + " ".join(pairs[8:])


class Machine:
    """A machine whose state is kept in `folder`. `lock` guards everything that changes its chains or its power."""

    def __init__(self, hardware: Hardware, folder: Path, sockets: Path, logs: Path, disks: list[DiskFiles]) -> None:
        self.hardware = hardware
        self.folder = folder
        name = hardware.name
        self.places = Places(
            sockets / f"{name}.qmp", sockets / f"{name}.tools", sockets / f"{name}.pid",
            logs / f"{name}.console.log", logs / f"{name}.qemu.log", folder / "nvram.fd",
        )  # fmt: skip
        self.lock = threading.RLock()
        self.channel = GuestChannel(self.places.tools)
        self.on_stop: Callable[[], None] = lambda: None
        """Called, with the lock held, once QEMU has ended, by our wish or by itself."""
        self.qmp: Qmp | None = None
        self.pid: int | None = None
        self.disks = disks
        self.chains = [Chain(disk.key, [disk.base], disk.image) for disk in disks]
        self.points: dict[str, dict[int, str]] = {}
        """Point name -> disk key -> the layer that was frozen then."""
        self.pending: dict[int, str] = {}
        """Disk key -> the overlay that is just being made: known on disk before QEMU makes it."""
        self.owner_record: dict[str, Any] = {}
        """What the owner wants kept with the machine's state."""

    # -- state on disk, written before and after each change of a chain
    @property
    def _state_file(self) -> Path:
        return self.folder / "state.json"

    def store(self) -> None:
        state = {
            "chains": [chain.save() for chain in self.chains],
            "points": self.points,
            "pending": self.pending,
            "owner": self.owner_record,
        }
        new = self.folder / "state.new"
        with open(new, "w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, self._state_file)

    def recover(self) -> bool:
        """Take up what an earlier life of this process left; whether the machine is running."""
        if not self._state_file.exists():
            return False
        with self.lock:
            state = json.loads(self._state_file.read_text())
            self.chains = [Chain.load(saved) for saved in state["chains"]]
            self.points = {name: {int(k): v for k, v in layers.items()} for name, layers in state["points"].items()}
            self.pending = {int(k): v for k, v in state["pending"].items()}
            self.owner_record = state["owner"]
            with suppress(OSError):
                self.qmp = Qmp(self.places.qmp)
            if self.qmp:
                self.pid = int(self.places.pid.read_text())
                while self.qmp.command("query-jobs"):  # a merge that was under way: let it end
                    time.sleep(0.1)
            self._settle()
            if self.qmp:
                self._watch(None)
            self.store()
            return self.qmp is not None

    def _settle(self) -> None:
        for note in settle(self.chains, self.qmp, self.pending):
            log.info("%s: %s", self.hardware.name, note)
        self.pending = {}

    # -- power
    @property
    def running(self) -> bool:
        return self.qmp is not None

    def start(self) -> None:
        """Switch on. Raises MachineError if QEMU doesn't start."""
        with self.lock:
            self.places.qmp.parent.mkdir(parents=True, exist_ok=True)
            self.places.console.parent.mkdir(parents=True, exist_ok=True)
            for chain in self.chains:
                chain.materialize()
                if chain.epoch and chain.top == chain.base:
                    self._push_offline(chain)  # changes are only seen in overlays
            if self.hardware.nvram and not self.places.variables.exists():
                shutil.copyfile(self.hardware.nvram, self.places.variables)
            for path in (self.places.qmp, self.places.tools, self.places.pid):
                path.unlink(missing_ok=True)
            self.store()
            with open(self.places.messages, "a") as messages:
                process = subprocess.Popen(
                    command_line(self.hardware, self.chains, self.places),
                    stdin=subprocess.DEVNULL, stdout=messages, stderr=messages,
                    start_new_session=True,  # lives on when we die, as an ESXi host's machines do
                )  # fmt: skip
            self.pid = process.pid
            end = time.monotonic() + 30
            while not self.qmp:
                if process.poll() is not None or time.monotonic() > end:
                    raise MachineError("QEMU did not start: " + self.places.messages.read_text()[-500:].strip())
                try:
                    self.qmp = Qmp(self.places.qmp)
                except (OSError, ValueError):
                    time.sleep(0.02)
            self._watch(process)

    def _watch(self, process: subprocess.Popen[bytes] | None) -> None:
        """Wait, in a thread, for the end of QEMU; then put the chains in order and tell the owner."""
        qmp, pid = self.qmp, self.pid
        assert qmp

        def wait() -> None:
            qmp.wait_gone()
            if process:
                process.wait()
            while not process and _alive(pid):
                time.sleep(0.05)
            with self.lock:
                self.qmp = self.pid = None
                self.channel.close()
                self._settle()  # QEMU may have died halfway through anything
                if not self.points:
                    self.flatten()
                self.store()
                self.on_stop()

        threading.Thread(target=wait, name=f"{self.hardware.name} watch", daemon=True).start()

    def _monitor(self) -> Qmp:
        if self.qmp is None:
            raise MachineError(f"{self.hardware.name} is not running.")
        return self.qmp

    def quit(self) -> None:
        """Switch off as by pulling the plug of a machine whose disks have no cache: what QEMU has is flushed."""
        with suppress(QemuGone):
            self._monitor().command("quit")

    def kill(self) -> None:
        """Kill QEMU itself, as when the host loses power."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)

    def press_power_button(self) -> None:
        self._monitor().command("system_powerdown")

    def reset(self) -> None:
        self._monitor().command("system_reset")

    # -- points
    def point(self, name: str, tracking: bool) -> dict[int, int]:
        """Freeze all disks at one moment under this name. Disk key -> number of the point, if changes are tracked."""
        with self.lock:
            for chain in self.chains:
                chain.materialize()
                if tracking:
                    chain.epoch = chain.epoch or _new_epoch()
                    chain.seq += 1
            frozen = {chain.key: chain.top for chain in self.chains}
            self._push(self.chains)
            self.points[name] = frozen
            self.store()
            return {chain.key: chain.seq for chain in self.chains} if tracking else {}

    def layers_at(self, point: str, key: int) -> list[str]:
        """The layers of a disk at a point, oldest first."""
        chain = next(chain for chain in self.chains if chain.key == key)
        return chain.readable_layers(self.points[point][key])

    def _push(self, chains: list[Chain]) -> None:
        """A new overlay on each of these chains, all at one moment; what is below is then as it was at that moment."""
        if not self.qmp:
            for chain in chains:
                self._push_offline(chain)
            return
        self.pending = {chain.key: chain.next_layer for chain in chains}
        self.store()
        actions = [
            {
                "type": "blockdev-snapshot-sync",
                "data": {
                    "node-name": chain.node(chain.top),
                    "snapshot-file": chain.next_layer,
                    "snapshot-node-name": chain.node(chain.next_layer),
                    "format": "qcow2",
                    "mode": "absolute-paths",
                },
            }
            for chain in chains
        ]
        self.qmp.command("transaction", {"actions": actions})
        for chain in chains:
            chain.push(chain.next_layer)
        self.pending = {}

    def _push_offline(self, chain: Chain) -> None:
        layer = chain.next_layer
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", chain.format(chain.top), "-b", chain.top, layer)
        chain.push(layer)

    def forget_changes(self) -> None:
        with self.lock:
            for chain in self.chains:
                chain.forget_changes()
            self.store()

    # -- merging what no point needs any more
    def remove_points(self, names: list[str]) -> None:
        """Forget these points and merge every layer that no other point needs, guest running or not. Raises Busy."""
        with self.lock:
            for name in names:
                self.points.pop(name, None)
            self.store()
            if self.qmp:
                # A fresh overlay on top first: the guest's writes go on there and can't race the merge below it.
                # (Committing the layer that is being written makes QEMU 7.2 with pvscsi abort under load.)
                busy = [chain for chain in self.chains if len(self._groups(chain)[-1]) > 1]
                if busy:
                    self._push(busy)
                    self.store()
            for chain in self.chains:
                for group in self._groups(chain):
                    still = group[:-1] if self.qmp and group[-1] == chain.top else group
                    if len(still) > 1:
                        self._merge(chain, still)
            self.store()

    @property
    def unmerged(self) -> bool:
        """Whether there are layers that no point needs and that wait to be merged."""
        return any(
            len(group) > (2 if self.qmp and group[-1] == chain.top else 1)
            for chain in self.chains
            for group in self._groups(chain)
        )

    def flatten(self) -> None:
        """Switched off and without points: merge everything into the base, except where a reader has it open."""
        for chain in self.chains:
            if len(chain.layers) > 1:
                try:
                    self._merge(chain, list(chain.layers))
                except Busy as error:
                    log.info("%s: not merged, %s is open", self.hardware.name, error)

    def _groups(self, chain: Chain) -> list[list[str]]:
        """The layers in groups that may become one each: a point's layer is the last of its group."""
        pinned = {layers[chain.key] for layers in self.points.values()}
        groups: list[list[str]] = [[]]
        for layer in chain.layers:
            groups[-1].append(layer)
            if layer in pinned:
                groups.append([])
        return [group for group in groups if group]

    def _merge(self, chain: Chain, group: list[str]) -> None:
        """Make one layer, the lowest, of these."""
        lowest, highest, upper = group[0], group[-1], group[1:]
        for layer in group:
            refuse_if_open(layer)
        if self.qmp:
            self._merge_online(self.qmp, chain, group)
        else:
            for layer in upper:
                chain.freeze(layer)
            _run("qemu-img", "commit", "-q", "-d", "-b", lowest, "-f", "qcow2", highest)
            above = chain.layers.index(highest) + 1
            if above < len(chain.layers):
                below = ("-F", chain.format(lowest), "-b", lowest)
                _run("qemu-img", "rebase", "-q", "-u", *below, "-f", "qcow2", chain.layers[above])
        chain.layers = [layer for layer in chain.layers if layer not in upper]
        if not self.qmp and chain.epoch and chain.top == lowest != chain.base:
            chain.born.setdefault(lowest, chain.seq)  # it is written from now on, and what it holds counts as written
        for layers in self.points.values():
            if layers[chain.key] == highest:
                layers[chain.key] = lowest  # the same content in another file
        self.store()
        for layer in upper:
            os.unlink(layer)

    def _merge_online(self, qmp: Qmp, chain: Chain, group: list[str]) -> None:
        job = f"merge-{chain.key}"
        arguments = {
            "job-id": job,
            "device": chain.node(chain.top),
            "top-node": chain.node(group[-1]),
            "base-node": chain.node(group[0]),
        }
        qmp.run_job(job, lambda: qmp.command("block-commit", arguments))
        for layer in group[1:]:
            with suppress(QmpError):  # only nodes of the command line outlive the job
                qmp.command("blockdev-del", {"node-name": chain.node(layer)})

    def revert(self, name: str) -> None:
        """Back to a point, which stays: what was written since is gone. Only while switched off. Raises Busy."""
        with self.lock:
            if self.running:
                raise MachineError(f"{self.hardware.name} is running.")
            frozen = self.points[name]
            newer = {c.key: c.layers[c.layers.index(frozen[c.key]) + 1 :] for c in self.chains}
            pinned = {layer for layers in self.points.values() for layer in layers.values()}
            if any(layer in pinned for layers in newer.values() for layer in layers):
                raise MachineError(f"{self.hardware.name} has newer points: branches aren't kept.")
            for layer in (layer for layers in newer.values() for layer in layers):
                refuse_if_open(layer)
            for chain in self.chains:
                chain.layers = [layer for layer in chain.layers if layer not in newer[chain.key]]
                chain.born = {layer: seq for layer, seq in chain.born.items() if layer in chain.layers}
                self._push_offline(chain)
            self.store()
            for layer in (layer for layers in newer.values() for layer in layers):
                Path(layer).unlink(missing_ok=True)

    # -- back to the beginning
    def erase(self) -> None:
        """Forget all that was ever written. Only while switched off."""
        with self.lock:
            if self.running:
                raise MachineError(f"{self.hardware.name} is running.")
            self.points, self.owner_record = {}, {}
            for disk in self.disks:
                base = Path(disk.base)
                for path in [base, *base.parent.glob(base.name.removesuffix("flat.vmdk") + "*.qcow2")]:
                    path.unlink(missing_ok=True)
            self._state_file.unlink(missing_ok=True)
            self.places.variables.unlink(missing_ok=True)
            self.places.console.unlink(missing_ok=True)
            self.chains = [Chain(disk.key, [disk.base], disk.image) for disk in self.disks]

    def written_layer(self) -> str | None:
        """A layer that somebody writes in the disk library."""
        return next((chain.top for chain in self.chains if is_written(chain.top)), None)

    def open_layers(self) -> list[str]:
        """The layers (or images, while nothing was written) that readers have open in the disk library."""
        found = []
        with self.lock:
            for layer in {layer for chain in self.chains for layer in chain.readable_layers()}:
                try:
                    refuse_if_open(layer)
                except Busy:
                    found.append(layer)
        return sorted(found)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise MachineError(f"{command[0]} {command[1]} failed: {error.stderr.strip()}") from error


def _alive(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
