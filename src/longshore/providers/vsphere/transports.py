"""The transport of disks' bytes, as a provider's settings say: what differs by it, in one place."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Protocol

from longshore.blocks.exports import Export
from longshore.errors import InvalidInput, ProviderError
from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.machine import Snapshot
from longshore.model.proxy import Proxy
from longshore.providers.vsphere import changes, disks, proxy_states, ssh_disks, ssh_login, writing
from longshore.providers.vsphere.export_disks import ExportLeases
from longshore.providers.vsphere.proxy_credentials import Credentials, read_credentials
from longshore.providers.vsphere.proxy_pool import ProxyPool
from longshore.providers.vsphere.session import VsphereSession


class Transport(Protocol):
    """A way to read machines' disks, and to write them where that is possible. Errors are those of the contract."""

    tracks_writes: bool

    def check(self) -> dict[str, str]:
        """Return what else there is to be said of it when the vCenter has let us in."""

    def proxies(self) -> list[Proxy]:
        """Return the machines that disks are attached to."""

    def make_ready(self, machine_ref: str) -> None:
        """Raise what stands against reading this machine's disks."""

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        """Return what was written between a change id and the snapshot."""

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        """Serve a disk as the snapshot holds it, read-only."""

    def before_removal(self, machine_ref: str, snapshot_ref: str) -> None:
        """Let go of what keeps a snapshot from being merged."""

    def free(self, machine_ref: str) -> None:
        """Let go of what keeps a machine from being powered on, or a snapshot of it from being taken."""

    def refuse_writing(self) -> None:
        """Raise what stands against writing disks: InvalidInput where they can't be."""

    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> AbstractContextManager[Export]:
        """Serve a disk for writing, above the snapshot, as one of `size` bytes if that is more than it has."""


class VddkTransport:
    """VMware's disk library reads the disks."""

    tracks_writes = True

    def __init__(self, session: VsphereSession) -> None:
        self._session = session

    def check(self) -> dict[str, str]:
        return disks.versions(self._session.settings)

    def proxies(self) -> list[Proxy]:
        return []

    def make_ready(self, _machine_ref: str) -> None:
        disks.refuse_missing(self._session.settings)

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        return changes.between(self._session, since, snapshot, disk_key)

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return disks.serve(self._session, snapshot, disk_key)

    def before_removal(self, _machine_ref: str, _snapshot_ref: str) -> None:
        """Do nothing: what reads for us ends with its process."""

    def free(self, _machine_ref: str) -> None:
        """Do nothing: what writes for us ends with its process."""

    def refuse_writing(self) -> None:
        disks.refuse_missing(self._session.settings)

    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> AbstractContextManager[Export]:
        return writing.serve(self._session, snapshot, disk_key, size)


class SshTransport:
    """The disks are read as files of their ESXi hosts."""

    tracks_writes = True  # none is made

    def __init__(self, session: VsphereSession, key: str) -> None:
        self._session = session
        self._key = key

    def check(self) -> dict[str, str]:
        return ssh_login.everywhere(self._session, self._key)

    def proxies(self) -> list[Proxy]:
        return []

    def make_ready(self, machine_ref: str) -> None:
        ssh_login.to_host_of(self._session, self._key, machine_ref)

    def changed(self, _snapshot: Snapshot, _disk_key: str, _since: str) -> Changes:
        return Unknown("Disks are read over SSH, which can't tell what has changed.")

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return ssh_disks.serve(self._session, self._key, snapshot, disk_key)

    def before_removal(self, _machine_ref: str, _snapshot_ref: str) -> None:
        """Do nothing: what reads for us ends with its process."""

    def free(self, _machine_ref: str) -> None:
        """Do nothing: nothing is written."""

    def refuse_writing(self) -> None:
        raise _over_ssh()

    def open_disk_to_write(self, _snapshot: Snapshot, _disk_key: str, _size: int) -> AbstractContextManager[Export]:
        raise _over_ssh()


class ProxyTransport:
    """The disks are attached to a machine of the same vSphere, which serves them."""

    tracks_writes = False  # by VMware's design a machine tracks what is written through itself

    def __init__(self, session: VsphereSession, credentials: Credentials, pool: ProxyPool | None) -> None:
        """`pool`: None where no disk is opened."""
        self._session = session
        self._credentials = credentials
        self._pool = pool

    def check(self) -> dict[str, str]:
        return proxy_states.check(self._session, self._credentials)

    def proxies(self) -> list[Proxy]:
        return proxy_states.proxies(self._session, self._credentials)

    def make_ready(self, _machine_ref: str) -> None:
        self._attachments().make_ready()

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        told = changes.between(self._session, since, snapshot, disk_key)
        return replace(told, tried=True) if isinstance(told, Changed) else told

    @contextmanager
    def open_disk(self, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
        with self._attachments().open(snapshot, disk_key) as export:
            yield export

    def before_removal(self, machine_ref: str, snapshot_ref: str) -> None:
        self._attachments().release(machine_ref, snapshot_ref)

    def free(self, machine_ref: str) -> None:
        if self._pool is not None:
            self._pool.free(machine_ref)

    def refuse_writing(self) -> None:
        self._attachments().make_ready_to_write()

    @contextmanager
    def open_disk_to_write(self, snapshot: Snapshot, disk_key: str, size: int) -> Iterator[Export]:
        with self._attachments().open_to_write(snapshot, disk_key, size) as export:
            yield export

    def _attachments(self) -> ProxyPool:
        if self._pool is None:
            raise ProviderError("Disks are opened through a proxy by the engine alone.")
        return self._pool


class ExportTransport:
    """vSphere sends the disks itself, each as a whole, while a lease is held."""

    tracks_writes = True  # none is made

    def __init__(self, session: VsphereSession, leases: ExportLeases | None) -> None:
        """`leases`: None where no disk is opened."""
        self._session = session
        self._leases = leases

    def check(self) -> dict[str, str]:
        return {}

    def proxies(self) -> list[Proxy]:
        return []

    def make_ready(self, _machine_ref: str) -> None:
        """Do nothing: whether vSphere sends disks shows when it is asked to."""

    def changed(self, _snapshot: Snapshot, _disk_key: str, _since: str) -> Changes:
        return Unknown("Disks are exported as a whole, whatever has changed.")

    @contextmanager
    def open_disk(self, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
        if self._leases is None:
            raise ProviderError("Disks are exported by the engine alone.")
        with self._leases.open(snapshot, disk_key) as export:
            yield export

    def before_removal(self, machine_ref: str, snapshot_ref: str) -> None:
        if self._leases is not None:
            self._leases.release(machine_ref, snapshot_ref)

    def free(self, _machine_ref: str) -> None:
        if self._leases is not None:
            self._leases.end_all()

    def refuse_writing(self) -> None:
        raise _exported()

    def open_disk_to_write(self, _snapshot: Snapshot, _disk_key: str, _size: int) -> AbstractContextManager[Export]:
        raise _exported()


def _over_ssh() -> InvalidInput:
    return InvalidInput(
        "Disks are read over SSH here, which can't write them.",
        advice="Give this provider a proxy (docs/howto/vsphere-proxy.md), or VMware's disk library (VDDK).",
    )


def _exported() -> InvalidInput:
    return InvalidInput(
        "Disks are exported by vSphere here, which can't write them.",
        advice="Give this provider a proxy (docs/howto/vsphere-proxy.md), or VMware's disk library (VDDK).",
    )


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
