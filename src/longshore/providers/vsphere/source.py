"""A vCenter as a source of machines: see `longshore.providers.contract`.

There are no volumes without machines, and no quota: snapshots grow on datastores, which the inventory tells of.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from longshore.blocks.exports import Export
from longshore.model.changes import Changes
from longshore.model.inventory import Inventory
from longshore.model.machine import Machine, PowerState, Snapshot
from longshore.model.proxy import NewProxy, Proxy
from longshore.model.selection import EVERY, MachineFilter
from longshore.model.source_marks import MarkKind
from longshore.model.target import Owner
from longshore.providers.contract import Source
from longshore.providers.vsphere import (
    inventory,
    machine_list,
    making,
    new_proxies,
    power,
    snapshots,
    source_marks,
    tags,
    writing,
)
from longshore.providers.vsphere.export_disks import ExportLeases, end_lease, is_lease
from longshore.providers.vsphere.proxy_pool import ProxyPool, let_go
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.transports import transport_of


class VsphereSource(Source):
    """Logs in at first use. May be used from several threads at once."""

    def __init__(
        self,
        settings: VsphereSettings,
        password: str | Callable[[], str],
        ssh_key: str = "",
        proxy_key: str = "",
        held: ProxyPool | ExportLeases | None = None,
    ) -> None:
        """`password` may be a function, asked at each login, so that the secret need not be kept in memory.

        `ssh_key` is the private key by which ESXi hosts are logged in to, where the settings say that disks are read
        over SSH; `proxy_key` is the key pair that a proxy knows us by; `held` is what vSphere has to be given back: the
        disks that are attached to it, or leases.
        """
        self._session = VsphereSession(settings, password if callable(password) else lambda: password)
        self._transport = transport_of(self._session, ssh_key, proxy_key, held)

    def __repr__(self) -> str:
        return f"VsphereSource({self._session.settings.username} at {self._session.label})"

    def check(self) -> dict[str, str]:
        """Log in, to the ESXi hosts or the proxy as well if disks are read there, and say what was found.

        Raises AccessDenied, FingerprintMismatch, Unreachable; what a host says when none of them lets Longshore in.
        """
        about = self._session.content.about
        found = {
            "name": about.fullName,
            "version": about.version,
            "build": about.build,
            "kind": "vcenter" if about.apiType == "VirtualCenter" else "esxi",
            "user": self._session.settings.username,
            "fingerprint": self._session.certificate.sha256,
            "instance": about.instanceUuid or "",
        }
        if versions := inventory.versions_of_hosts(self._session):
            found["hosts"] = versions
        return found | self._transport.check()

    def close(self) -> None:
        self._session.close()

    def machines(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        return machine_list.machines(self._session, wanted)

    def references(self, wanted: MachineFilter = EVERY) -> list[str]:
        return machine_list.references(self._session, wanted)

    def describe(self, refs: Sequence[str]) -> Iterator[Machine]:
        return machine_list.describe(self._session, refs)

    def tags(self, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return tags.of(self._session, refs)

    def inventory(self) -> Inventory:
        return inventory.inventory(self._session)

    def machine(self, word: str) -> Machine:
        return machine_list.find(self._session, word)

    def by_reference(self, ref: str) -> Machine:
        return machine_list.by_reference(self._session, ref)

    def registered_as(self, known: Machine) -> str | None:
        return machine_list.registered_as(self._session, known)

    def power_state(self, machine_ref: str) -> PowerState:
        return power.state(self._session, machine_ref)

    def last_start(self, machine_ref: str) -> str | None:
        return power.last_start(self._session, machine_ref)

    def shut_down(self, machine_ref: str) -> None:
        power.shut_down(self._session, machine_ref)

    def power_off(self, machine_ref: str) -> None:
        power.power_off(self._session, machine_ref)

    def power_on(self, machine_ref: str) -> None:
        self._transport.free(machine_ref)
        power.power_on(self._session, machine_ref)

    def wait_powered_off(self, machine_ref: str, timeout: float) -> bool:
        return power.wait_powered_off(self._session, machine_ref, timeout)

    def before_mark(self, machine_ref: str, kind: MarkKind, text: str) -> str | None:
        return source_marks.before(self._session, machine_ref, kind, text)

    def mark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> None:
        source_marks.put(self._session, machine_ref, kind, text, before)

    def unmark(self, machine_ref: str, kind: MarkKind, text: str, before: str) -> bool:
        return source_marks.take_away(self._session, machine_ref, kind, text, before)

    def set_change_tracking(self, machine_ref: str, on: bool) -> bool:
        return snapshots.track_changes(self._session, machine_ref, on)

    def snapshot(self, machine_ref: str, name: str, owner: Owner, *, quiesce: bool) -> Snapshot:
        self._transport.free(machine_ref)
        return snapshots.create(self._session, machine_ref, name, owner, quiesce=quiesce)

    def find_snapshot(self, machine_ref: str, owner: Owner) -> Snapshot | None:
        return snapshots.find(self._session, machine_ref, owner)

    def remove_snapshot(self, machine_ref: str, snapshot_ref: str) -> None:
        self._transport.before_removal(machine_ref, snapshot_ref)
        snapshots.remove(self._session, machine_ref, snapshot_ref)

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        return self._transport.changed(snapshot, disk_key, since)

    def make_ready(self, owner: Owner, machine_ref: str) -> None:
        """Check that disks can be read: nothing has to be begun, but without VDDK, or a host or proxy that lets
        Longshore in, nothing can be read.

        Raises InvalidInput, AccessDenied, FingerprintMismatch, Unreachable.
        """
        self._transport.make_ready(machine_ref)

    def check_way_back(self, machine_ref: str) -> None:
        self._transport.refuse_writing()
        writing.check(self._session, machine_ref)

    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> AbstractContextManager[Export]:
        return self._transport.open_disk_to_write(snapshot, disk_key, size)

    def tracks_writes(self) -> bool:
        return self._transport.tracks_writes

    def revert(self, machine_ref: str, snapshot_ref: str) -> None:
        self._transport.before_removal(machine_ref, snapshot_ref)
        snapshots.revert(self._session, machine_ref, snapshot_ref)
        power.power_off(self._session, machine_ref)

    def check_new_machine(self, like: Machine) -> None:
        self._transport.refuse_writing()
        making.check(self._session, like)

    def create_machine(self, like: Machine, owner: Owner) -> str:
        return making.create(self._session, like, owner)

    def set_boot_order(self, machine_ref: str, like: Machine) -> tuple[str, ...]:
        return making.set_boot_order(self._session, machine_ref, like)

    def find_machine(self, name: str, owner: Owner) -> str | None:
        return making.find(self._session, name, owner)

    def delete_machine(self, machine_ref: str, owner: Owner) -> None:
        making.delete(self._session, machine_ref, owner)

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return self._transport.open_disk(snapshot, disk_key)

    def proxies(self) -> list[Proxy]:
        return self._transport.proxies()

    def check_new_proxy(self, wanted: NewProxy) -> None:
        new_proxies.check(self._session, wanted)

    def create_proxy(self, wanted: NewProxy, image: Path, owner: Owner, told: Callable[[int, str], None]) -> str:
        return new_proxies.create(self._session, wanted, image, owner, told)

    def delete_proxy(self, name: str, owner: Owner) -> bool:
        return new_proxies.delete(self._session, name, owner)

    def let_go(self, note: str) -> None:
        (end_lease if is_lease(note) else let_go)(self._session, note)
