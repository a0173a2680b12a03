"""Volumes that no server has, as Cinder describes them."""

from types import SimpleNamespace

import pytest
from openstack import exceptions as sdk
from openstack.block_storage.v3.volume import Volume

from longshore.errors import Conflict, NotFound
from longshore.model.machine import LooseVolume
from longshore.providers.openstack.loose_volumes import CinderLooseVolumes

METADATA = {"team": "web", "readonly": "True", "longshore:owner": "m/volume-2000", "longshore:source": "volume:x"}
PROPERTIES = {
    "base_image_ref": "of-this-cloud",
    "hw_disk_bus": "scsi",
    "os_distro": "debian",
    "image_id": "i",
    "checksum": "c",
    "min_ram": "64",
}


def volume(id_, name, **more):
    body = {"id": id_, "name": name, "size": 2, "volume_type": "fast", "status": "available", "attachments": [], **more}
    return Volume.existing(**body)


LISTED = [
    volume("b", "twin", status="error"),
    volume(
        "a",
        "archive",
        bootable="true",
        description="kept",
        availability_zone="az1",
        metadata=METADATA,
        volume_image_metadata=PROPERTIES,
    ),
    volume("c", "twin", encrypted=True),
    volume("d", "data", status="in-use", attachments=[{"server_id": "s-1", "device": "/dev/vdb"}]),
    volume("e", "longshore read", metadata={"longshore:owner": "m/snapshot/read-1"}),
    volume("f", "gone soon", status="deleting"),
    volume("g", ""),
]


class Storage:
    def volumes(self, details):
        return iter(LISTED)

    def get_volume(self, id_):
        for found in LISTED:
            if found.id == id_:
                return found
        raise sdk.NotFoundException(id_)


@pytest.fixture
def loose():
    return CinderLooseVolumes(SimpleNamespace(block_storage=Storage()))


def test_those_of_servers_and_those_made_only_to_be_read_are_left_out(loose):
    assert [(v.name, v.ref) for v in loose.volumes()] == [
        ("archive", "volume:a"),
        ("g", "volume:g"),
        ("twin", "volume:b"),
        ("twin", "volume:c"),
    ]


def test_what_is_said_of_a_volume(loose):
    found = loose.volume("archive")
    (disk,) = found.disks
    assert (disk.key, disk.size, disk.storage, disk.name, disk.position) == ("a", 2 << 30, "fast", "archive", 0)
    # what is true of the image alone, or only where it is, isn't said of a copy
    assert disk.image_properties == {"hw_disk_bus": "scsi", "os_distro": "debian", "min_ram": "64"}
    assert found.server_settings.metadata == {"team": "web"}
    assert (found.server_settings.availability_zone, found.annotation) == ("az1", "kept")
    assert found.loose_volume == LooseVolume("available", bootable=True, read_only=True)
    assert (disk.encrypted, loose.volume("volume:c").disks[0].encrypted) == (False, True)


def test_what_cannot_be_meant_is_refused(loose):
    with pytest.raises(Conflict, match=r"Several volumes may be meant by twin: twin \(b\), twin \(c\)\."):
        loose.volume("twin")
    with pytest.raises(Conflict, match=r"Volume data is attached to server s-1\. Move that server"):
        loose.volume("d")
    with pytest.raises(NotFound, match="The project has no volume nothing"):
        loose.volume("nothing")
