"""Asking a guest's qemu-guest-agent whether it is there.

No API does that for a project. But Nova freezes a guest through its agent before it makes an image of its server, and
refuses (HTTP 500) when the agent doesn't answer, if the server was made with hw_qemu_guest_agent=yes and
os_require_quiesce=yes among its image properties. So an image is asked for; when Nova takes that on, the agent has
answered, and what was made is removed again. Setting a password goes through the agent, too, but changes the guest.
"""

from openstack import exceptions as sdk

from longshore.model.target import Owner
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import Part
from longshore.providers.openstack.server_images import ask_for, images_of, snapshot_name
from longshore.providers.openstack.volumes import CinderVolumes

_SILENT = 500  # what Nova answers when the agent doesn't
_BUSY = 409  # or something else is being done with the server


class Agents(Part):
    def agent_answers(self, server_id: str, owner: Owner) -> bool:
        """Ask the guest's agent. Raises AccessDenied, QuotaExceeded, NotFound; ProviderError when Nova can't ask it."""
        with explained(f"ask the guest agent of server {server_id}"):
            if images_of(self._connection, owner):
                return True  # it has answered an earlier run
            answer = ask_for(self._connection, server_id, owner)
            if answer.status_code in (_SILENT, _BUSY):
                return False
            sdk.raise_from_response(answer)
            return True

    def remove_agent_probe(self, owner: Owner) -> bool:
        """Remove what an answer has left. Returns whether there was anything."""
        with explained(f"look for what the guest agent's answer to {owner.tag} has left"):
            images = images_of(self._connection, owner)
            named = snapshot_name(owner)  # as long as nobody has given them another one
            snapshots = [found for found in self._connection.block_storage.snapshots() if found.name == named]
            for image in images:
                self._connection.image.delete_image(image.id, ignore_missing=True)
        for snapshot in snapshots:
            CinderVolumes(self._connection).delete_volume_snapshot(snapshot.id)
        return bool(images or snapshots)
