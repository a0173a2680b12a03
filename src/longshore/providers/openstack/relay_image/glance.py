"""The relay image in a cloud's image service."""

from dataclasses import dataclass
from typing import Any

from longshore.errors import Conflict, LongshoreError, ProviderError
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.relay import MEMORY_MIB
from longshore.providers.openstack.relay_image.build import RECIPE_PROPERTY, BuiltImage

# One controller for all disks and for the config drive: none needs a slot of its own, on any machine type
HARDWARE = {
    "hw_disk_bus": "scsi",
    "hw_scsi_model": "virtio-scsi",
    "hw_cdrom_bus": "scsi",
    "hw_vif_model": "virtio",
    "hw_firmware_type": "bios",
    "os_type": "linux",
}


@dataclass(frozen=True, slots=True)
class UploadedImage:
    id: str
    name: str
    recipe: str
    uploaded: bool  # now; else one of this recipe was there
    replaced: tuple[str, ...]  # ids of the older ones that were removed
    left: tuple[str, ...]  # why some of them could not be


def upload(connection: Any, image: BuiltImage, name: str) -> UploadedImage:
    """Put the image into the project under this name, unless it is there. Older ones of the project's are removed.

    Raises Conflict when an image of that name isn't one of ours.
    """
    with explained(f"look for image {name}"):
        project = connection.current_project_id
        listed = [found for found in connection.image.images(name=name) if found.owner == project]
    foreign = [found.id for found in listed if RECIPE_PROPERTY not in _properties(found)]
    if foreign:
        raise Conflict(
            f"The project has an image {name} ({foreign[0]}) that isn't a relay image of Longshore's.",
            advice="Upload under another name (--name), and name that as relay_image of the provider.",
        )
    same = [f for f in listed if _properties(f)[RECIPE_PROPERTY] == image.recipe and f.status == "active"]
    kept = same[0].id if same else _create(connection, image, name)
    replaced, left = [], []
    for old in listed:
        if old.id == kept:
            continue
        try:
            with explained(f"remove the older image {old.id}"):
                connection.image.delete_image(old.id)
        except LongshoreError as error:
            left.append(str(error))
        else:
            replaced.append(str(old.id))
    return UploadedImage(str(kept), name, image.recipe, not same, tuple(replaced), tuple(left))


def _create(connection: Any, image: BuiltImage, name: str) -> str:
    with explained(f"upload image {name}"):
        made = connection.image.create_image(
            name,
            filename=str(image.file),
            disk_format="qcow2",
            container_format="bare",
            min_disk=1,
            min_ram=MEMORY_MIB,
            wait=True,
            allow_duplicates=True,  # the older one is removed only when this one is there
            **{**HARDWARE, RECIPE_PROPERTY: image.recipe},
        )
        found = connection.image.get_image(made.id)
    if found.status != "active":
        raise ProviderError(f"The cloud took the image {name}, but it is {found.status}.")
    return str(found.id)


def _properties(image: Any) -> dict[str, Any]:
    return dict(image.properties or {})
