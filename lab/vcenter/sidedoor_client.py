"""Client of the lab vCenter's side door, for tests. Standard library only: it runs under any Python."""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

AGENT = Path(__file__).parents[2] / "src/longshore/providers/openstack/relay_image/recipe/agent"


class SideDoorError(Exception):
    """The vCenter refused a side door command; the text says why."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class SideDoor:
    """What a test may do behind the vCenter's API. Machines are named by their inventory names, disks by device key."""

    def __init__(self, socket_path: str | Path | None = None, timeout: float = 600) -> None:
        lab = os.environ.get("LONGSHORE_LAB", "/var/lib/longshore-lab")
        self.path = Path(socket_path or Path(lab) / "run" / "vcenter-side.sock")
        self.timeout = timeout

    def call(self, command: str, **arguments: Any) -> Any:
        """One command's result. Raises SideDoorError if it is refused, OSError if no vCenter listens."""
        connection = _UnixConnection(self.path, self.timeout)
        try:
            connection.request("POST", f"/{command}", json.dumps(arguments), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if "error" in answer:
            raise SideDoorError(f"{command}: {answer['error']}")
        return answer["result"]

    # -- machines
    def machines(self) -> dict[str, dict[str, Any]]:
        """By name: moref, power, tools, tracking, consolidation_needed, snapshots, and of real machines also pid,
        chains (disk key -> layers, oldest first), points and open_layers (open in the disk library)."""
        return {machine["name"]: machine for machine in self.call("machines")}

    def machine(self, name: str) -> dict[str, Any]:
        return self.machines()[name]

    def fingerprint(self) -> dict[str, Any]:
        """Power states, snapshots, change tracking, layers open in the disk library, export leases: equal before and
        after, unless a client has left something behind."""
        found: dict[str, Any] = self.call("fingerprint")
        return found

    def reset_machine(self, machine: str) -> None:
        """Switch off (hard), drop all snapshots and change tracking, start over with the disks of the image."""
        self.call("reset_machine", machine=machine)

    def add_machine(self, like: str, name: str, **changes: Any) -> str:
        """A new machine like another one (its images, places, memory), with changes as in inventory.yaml:
        nics=[{"network": …, "mac": …}], memory_mib=…, folder=… Answers its moref."""
        return str(self.call("add_machine", like=like, name=name, **changes))

    def add_paper_machines(
        self, count: int, prefix: str = "paper", disks: int = 1, capacity: int = 16 << 30, running: bool = False
    ) -> int:
        """Machines that only the inventory knows, for large inventories. They are gone after a restart. `running`: they
        say that they run, and their guests' tools too, with the addresses 10.20.0.1 and up."""
        asked = {"count": count, "prefix": prefix, "disks": disks, "capacity": capacity}
        return int(self.call("add_paper_machines", **asked, **({"running": True} if running else {})))

    def make_odd(self, machine: str, oddity: str) -> None:
        """Give a machine, best one of paper, something that migrations have to look out for: see oddities.py."""
        self.call("make_odd", machine=machine, oddity=oddity)

    def set_free_space(self, datastore: str, free: int) -> None:
        """What a datastore says is free there, in bytes."""
        self.call("set_free_space", datastore=datastore, free=free)

    def remove_machines(self, *names: str) -> None:
        """Switch machines off and take them and their disks away."""
        self.call("remove_machines", names=list(names))

    def cut_power(self, machine: str) -> None:
        """Kill the machine's QEMU, as when its host loses power."""
        self.call("cut_power", machine=machine)

    def console(self, machine: str) -> str:
        """All that the guest wrote to its serial console since its disks were fresh."""
        return str(self.call("console", machine=machine))

    def say(self, machine: str, words: str, timeout: float = 5) -> str | None:
        """A line to the program in the guest, such as "pace 1000" or "heavy 50"; its answer, None without one."""
        answer = self.call("say", machine=machine, words=words, timeout=timeout)
        return None if answer is None else str(answer)

    def guest_writes(self, machine: str, disk: int, offset: int, pattern: int, length: int) -> None:
        """Write a byte over and over, as a running guest does, whatever it is: the disk is written and tracked."""
        self.call("guest_writes", machine=machine, disk=disk, offset=offset, pattern=pattern, length=length)

    def ignore_shutdown(self, machine: str, ignore: bool = True) -> None:
        """ShutdownGuest is answered, but nothing happens."""
        self.call("ignore_shutdown", machine=machine, ignore=ignore)

    # -- machines that others' disks are attached to
    def start_proxy(self, machine: str, delay: float = 0.0, forgets: bool = True, more: int = 0) -> None:
        """Run the relay's program, this tree's, in this machine of paper, which says that it is on. `delay`: seconds
        until a disk that is attached shows there; below zero, none ever does. Without `forgets` it shows what was
        detached still. It shows disks of `more` bytes than they have."""
        self.call("start_proxy", machine=machine, agent=str(AGENT), delay=delay, forgets=forgets, more=more)

    def boot_proxies(self) -> None:
        """Have machines that are imported run the relay's program, as `start_proxy` does, once they are powered on."""
        self.call("boot_proxies", agent=str(AGENT))

    def lease_for(self, seconds: float) -> None:
        """Have leases end after so many seconds without a word."""
        self.call("lease_for", seconds=seconds)

    def trouble_exports(self, host: bool = False, stranger: bool = False, **ordered: Any) -> None:
        """Have exports go wrong from now on, as export_trouble.py says. `host`: disks are fetched from one of its
        hosts, with a certificate of its own; `stranger`: which isn't the one that leases name."""
        self.call("trouble_exports", host=host, stranger=stranger, **ordered)

    def enable_drs(self, on: bool = True) -> None:
        """Have all clusters say that DRS moves machines, or that it doesn't."""
        self.call("enable_drs", on=on)

    def stop_proxy(self, machine: str) -> None:
        """Its guest dies; what is attached stays so."""
        self.call("stop_proxy", machine=machine)

    def set_kind(self, datastore: str, kind: str) -> None:
        """Have a datastore say that it is of this kind (VMFS, NFS, NFS41, vsan), until the vCenter is started again."""
        self.call("set_kind", datastore=datastore, kind=kind)

    def move_storage(self, machine: str, datastore: str) -> None:
        """Move a machine's disks, and what its snapshots hold of them, to another datastore, as far as names tell."""
        self.call("move_storage", machine=machine, datastore=datastore)

    def unmount(self, datastore: str, host: str) -> None:
        """Take a datastore away from a host, until the vCenter is started again."""
        self.call("unmount", datastore=datastore, host=host)

    def leave_out(self, machine: str, disk: int, offset: int, length: int) -> None:
        """Have its account of changes say nothing of these bytes from now on, as vCenter's has been seen to."""
        self.call("leave_out", machine=machine, disk=disk, offset=offset, length=length)

    def slow_down(self, machine: str, seconds: float) -> None:
        """Have each change of its configuration take this much longer."""
        self.call("slow_down", machine=machine, seconds=seconds)

    def reset_change_tracking(self, machine: str) -> None:
        """As after a crash of the host: tracking stays on, but all change ids known so far mean nothing."""
        self.call("reset_change_tracking", machine=machine)

    # -- the service
    def expire_sessions(self) -> int:
        """End all sessions; says how many there were."""
        return int(self.call("expire_sessions"))

    def sessions(self) -> int:
        return int(self.call("sessions"))

    def plan_fault(
        self,
        method: str,
        fault: str,
        *,
        times: int = 1,
        machine: str | None = None,
        arguments: dict[str, Any] | None = None,
        in_task: bool = False,
        carried_out: bool = False,
        message: str = "A fault that the test ordered.",
        properties: dict[str, Any] | None = None,
    ) -> None:
        """The next `times` calls (0: all) of a SOAP method, named as on the wire, fail with a fault such as
        vim.fault.TooManySnapshotLevels, or "hang-up": the connection is closed. `in_task`: the call is answered, its
        task fails. `carried_out`: what was asked for is done all the same. `machine`, `arguments` ({"quiesce": True})
        say which calls; `properties` are the fault's own."""
        self.call(
            "plan_fault", method=method, fault=fault, times=times, machine=machine, arguments=arguments or {},
            in_task=in_task, carried_out=carried_out, message=message, properties=properties or {},
        )  # fmt: skip

    def planned_faults(self) -> list[dict[str, Any]]:
        """The orders not yet used up."""
        return list(self.call("planned_faults"))

    def refuse_snapshots(self, machine: str, times: int = 0) -> None:
        self.plan_fault(
            "CreateSnapshot_Task", "vim.fault.SnapshotFault", times=times, machine=machine, in_task=True,
            message="An error occurred while taking a snapshot.",
        )  # fmt: skip

    def refuse_quiesce(self, machine: str, times: int = 0) -> None:
        self.plan_fault(
            "CreateSnapshot_Task", "vim.fault.ApplicationQuiesceFault", times=times, machine=machine, in_task=True,
            arguments={"quiesce": True}, message="An error occurred while quiescing the virtual machine.",
        )  # fmt: skip

    def deny_privileges(self, *privileges: str) -> None:
        """What the authorization manager shall say the user may not do; without names: nothing is denied."""
        self.call("deny_privileges", privileges=list(privileges))

    # -- the disk library
    def plan_read_error(self, machine: str, disk: int, offset: int, times: int = 1) -> None:
        """Reads that cover this byte fail: `times` of them, or all (0). Copies under way notice at once."""
        self.call("plan_read_error", machine=machine, disk=disk, offset=offset, times=times)

    def set_read_latency(self, machine: str, disk: int, milliseconds: int) -> None:
        """Every read takes this much longer; 0: none."""
        self.call("set_read_latency", machine=machine, disk=disk, milliseconds=milliseconds)

    def set_read_speed(self, machine: str, disk: int, mib_per_s: int) -> None:
        """Each connection to the disk reads no faster than this; 0: as fast as it can."""
        self.call("set_read_speed", machine=machine, disk=disk, mib_per_s=mib_per_s)

    def set_largest_read(self, size: int) -> None:
        """Bytes; larger reads are refused, as by a host whose copy service has no memory left. 2 MiB at first."""
        self.call("set_largest_read", size=size)

    def disk_trouble(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("disk_trouble")
        return found

    def clear_trouble(self) -> None:
        """No planned faults, denied privileges or trouble in the disk library; every machine heeds its power button."""
        self.call("clear_trouble")
