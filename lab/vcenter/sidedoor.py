"""The side door: what a test may do behind the API's back. HTTP with JSON over a unix socket.

POST /<command> with a JSON object of arguments; the answer is {"result": …}, or {"error": "…"} with status 400.
sidedoor_client.py says what the commands do.
"""

from __future__ import annotations

import http.server
import json
import logging
import os
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .access import AuthorizationManager, CustomFieldsManager
from .certificate import ensure_certificate, thumbprint
from .context import Context
from .disk_table import ReadError
from .export import Lease
from .export_trouble import ExportTrouble
from .faults import PlannedFault
from .guest_info import GuestReport
from .importing import ImportLease
from .machine import Machine
from .oddities import ODDITIES
from .places import Cluster
from .proxy_guest import ProxyGuest
from .server import VCenterServer
from .virtual_machine import VirtualMachine

log = logging.getLogger(__name__)


class Refused(Exception):
    """The command can't be carried out; the text says why."""


class SideDoor:
    """The commands: every public method."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._guests: dict[str, ProxyGuest] = {}
        self._export_host: tuple[str, str] | None = None

    def _machine(self, name: str) -> VirtualMachine:
        machine = self._context.inventory.machine(name)
        if machine is None:
            raise Refused(f"There is no machine {name}.")
        return machine

    def _real(self, name: str) -> tuple[VirtualMachine, Machine]:
        machine = self._machine(name)
        if machine.machine is None:
            raise Refused(f"{name} is in the inventory only.")
        return machine, machine.machine

    def ready(self) -> bool:
        return True

    # -- machines
    def machines(self) -> list[dict[str, Any]]:
        return [self._described(machine) for machine in self._context.inventory.machines()]

    def _described(self, machine: VirtualMachine) -> dict[str, Any]:
        real = machine.machine
        described: dict[str, Any] = {
            "name": machine.spec.name,
            "moref": machine.moid,
            "power": str(machine.get("runtime.powerState")),
            "tools": machine.tools_running,
            "tracking": machine.tracking,
            "foreign": [disk.name for disk in machine.foreign],
            "consolidation_needed": bool(machine.get("runtime.consolidationNeeded")),
            "snapshots": [
                {"moref": snapshot.moid, "names": snapshot.names, "points": snapshot.seqs}
                for snapshot in machine.snapshots()
            ],
        }
        if real:
            with real.lock:
                described["pid"] = real.pid
                described["chains"] = {chain.key: chain.layers for chain in real.chains}
                described["points"] = dict(real.points)
                described["open_layers"] = real.open_layers()
        return described

    def fingerprint(self) -> dict[str, Any]:
        """What must be as before once a client has cleaned up after itself."""
        return {
            "machines": {
                machine.spec.name: {
                    "power": str(machine.get("runtime.powerState")),
                    "tracking": machine.tracking,
                    "foreign": [disk.name for disk in machine.foreign],
                    "consolidation_needed": bool(machine.get("runtime.consolidationNeeded")),
                    "snapshots": [snapshot.moid for snapshot in machine.snapshots()],
                    "open_layers": machine.machine.open_layers() if machine.machine else [],
                }
                for machine in self._context.inventory.machines()
            },
            "open_leases": [
                lease.moid for kind in (Lease, ImportLease) for lease in self._context.of_type(kind) if lease.is_open
            ],
        }

    def reset_machine(self, machine: str) -> None:
        found, _ = self._real(machine)
        found.back_to_pristine()

    def add_machine(self, like: str, name: str, **changes: Any) -> str:
        from dataclasses import asdict

        wanted = asdict(self._machine(like).spec)
        made = self._context.inventory.add({**wanted, "attributes": {}, **changes, "name": name})
        return self._attach(made)

    def add_paper_machines(self, count: int, prefix: str, disks: int, capacity: int, running: bool = False) -> int:
        for number in range(1, count + 1):
            high, low = number >> 8 & 255, number & 255
            mac = f"00:50:56:b0:{high:02x}:{low:02x}"
            wanted = {
                "name": f"{prefix}{number:05}",
                "datacenter": "DC0",
                "cluster": "cluster1",
                "folder": f"paper/{number // 500:03}",
                "guest_id": "debian12_64Guest",
                "disks": [{"datastore": "datastore1", "capacity": capacity}] * disks,
                "nics": [{"network": "VM Network", "mac": mac}],
            }
            made = self._context.inventory.add(wanted, lasting=False)
            if running:
                made.pretend_to_run(GuestReport(made.spec.name, {mac: (f"10.20.{high}.{low}/16",)}))
        for fields in self._context.of_type(CustomFieldsManager):
            fields.attach_to_all()
        return count

    def make_odd(self, machine: str, oddity: str) -> None:
        if oddity not in ODDITIES:
            raise Refused(f"There is no oddity {oddity}.")
        ODDITIES[oddity](self._machine(machine))

    def set_free_space(self, datastore: str, free: int) -> None:
        found = self._context.inventory.datastore_named(datastore)
        if found is None:
            raise Refused(f"There is no datastore {datastore}.")
        found.set(summary__freeSpace=free)

    def set_kind(self, datastore: str, kind: str) -> None:
        found = self._context.inventory.datastore_named(datastore)
        if found is None:
            raise Refused(f"There is no datastore {datastore}.")
        found.set(summary__type=kind)

    def move_storage(self, machine: str, datastore: str) -> None:
        found = self._context.inventory.datastore_named(datastore)
        if found is None:
            raise Refused(f"There is no datastore {datastore}.")
        self._real(machine)[0].move_storage(datastore, found.ref)

    def unmount(self, datastore: str, host: str) -> None:
        found = self._context.inventory.datastore_named(datastore)
        if found is None:
            raise Refused(f"There is no datastore {datastore}.")
        left = [mount for mount in found.get("host") if self._context.objects[mount.key._moId].get("name") != host]
        found.set(host=left)

    def _attach(self, machine: VirtualMachine) -> str:
        for fields in self._context.of_type(CustomFieldsManager):
            fields.attach(machine)
        return machine.moid

    def remove_machines(self, names: list[str]) -> None:
        for machine in [self._machine(name) for name in names]:
            self._context.inventory.remove(machine)

    def cut_power(self, machine: str) -> None:
        found, real = self._real(machine)
        real.kill()
        found.wait_off()

    def console(self, machine: str) -> str:
        path = self._real(machine)[1].places.console
        return path.read_text(errors="replace") if path.exists() else ""

    def say(self, machine: str, words: str, timeout: float) -> str | None:
        return self._real(machine)[1].channel.ask(words, timeout=timeout)

    def guest_writes(self, machine: str, disk: int, offset: int, pattern: int, length: int) -> None:
        real = self._real(machine)[1]
        if real.qmp is None:
            raise Refused(f"{machine} is off: no guest writes.")
        line = f'qemu-io -d d{disk} "write -P {pattern} {offset} {length}"'
        said = real.qmp.command("human-monitor-command", {"command-line": line})
        if "wrote" not in str(said) and said:
            raise Refused(f"{machine}: {said}")

    def ignore_shutdown(self, machine: str, ignore: bool) -> None:
        self._machine(machine).ignores_shutdown = ignore

    # -- machines that others' disks are attached to
    def start_proxy(self, machine: str, agent: str, delay: float, forgets: bool, more: int) -> None:
        self.stop_proxy(machine)
        found = self._machine(machine)
        found.pretend_to_run(None)
        home = self._context.settings.lab / "run" / "proxies" / machine
        guest = ProxyGuest(found, home, Path(agent), delay, forgets, more)
        guest.start()
        self._guests[machine] = guest

    def boot_proxies(self, agent: str) -> None:
        """Have each machine that was imported run the relay's program when it is powered on, from now on."""
        self._context.boot = lambda machine: self.start_proxy(machine.spec.name, agent, 0.0, forgets=True, more=0)

    def lease_for(self, seconds: float) -> None:
        self._context.lease_seconds = seconds

    def trouble_exports(self, host: bool = False, stranger: bool = False, **ordered: Any) -> None:
        """Order faults of exports. `host`: disks are fetched from a host with a certificate of its own; `stranger`:
        which isn't the one that the lease names."""
        settings = self._context.settings
        if host and self._export_host is None:
            certificate, key = (settings.lab / "etc" / f"export-host.{kind}" for kind in ("crt", "key"))
            ensure_certificate(certificate, key, "esx1.lab", "127.0.0.1")
            server = VCenterServer(self._context, certificate, key, ("127.0.0.1", 0))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self._export_host = f"127.0.0.1:{server.server_address[1]}", thumbprint(certificate)
        where, print_ = self._export_host if host and self._export_host else ("", "")
        self._context.exports = ExportTrouble(where, "" if stranger else print_, **ordered)

    def enable_drs(self, on: bool) -> None:
        for cluster in self._context.of_type(Cluster):
            cluster.set(configurationEx__drsConfig__enabled=on)

    def stop_proxy(self, machine: str) -> None:
        if (guest := self._guests.pop(machine, None)) is not None:
            guest.stop()

    def leave_out(self, machine: str, disk: int, offset: int, length: int) -> None:
        self._machine(machine).untold.append((disk, offset, length))

    def slow_down(self, machine: str, seconds: float) -> None:
        self._machine(machine).reconfigured_after = seconds

    def reset_change_tracking(self, machine: str) -> None:
        self._real(machine)[0].forget_changes()

    # -- the service
    def expire_sessions(self) -> int:
        return self._context.sessions.close_all()

    def sessions(self) -> int:
        return len(self._context.sessions.items())

    def plan_fault(self, **planned: Any) -> None:
        try:
            self._context.faults.add(PlannedFault(**planned))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Refused(f"No such fault: {error}") from None

    def planned_faults(self) -> list[dict[str, Any]]:
        return self._context.faults.listing()

    def deny_privileges(self, privileges: list[str]) -> None:
        for manager in self._context.of_type(AuthorizationManager):
            manager.denied = set(privileges)

    # -- the disk library
    def _disk(self, machine: str, key: int) -> str:
        found = self._machine(machine)
        if key not in [disk.key for disk in found.disks]:
            raise Refused(f"{machine} has no disk {key}.")
        return f"{found.moid}:{key}"

    def plan_read_error(self, machine: str, disk: int, offset: int, times: int) -> None:
        moref = self._disk(machine, disk).partition(":")[0]
        self._context.table.add_read_error(ReadError(moref, disk, offset, times))

    def set_read_latency(self, machine: str, disk: int, milliseconds: int) -> None:
        self._context.table.set_latency(self._disk(machine, disk), milliseconds)

    def set_read_speed(self, machine: str, disk: int, mib_per_s: int) -> None:
        self._context.table.set_speed(self._disk(machine, disk), mib_per_s)

    def set_largest_read(self, size: int) -> None:
        self._context.table.set_largest_read(size)

    def disk_trouble(self) -> dict[str, Any]:
        return self._context.table.trouble()

    def clear_trouble(self) -> None:
        """No faults, no denied privileges, no trouble in the disk library, no machine that ignores its power button."""
        self._context.faults.clear()
        self._context.table.clear_trouble()
        self.deny_privileges([])
        self._context.exports = ExportTrouble()
        for machine in self._context.inventory.machines():
            machine.ignores_shutdown = False


class _Handler(http.server.BaseHTTPRequestHandler):
    server: SideDoorServer

    def log_message(self, *args: object) -> None:
        pass

    def address_string(self) -> str:
        return "side door"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = 200, {}
        try:
            answer = {"result": self._command()(**json.loads(body or "{}"))}
        except (Refused, TypeError) as error:
            status, answer = 400, {"error": str(error)}
        except Exception as error:
            log.exception("side door: %s", self.path)
            status, answer = 500, {"error": repr(error)}
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _command(self) -> Callable[..., Any]:
        name = self.path.strip("/")
        command = None if name.startswith("_") else getattr(self.server.side_door, name, None)
        if not callable(command):
            raise Refused(f"There is no command {name}.")
        found: Callable[..., Any] = command
        return found


class SideDoorServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, context: Context, path: Path) -> None:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)
        self.side_door = SideDoor(context)
