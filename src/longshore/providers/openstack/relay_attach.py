"""Opening a Cinder volume through a relay ("relay"): APIs alone, wherever the volume's bytes are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from openstack import exceptions as sdk

from longshore.blocks.exports import Export
from longshore.blocks.remote import RemoteExport, reach
from longshore.errors import Conflict, ExportError, LongshoreError, ProviderError
from longshore.model.target import Owner, VolumeRequest
from longshore.providers.openstack import ownership
from longshore.providers.openstack.attach import Attachments, volume_of
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import by_id
from longshore.providers.openstack.relay import Relay, export_of
from longshore.providers.openstack.relay_pool import RelayPool
from longshore.providers.openstack.volumes import GIB, CinderVolumes, wait_until_free
from longshore.providers.openstack.waiting import wait_for

ATTACH_TIMEOUT = 300.0  # seconds until the cloud has attached a volume
SHOW_TIMEOUT = 120.0  # seconds from then on until the relay serves it


class RelayAttachments:
    """The same as Attachments, with a relay in between."""

    reads_volumes = True  # a volume is made of each snapshot

    def __init__(self, connection: Any, pool: RelayPool | None) -> None:
        """`pool`: what relays are taken from; without it volumes can only be released."""
        self._connection = connection
        self._volumes = CinderVolumes(connection)
        self._pool = pool

    def make_ready(self, owner: Owner) -> None:
        self._relays().make_ready(owner)

    @contextmanager
    def open(self, volume_id: str, owner: Owner, *, read_only: bool = False) -> Iterator[Export]:
        """Serve the volume, for writing unless told otherwise, attached to a relay while the context is open.

        Raises Conflict when the volume isn't this workflow's, or another server holds it; ProviderError, ExportError.
        """
        volume = volume_of(self._connection, volume_id, owner)
        self.release(volume_id)
        with self._relays().relay(owner) as relay:
            self._attach(relay, volume)
            try:
                export = self._wait_until_shown(relay, volume, read_only=read_only)
                name = f"The relay's server for volume {volume.name}"
                with reach(
                    relay.uri(export, read_only=read_only),
                    name=name,
                    last_words=lambda: self._relays().last_words(relay),
                ) as served:
                    _check_size(served, volume)
                    yield served
            except BaseException:
                # What went wrong first is what has to be told; what stays attached is detached by the next run
                with suppress(LongshoreError):
                    self._let_go(relay, volume_id)
                raise
            self._let_go(relay, volume_id)

    @contextmanager
    def open_snapshot(self, volume_id: str, snapshot_id: str, owner: Owner) -> Iterator[Export]:
        """Serve a snapshot of a volume read-only, whoever uses the volume meanwhile.

        A volume is made of it for as long as it is read; its mark is the owner's, with the snapshot's id behind it.
        """
        with explained(f"look up snapshot {snapshot_id}"):
            size = self._connection.block_storage.get_snapshot(snapshot_id).size * GIB
        request = VolumeRequest(f"longshore {snapshot_id}", size, None, snapshot_id=snapshot_id)
        made = self._volumes.create_volume(request, Owner(owner.workflow, f"{owner.step}/read-{snapshot_id}"))
        try:
            with self.open(made.id, owner, read_only=True) as export:
                yield export
        except BaseException:
            with suppress(LongshoreError):  # it goes with the snapshot then
                self._volumes.delete_volume(made.id)
            raise
        self._volumes.delete_volume(made.id)

    def place(self, volume_id: str) -> dict[str, str]:
        """Raise ProviderError: what lies behind the volume is not for us to see."""
        raise ProviderError("Volumes are reached through a relay, which can't tell what changed on them.")

    def end_looks(self, _volume_id: str) -> None:
        """Do nothing: nothing is ever attached to a source's own volume."""

    def release(self, volume_id: str) -> None:
        """Detach it from a relay that an earlier process left behind; nothing to do when the volume isn't there.

        Raises Conflict when another server, or somebody else, holds it.
        """
        volume = by_id(self._connection.block_storage.get_volume, volume_id, "volume")
        if volume is None:
            return
        for attached in volume.attachments or ():
            server_id = attached["server_id"]
            server = by_id(self._connection.compute.get_server, server_id, "server")
            if server is None:
                continue  # being removed
            if ownership.RELAY not in (server.metadata or {}):
                raise Conflict(f"Volume {volume.name} ({volume_id}) is attached to server {server_id}.")
            self._detach(server_id, volume_id)
        if volume.status in ("attaching", "detaching"):
            wait_until_free(self._connection, volume_id)

    def _relays(self) -> RelayPool:
        if self._pool is None:
            raise ProviderError("Volumes are opened through a relay by the engine alone.")
        return self._pool

    def _attach(self, relay: Relay, volume: Any) -> None:
        """Attach a volume to the relay. Raises ProviderError when the cloud gives it up."""
        began = False

        def attached() -> bool | None:
            nonlocal began
            status = self._connection.block_storage.get_volume(volume.id).status
            began = began or status != "available"
            if status == "in-use":
                return True
            if status.startswith("error") or (began and status == "available"):
                raise ProviderError(
                    f"The cloud couldn't attach volume {volume.name} to the relay: it is {status} again.",
                    advice=f"See Nova's log for server {relay.server_id}.",
                )
            return None

        with explained(f"attach volume {volume.name} to the relay"):
            self._connection.compute.create_volume_attachment(relay.server_id, volume_id=volume.id)
            wait_for(attached, what=f"Attaching volume {volume.name} to the relay", timeout=ATTACH_TIMEOUT)

    def _wait_until_shown(self, relay: Relay, volume: Any, *, read_only: bool) -> str:
        """Return the name the volume is served under, once it is. Raises ExportError."""
        end = time.monotonic() + SHOW_TIMEOUT
        while (export := export_of(volume.id, relay.exports(read_only=read_only))) is None:
            if time.monotonic() > end:
                raise ExportError(
                    f"Volume {volume.name} was attached to the relay, but didn't show there within "
                    f"{SHOW_TIMEOUT:.0f} s: {self._relays().last_words(relay)}"
                )
            time.sleep(0.25)
        return export

    def _let_go(self, relay: Relay, volume_id: str) -> None:
        if relay.answers():
            self._detach(relay.server_id, volume_id)
        else:  # Nova would wait for it for minutes
            self._relays().give_up(relay)
            wait_until_free(self._connection, volume_id)

    def _detach(self, server_id: str, volume_id: str) -> None:
        with explained(f"detach volume {volume_id} from the relay"), suppress(sdk.NotFoundException):
            self._connection.compute.delete_volume_attachment(server_id, volume_id, ignore_missing=True)
        wait_until_free(self._connection, volume_id)


def _check_size(served: RemoteExport, volume: Any) -> None:
    if served.size != volume.size * GIB:
        raise ExportError(f"{served.name} says it has {served.size} bytes; it should be {volume.size} GiB.")


Transport = Attachments | RelayAttachments


def transport_of(connection: Any, settings: OpenstackSettings, pool: RelayPool | None) -> Transport:
    """Return how volumes' bytes are reached, as a provider's settings say."""
    return RelayAttachments(connection, pool) if settings.transport == "relay" else Attachments(connection, settings)
