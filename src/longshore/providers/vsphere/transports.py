"""The transport of disks' bytes, as a provider's settings say: what differs by it, in one place."""

from contextlib import AbstractContextManager
from typing import Protocol

from longshore.blocks.exports import Export
from longshore.errors import InvalidInput
from longshore.model.changes import Changes, Unknown
from longshore.model.machine import Snapshot
from longshore.providers.vsphere import changes, disks, ssh_disks, ssh_login
from longshore.providers.vsphere.session import Session


class Transport(Protocol):
    """A way to read machines' disks, and to write them where that is possible. Errors are those of the contract."""

    def check(self) -> dict[str, str]:
        """Return what else there is to be said of it when the vCenter has let us in."""

    def make_ready(self, machine_ref: str) -> None:
        """Raise what stands against reading this machine's disks."""

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        """Return what was written between a change id and the snapshot."""

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        """Serve a disk as the snapshot holds it, read-only."""

    def refuse_writing(self) -> None:
        """Raise InvalidInput where disks can't be written."""


class VddkTransport:
    """VMware's disk library reads the disks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self) -> dict[str, str]:
        return {}

    def make_ready(self, _machine_ref: str) -> None:
        disks.library(self._session.settings.vddk_libdir)

    def changed(self, snapshot: Snapshot, disk_key: str, since: str) -> Changes:
        return changes.between(self._session, since, snapshot, disk_key)

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return disks.serve(self._session, snapshot, disk_key)

    def refuse_writing(self) -> None:
        disks.library(self._session.settings.vddk_libdir)


class SshTransport:
    """The disks are read as files of their ESXi hosts."""

    def __init__(self, session: Session, key: str) -> None:
        self._session = session
        self._key = key

    def check(self) -> dict[str, str]:
        return ssh_login.everywhere(self._session, self._key)

    def make_ready(self, machine_ref: str) -> None:
        ssh_login.to_host_of(self._session, self._key, machine_ref)

    def changed(self, _snapshot: Snapshot, _disk_key: str, _since: str) -> Changes:
        return Unknown("Disks are read over SSH, which can't tell what has changed.")

    def open_disk(self, snapshot: Snapshot, disk_key: str) -> AbstractContextManager[Export]:
        return ssh_disks.serve(self._session, self._key, snapshot, disk_key)

    def refuse_writing(self) -> None:
        raise InvalidInput(
            "Disks are read over SSH here, which can't write them.",
            advice="Set up VMware's disk library (VDDK) for this provider.",
        )


def transport_of(session: Session, ssh_key: str) -> Transport:
    return SshTransport(session, ssh_key) if session.settings.transport == "ssh" else VddkTransport(session)
