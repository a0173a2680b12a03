"""The transport of disks' bytes, as a provider's settings say: what differs by it, in one place."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

from longshore.blocks.exports import Export
from longshore.errors import InvalidInput, LongshoreError, ProviderError
from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.machine import Snapshot
from longshore.model.proxy import Proxy
from longshore.providers.vsphere import changes, disks, ssh_disks, writing
from longshore.providers.vsphere.export_disks import ExportLeases
from longshore.providers.vsphere.proxy_credentials import Credentials, read_credentials
from longshore.providers.vsphere.proxy_machine import ProxyMachine, find_proxy
from longshore.providers.vsphere.proxy_pool import ProxyPool, set_up
from longshore.providers.vsphere.session import VsphereSession


class _Reading:
    """A way to read machines' disks, by processes that end with whoever opened the disk, and not to write them.

    Ways that do more have methods of their own in place of these. Each has `open_disk` beside them, which serves a disk
    as the snapshot holds it, read-only. Errors are those of the contract.
    """

    tracks_writes = True
    reads: ClassVar[str]  # how disks are read, in words that follow "Disks are"

    def __init__(self, session: VsphereSession) -> None:
        self._session = session

    def check(self) -> dict[str, str]:
        """Return what else there is to be said of it when the vCenter has let us in."""
        return {}

    def proxies(self) -> list[Proxy]:
        """Return the machines that disks are attached to."""
        return []

    def make_ready(self, machine_ref: str) -> None:
        """Raise what stands against reading this machine's disks."""

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        """Return what was written between a change id and the snapshot."""
        return Unknown(f"Disks are {self.reads}, which can't tell what has changed.")

    def before_removal(self, machine_ref: str, snapshot_ref: str) -> None:
        """Let go of what keeps a snapshot from being merged."""

    def free(self, machine_ref: str) -> None:
        """Let go of what keeps a machine from being powered on, or a snapshot of it from being taken."""

    def refuse_writing(self) -> None:
        """Raise what stands against writing disks: InvalidInput where they can't be."""
        raise self._cant_write()

    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> AbstractContextManager[Export]:
        """Serve a disk for writing, above the snapshot, as one of `size` bytes if that is more than it has."""
        raise self._cant_write()

    def _cant_write(self) -> InvalidInput:
        return InvalidInput(
            f"Disks are {self.reads} here, which can't write them.",
            advice="Give this provider a proxy (docs/howto/vsphere-proxy.md), or VMware's disk library (VDDK).",
        )


class VddkTransport(_Reading):
    """VMware's disk library reads the disks."""

    def check(self) -> dict[str, str]:
        return disks.versions(self._session.settings)

    def make_ready(self, machine_ref: str) -> None:
        disks.refuse_missing(self._session.settings)

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        return changes.between(self._session, since, snapshot, disk_key)

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return disks.serve(self._session, snapshot, disk_key)

    def refuse_writing(self) -> None:
        disks.refuse_missing(self._session.settings)

    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> AbstractContextManager[Export]:
        return writing.serve(self._session, snapshot, disk_key, size)


class SshTransport(_Reading):
    """The disks are read as files of their ESXi hosts."""

    reads = "read over SSH"

    def __init__(self, session: VsphereSession, key: str) -> None:
        super().__init__(session)
        self._key = key

    def check(self) -> dict[str, str]:
        return ssh_disks.try_everywhere(self._session, self._key)

    def make_ready(self, machine_ref: str) -> None:
        ssh_disks.try_host_of(self._session, self._key, machine_ref)

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return ssh_disks.serve(self._session, self._key, snapshot, disk_key)


class ProxyTransport(_Reading):
    """The disks are attached to a machine of the same vSphere, which serves them."""

    tracks_writes = False  # by VMware's design a machine tracks what is written through itself

    def __init__(self, session: VsphereSession, credentials: Credentials, pool: ProxyPool | None) -> None:
        """`pool`: None where no disk is opened."""
        super().__init__(session)
        self._credentials = credentials
        self._pool = pool

    def check(self) -> dict[str, str]:
        """Set the proxies up, see that they answer, and say what they have. Raises what stands against the first one,
        if no other works."""
        found: dict[str, str] = {}
        failed: list[LongshoreError] = []
        for word in self._session.settings.proxies:
            try:
                proxy = self._proxy(word)
                served = set_up(proxy, self._credentials)
                seen = proxy.seen(word)
                attached = f"; attached to it: {', '.join(seen.attached)}" if seen.attached else ""
                only = "" if served.writes is not None else "; it only lets disks be read: its image is an earlier one"
                said = f"{seen.ref} answers at {served.address}, and has room for {seen.room} disks{attached}{only}"
            except LongshoreError as error:
                failed.append(error)
                said = str(error)
            found[f"proxy {word}"] = said
        if len(failed) == len(found):
            raise failed[0]
        return found

    def proxies(self) -> list[Proxy]:
        """Return the proxies that the settings name, as vCenter knows them. Nothing is changed, and none is connected
        to."""
        return [self._seen(word) for word in self._session.settings.proxies]

    def _seen(self, word: str) -> Proxy:
        try:
            return self._proxy(word).seen(word)
        except LongshoreError as error:
            return Proxy(word, trouble=str(error))

    def _proxy(self, word: str) -> ProxyMachine:
        return ProxyMachine(self._session, find_proxy(self._session, word), self._credentials)

    def make_ready(self, machine_ref: str) -> None:
        self._attachments().make_ready()

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        told = changes.between(self._session, since, snapshot, disk_key)
        return replace(told, tried=True) if isinstance(told, Changed) else told

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return self._attachments().open(snapshot, disk_key)

    def before_removal(self, machine_ref: str, snapshot_ref: str) -> None:
        self._attachments().release(machine_ref, snapshot_ref)

    def free(self, machine_ref: str) -> None:
        if self._pool is not None:
            self._pool.free(machine_ref)

    def refuse_writing(self) -> None:
        self._attachments().make_ready_to_write()

    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> AbstractContextManager[Export]:
        return self._attachments().open_to_write(snapshot, disk_key, size)

    def _attachments(self) -> ProxyPool:
        if self._pool is None:
            raise ProviderError("Disks are opened through a proxy by the engine alone.")
        return self._pool


class ExportTransport(_Reading):
    """vSphere sends the disks itself, each as a whole, while a lease is held. Whether it does shows when it is asked
    to."""

    reads = "exported by vSphere"

    def __init__(self, session: VsphereSession, leases: ExportLeases | None) -> None:
        """`leases`: None where no disk is opened."""
        super().__init__(session)
        self._leases = leases

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        if self._leases is None:
            raise ProviderError("Disks are exported by the engine alone.")
        return self._leases.open(snapshot, disk_key)

    def before_removal(self, machine_ref: str, snapshot_ref: str) -> None:
        if self._leases is not None:
            self._leases.release(machine_ref, snapshot_ref)

    def free(self, machine_ref: str) -> None:
        if self._leases is not None:
            self._leases.end_all()


Transport = VddkTransport | SshTransport | ProxyTransport | ExportTransport


def transport_of(
    session: VsphereSession, ssh_key: str, proxy_key: str, held: ProxyPool | ExportLeases | None
) -> Transport:
    """Return the transport of the settings, with the secret that it needs, and what it holds at vSphere. Raises
    InvalidInput for a proxy's secret that is none."""
    match session.settings.transport:
        case "proxy":
            return ProxyTransport(session, read_credentials(proxy_key), held if isinstance(held, ProxyPool) else None)
        case "export":
            return ExportTransport(session, held if isinstance(held, ExportLeases) else None)
        case "ssh":
            return SshTransport(session, ssh_key)
        case "vddk":
            return VddkTransport(session)
