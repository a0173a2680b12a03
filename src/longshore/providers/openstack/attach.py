"""Opening a Cinder volume on this worker ("brick": the worker reaches the storage itself).

An attachment of the Block Storage API reserves the volume, so that nobody else takes it meanwhile, and tells where its
bytes are. A plain member may make one; for Ceph the answer holds pool, image and user name but no key: the worker needs
its own keyring. It belongs to no server; that, and the volume's owner mark, is how a later run knows that an attachment
left by a killed process may be taken away.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from longshore.blocks.exports import Export, serve_qemu_nbd
from longshore.errors import AccessDenied, Conflict, ExportError, LongshoreError, ProviderError
from longshore.model.target import Owner
from longshore.processes.installed import refuse_without_driver
from longshore.providers.openstack import ownership
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import by_id, needed
from longshore.providers.openstack.volumes import wait_until_free


class Attachments:
    reads_volumes = False  # a snapshot itself is opened

    def __init__(self, connection: Any, settings: OpenstackSettings) -> None:
        self._connection = connection
        self._settings = settings

    def make_ready(self, _owner: Owner) -> None:
        """Raise NotInstalled where this worker has a way to Ceph, and lacks what opens volumes there."""
        if os.access(self._settings.ceph_conf, os.R_OK):
            refuse_without_driver("rbd")

    @contextmanager
    def open(self, volume_id: str, owner: Owner, *, read_only: bool = False) -> Iterator[Export]:
        """Serve the volume, for writing unless told otherwise, reserved while the context is open.

        Raises Conflict when the volume isn't this workflow's, or a server holds it; ProviderError when this worker
        can't reach the kind of storage it lies on.
        """
        volume = volume_of(self._connection, volume_id, owner)
        self.release(volume_id)
        with explained(f"attach volume {volume.name}"):
            attachment = self._connection.block_storage.create_attachment(
                volume_id, connector=_connector(), attach_mode="ro" if read_only else "rw"
            )
        try:
            image = self._image(volume.name, attachment.connection_info)
            with explained(f"attach volume {volume.name}"):
                self._connection.block_storage.complete_attachment(attachment.id)
            with _served(image, read_only=read_only) as export:
                yield export
        except BaseException:
            # What went wrong first is what has to be told; an attachment that stays is taken away by the next run
            with suppress(LongshoreError):
                self._detach(volume_id, attachment.id)
            raise
        self._detach(volume_id, attachment.id)

    @contextmanager
    def open_snapshot(self, volume_id: str, snapshot_id: str, _owner: Owner) -> Iterator[Export]:
        """Serve a snapshot of a volume read-only, whoever uses the volume meanwhile.

        Nothing has to be made for it that would be the owner's. Raises ProviderError when this worker can't reach the
        kind of storage it lies on.
        """
        # Ceph's driver calls every snapshot like this, also of volumes that have moved since
        with _served({**self.place(volume_id), "file.snapshot": f"snapshot-{snapshot_id}"}, read_only=True) as export:
            yield export

    def place(self, volume_id: str) -> dict[str, str]:
        """Return where a volume's bytes are, as QEMU's block options: what Cinder told whoever has the volume now.

        A second attachment can't be made of a volume in use, and one of a volume that isn't is made just for this.
        Raises NotFound, and ProviderError when this worker can't reach the kind of storage it lies on.
        """
        storage = self._connection.block_storage
        volume = needed(storage.get_volume, volume_id, "volume")
        with explained(f"find where volume {volume.name} is"):
            for listed in storage.attachments(volume_id=volume_id):
                attachment = storage.get_attachment(listed.id)
                if attachment.connection_info:
                    return self._image(volume.name, attachment.connection_info)
            own = storage.create_attachment(volume_id, connector=_connector(), attach_mode="ro")
        try:
            return self._image(volume.name, own.connection_info)
        finally:
            self._detach(volume_id, own.id)

    def end_looks(self, volume_id: str) -> None:
        """Take away what a killed process left of `place` on a volume that no server has: reserved, never completed."""
        with explained(f"look for attachments of volume {volume_id}"):
            attachments = list(self._connection.block_storage.attachments(volume_id=volume_id))
        for found in attachments:
            if not found.instance and found.attach_mode == "ro" and found.status != "attached":
                self._detach(volume_id, found.id)

    def release(self, volume_id: str) -> None:
        """Take away attachments that a process of ours left behind; nothing to do when the volume isn't there.

        Raises Conflict when a server, or somebody else, holds it.
        """
        volume = by_id(self._connection.block_storage.get_volume, volume_id, "volume")
        if volume is None or volume.status == "available":
            return
        with explained(f"look for attachments of volume {volume_id}"):
            attachments = list(self._connection.block_storage.attachments(volume_id=volume_id))
        for attachment in attachments:
            if attachment.instance:
                raise Conflict(f"Volume {volume.name} ({volume_id}) is attached to server {attachment.instance}.")
            if ownership.KEY not in (volume.metadata or {}):
                raise Conflict(f"Volume {volume.name} ({volume_id}) is in use by something other than Longshore.")
            self._detach(volume_id, attachment.id)

    def _detach(self, volume_id: str, attachment_id: str) -> None:
        with explained(f"detach volume {volume_id}"):
            self._connection.block_storage.delete_attachment(attachment_id, ignore_missing=True)
        wait_until_free(self._connection, volume_id)

    def _image(self, name: str, info: Mapping[str, Any]) -> dict[str, str]:
        """Return QEMU's block options for what Cinder's connection information points at."""
        driver = str(info.get("driver_volume_type"))
        if driver != "rbd":
            raise ProviderError(
                f"Volume {name} lies on storage of the kind {driver}; this worker can reach Ceph (rbd) only.",
                advice="Choose a volume type on Ceph.",
            )
        if info.get("encrypted"):
            raise ProviderError(
                f"Volume {name} is encrypted; this worker can't write encrypted volumes.",
                advice="Choose a volume type without encryption.",
            )
        if not os.access(self._settings.ceph_conf, os.R_OK):
            raise ProviderError(
                f"Volume {name} lies on Ceph, but this worker can't read {self._settings.ceph_conf}.",
                advice="Give this worker a Ceph configuration and the keyring of a user that may write the volumes, "
                "or name the file's place (ceph_conf).",
            )
        pool, _, image = str(info["name"]).partition("/")
        return {
            "driver": "raw",
            "file.driver": "rbd",
            "file.pool": pool,
            "file.image": image,
            "file.conf": self._settings.ceph_conf,
            "file.user": self._settings.ceph_user or str(info["auth_username"]),
        }


@contextmanager
def _served(image: Mapping[str, str], *, read_only: bool) -> Iterator[Export]:
    """Serve an image. Raises AccessDenied for what no second try changes: missing rights of Ceph's user, a key nobody
    understands; NotInstalled where QEMU lacks its part for Ceph."""
    with ExitStack() as stack:
        try:
            export = stack.enter_context(serve_qemu_nbd(image, read_only=read_only))
        except ExportError as error:
            refuse_without_driver(image["file.driver"])
            raise _final(error, image) or error from None
        yield export


def _final(error: ExportError, image: Mapping[str, str]) -> AccessDenied | None:
    """Return the error for the C library's words with which QEMU names what librbd says."""
    user, pool = image["file.user"], image["file.pool"]
    if "Operation not permitted" in error.message or "Permission denied" in error.message:
        return AccessDenied(
            f"Ceph doesn't let its user {user} open {pool}/{image['file.image']}: {error.message}",
            advice=f"It needs mon 'profile rbd' and osd 'profile rbd pool={pool}, profile rbd-read-only pool=images', "
            "where images is Glance's pool: volumes made of images are clones of what lies there.",
        )
    if "error connecting" in error.message and ("Input/output error" in error.message or "Invalid" in error.message):
        return AccessDenied(
            f"Ceph's client here can't log in as {user}: {error.message}",
            advice=f"Try it: rbd --id {user} -p {pool} ls. A client that is older than the cluster may not understand "
            "its keys (Ceph 20 makes aes256k): have one made with --key-type aes, or take a newer client.",
        )
    return None


def volume_of(connection: Any, volume_id: str, owner: Owner) -> Any:
    """Return the volume as openstacksdk has it. Raises NotFound, or Conflict when it isn't of this workflow."""
    volume = needed(connection.block_storage.get_volume, volume_id, "volume")
    if not ownership.same_workflow(volume.metadata, owner):
        raise Conflict(f"Volume {volume.name} ({volume_id}) doesn't belong to {owner.workflow}; it isn't opened.")
    return volume


def _connector() -> dict[str, Any]:
    """Return what Cinder wants to know of the machine that connects; RBD needs none of it, but the API does."""
    return {
        "host": socket.gethostname(),
        "multipath": False,
        "platform": os.uname().machine,
        "os_type": "linux",
        "do_local_attach": False,
    }
