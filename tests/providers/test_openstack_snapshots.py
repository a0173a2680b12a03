"""One moment of a server's disks: a snapshot of each volume, and a volume of the image of a root disk that is none."""

import json
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import requests
from openstack import exceptions as sdk

from longshore.errors import Conflict, ProviderError
from longshore.model.machine import Disk, Machine, PowerState
from longshore.model.target import Owner
from longshore.providers.openstack.machines import GIB, ROOT
from longshore.providers.openstack.ownership import KEY
from longshore.providers.openstack.platform import PLATFORM
from longshore.providers.openstack.snapshots import CinderSnapshots

OWNER = Owner("wf-1", "snapshot-1")


def disk(key, size=1):
    return Disk(key=key, label=key, position=0, size=size * GIB, location=key, storage="ceph")


def machine(*disks, power=PowerState.OFF):
    return Machine("s", "web", power, 1, 512, disks=disks, nics=(), platform=PLATFORM)


class Storage:
    """Cinder, and Glance: what is made is there at once, but for volumes that come to nothing."""

    def __init__(self, volumes_end="available"):
        self.things, self.volumes_end = {}, volumes_end

    def _made(self, kind, id_, **fields):
        self.things[kind, id_] = SimpleNamespace(id=id_, **fields)
        return self.things[kind, id_]

    def _get(self, kind, id_):
        if (kind, id_) not in self.things:
            raise sdk.NotFoundException
        return self.things[kind, id_]

    def create_snapshot(self, volume_id, name, metadata, is_forced):
        assert is_forced
        id_ = f"snapshot-of-{volume_id}"
        return self._made(
            "snapshot", id_, volume_id=volume_id, name=name, metadata=metadata, size=1, status="available"
        )

    def create_volume(self, name, size, metadata, image_id, **_):
        status = self.volumes_end
        return self._made("volume", f"of-{image_id}", name=name, size=size, metadata=metadata, status=status)

    def get_snapshot(self, id_):
        return self._get("snapshot", id_)

    def get_volume(self, id_):
        return self._get("volume", id_)

    def snapshots(self, **_):
        return [one for (kind, _), one in self.things.items() if kind == "snapshot"]

    def volumes(self, **_):
        return [one for (kind, _), one in self.things.items() if kind == "volume"]

    def attachments(self, **_):
        return []

    def delete_snapshot(self, id_, ignore_missing):
        del self.things["snapshot", id_]

    def delete_volume(self, id_):
        del self.things["volume", id_]

    def get(self, *_, **__):
        return SimpleNamespace(ok=True, json=lambda: {"messages": [{"user_message": "no room"}]})


class Images:
    def __init__(self):
        self.there = {}

    def images(self, name):
        return [one for one in self.there.values() if one.name == name]

    def get(self, path):
        answer = requests.Response()
        answer.status_code = 200
        answer._content = b'{"id": "image", "status": "active", "min_disk": 3}'
        return answer

    def delete_image(self, id_, ignore_missing):
        del self.there[id_]


def source(described, **more):
    connection = MagicMock(current_project_id="p", block_storage=Storage(**more), image=Images())

    def ask(_path, json, **_):
        name = json["createImage"]["name"]
        connection.image.there["image"] = SimpleNamespace(id="image", name=name, owner_id="p")
        return MagicMock(status_code=202, json=lambda: {"image_id": "image"})

    connection.compute.post.side_effect = ask
    made = CinderSnapshots.__new__(CinderSnapshots)
    made._connection, made._attachments = connection, MagicMock()
    made.by_reference = lambda _ref: described
    return made


def test_a_server_that_is_off_has_one_moment_which_is_found_again_and_goes_once():
    taking = source(machine(disk("a"), disk("b")))
    taken = taking.snapshot("s", "nightly", OWNER, quiesce=False)
    assert [(one.key, one.location) for one in taken.disks] == [("a", "a@snapshot-of-a"), ("b", "b@snapshot-of-b")]
    assert (taken.one_moment, taken.quiesced) == (True, False)
    assert taking.snapshot("s", "nightly", OWNER, quiesce=False) == taken
    assert taking.find_snapshot("s", OWNER).disks == taken.disks
    for _ in range(2):
        taking.remove_snapshot("s", taken.ref)
    assert taking._connection.block_storage.things == {}
    assert taking.find_snapshot("s", OWNER) is None


def test_volumes_of_a_running_server_are_not_of_one_moment():
    described = machine(disk("a"), disk("b"), power=PowerState.ON)
    assert not source(described).snapshot("s", "nightly", OWNER, quiesce=False).one_moment
    with pytest.raises(Conflict, match="web can't be frozen"):
        source(described).snapshot("s", "nightly", OWNER, quiesce=True)


@pytest.mark.parametrize("blank", [{"source_type": "blank", "snapshot_id": None}, {"source_type": "blank"}])
def test_a_frozen_server_with_swap_is_of_one_moment(blank):
    """Nova names its swap and its ephemeral disks beside the snapshots."""
    taking = source(replace(machine(disk("a"), disk("b"), power=PowerState.ON), freezes=True))
    storage, image = taking._connection.block_storage, taking._connection.image
    for key in ("a", "b"):
        storage._made("snapshot", f"of-{key}", volume_id=key, name="by Nova", metadata={}, size=1, status="available")
    storage.set_snapshot_metadata = lambda id_, **more: storage.get_snapshot(id_).metadata.update(more)
    mapping = [{"snapshot_id": "of-a"}, blank, {"snapshot_id": "of-b"}]
    answer = image.get("")
    answer._content = json.dumps(
        {"id": "image", "status": "active", "block_device_mapping": json.dumps(mapping)}
    ).encode()
    image.get = lambda _path: answer
    taken = taking.snapshot("s", "nightly", OWNER, quiesce=True)
    assert (taken.quiesced, taken.one_moment, len(taken.disks)) == (True, True, 2)


def test_a_root_disk_that_is_no_volume_becomes_one_of_its_image():
    taking = source(machine(disk(ROOT, 2)))
    taken = taking.snapshot("s", "nightly", OWNER, quiesce=False)
    (made,) = taking._connection.block_storage.volumes()
    assert (made.size, made.metadata) == (3, {KEY: f"{OWNER.tag}/{ROOT}"})  # as the image wants it
    assert [(one.key, one.location) for one in taken.disks] == [(ROOT, "of-image")]
    taking.remove_snapshot("s", taken.ref)
    assert (taking._connection.block_storage.things, taking._connection.image.there) == ({}, {})


def test_a_volume_of_a_root_disk_that_comes_to_nothing_says_why_and_goes():
    taking = source(machine(disk(ROOT, 2)), volumes_end="error")
    with pytest.raises(ProviderError, match=r"couldn't create volume longshore wf-1/snapshot-1 .*no room"):
        taking.snapshot("s", "nightly", OWNER, quiesce=False)
    assert taking._connection.block_storage.volumes() == []
