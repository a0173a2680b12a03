"""Nova's images of servers. Of one that boots from a volume: snapshots of all its volumes, and an image without bytes.

The image carries the owner's mark from the start; the snapshots have its name in theirs, and no mark.
"""

from typing import Any

from longshore.model.target import Owner
from longshore.providers.openstack import ownership


def name_of(owner: Owner) -> str:
    return f"longshore {owner.tag}"


def snapshot_name(owner: Owner) -> str:
    """Return the name that Nova gives."""
    return f"snapshot for {name_of(owner)}"


def ask_for(connection: Any, server_id: str, owner: Owner) -> Any:
    """Return Nova's answer, whatever it is. Where Nova is to freeze the guest for it, that is over by then."""
    return connection.compute.post(
        f"/servers/{server_id}/action",
        json={"createImage": {"name": name_of(owner), "metadata": ownership.metadata(owner)}},
        microversion="2.45",
    )


def images_of(connection: Any, owner: Owner) -> list[Any]:
    project = connection.current_project_id
    return [found for found in connection.image.images(name=name_of(owner)) if found.owner_id == project]
