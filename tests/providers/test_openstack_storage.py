"""Kinds of storage and ages of clouds that the lab's cloud can't show."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from keystoneauth1.exceptions import ConnectFailure

from longshore.errors import Conflict, ProviderError
from longshore.model.target import Owner
from longshore.providers.openstack.attach import Attachments
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.ownership import KEY
from longshore.providers.openstack.project import _version
from longshore.providers.openstack.volumes import Volumes
from longshore.providers.openstack.waiting import wait_for

OWNER = Owner("wf-1", "volume-2000")


def cloud(
    info: dict, *, metadata: dict[str, str] | None = None, status: str = "available", instance: str | None = None
):
    """A block storage service with one volume, whose attachments carry this connection information."""
    connection = MagicMock()
    storage = connection.block_storage
    storage.get_volume.return_value = SimpleNamespace(
        id="v", name="web01-root", status=status, metadata={KEY: OWNER.tag} if metadata is None else metadata
    )
    storage.create_attachment.return_value = SimpleNamespace(id="a", connection_info=info)
    storage.attachments.return_value = [SimpleNamespace(id="old", instance=instance)] if status != "available" else []
    return connection


def attachments(connection, **settings) -> Attachments:
    return Attachments(connection, OpenstackSettings(**settings), Volumes(connection))


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"driver_volume_type": "iscsi"}, "storage of the kind iscsi; this worker can reach Ceph"),
        ({"driver_volume_type": "rbd", "encrypted": True}, "is encrypted"),
        ({"driver_volume_type": "rbd", "name": "volumes/volume-v"}, "can't read /nowhere/ceph.conf"),
    ],
)
def test_storage_out_of_reach_is_refused_and_the_volume_freed(info, said):
    connection = cloud(info)
    with (
        pytest.raises(ProviderError, match=said),
        attachments(connection, ceph_conf="/nowhere/ceph.conf").open("v", OWNER),
    ):
        pass
    connection.block_storage.delete_attachment.assert_called_once_with("a", ignore_missing=True)
    connection.block_storage.complete_attachment.assert_not_called()


def test_a_failing_detach_does_not_hide_what_went_wrong():
    connection = cloud({"driver_volume_type": "iscsi"})
    connection.block_storage.delete_attachment.side_effect = ConnectFailure("gone")
    with pytest.raises(ProviderError, match="kind iscsi"), attachments(connection).open("v", OWNER):
        pass


def test_a_volume_of_another_workflow_is_not_opened():
    connection = cloud({}, metadata={KEY: "wf-10/volume-2000"})
    with pytest.raises(Conflict, match="doesn't belong to wf-1"), attachments(connection).open("v", OWNER):
        pass
    connection.block_storage.create_attachment.assert_not_called()


def test_a_volume_in_a_server_is_left_there():
    connection = cloud({}, status="in-use", instance="server-7")
    with pytest.raises(Conflict, match="attached to server server-7"):
        attachments(connection).release("v")
    connection.block_storage.delete_attachment.assert_not_called()


def test_an_attachment_of_something_else_is_left_there():
    connection = cloud({}, status="in-use", metadata={})
    with pytest.raises(Conflict, match="something other than Longshore"):
        attachments(connection).release("v")
    connection.block_storage.delete_attachment.assert_not_called()


def test_the_image_is_the_one_cinder_names(tmp_path):
    conf = tmp_path / "ceph.conf"
    conf.write_text("[global]\n")
    info = {"driver_volume_type": "rbd", "name": "volumes/volume-v", "auth_username": "cinder"}
    assert attachments(MagicMock(), ceph_conf=str(conf))._image("v", info) == {
        "driver": "raw",
        "file.driver": "rbd",
        "file.pool": "volumes",
        "file.image": "volume-v",
        "file.conf": str(conf),
        "file.user": "cinder",
    }


def test_an_old_block_storage_service_is_refused():
    endpoint = SimpleNamespace(max_microversion=(3, 43), api_version=(3, 0))
    with pytest.raises(ProviderError, match=r"speaks version 3\.43, and 3\.54 is needed"):
        _version("block storage", endpoint)
    assert _version("block storage", SimpleNamespace(max_microversion=(3, 70), api_version=(3, 0))) == "3.70"
    assert _version("network", SimpleNamespace(max_microversion=None, api_version=(2, 0))) == "2.0"


def test_waiting_ends_with_the_answer_or_a_plain_sentence():
    answers = iter([None, None, 7])
    assert wait_for(lambda: next(answers), what="It", timeout=5) == 7
    with pytest.raises(ProviderError, match="Volume v becoming free took longer than 0 s"):
        wait_for(lambda: None, what="Volume v becoming free", timeout=0)


def test_of_a_volume_without_a_server_only_what_a_killed_look_has_left_is_taken_away():
    connection = cloud({}, metadata={})
    connection.block_storage.attachments.return_value = [
        SimpleNamespace(id="look", instance=None, attach_mode="ro", status="attaching"),
        SimpleNamespace(id="server", instance="s-1", attach_mode="ro", status="attaching"),
        SimpleNamespace(id="bare-metal", instance=None, attach_mode="rw", status="attached"),
        SimpleNamespace(id="reader", instance=None, attach_mode="ro", status="attached"),
    ]
    attachments(connection).end_looks("v")
    connection.block_storage.delete_attachment.assert_called_once_with("look", ignore_missing=True)


def test_all_that_is_marked_is_found_whoever_marked_it():
    storage = (connection := MagicMock()).block_storage
    marks = {"longshore:replica": "r", KEY: "r/volume-1"}
    storage.volumes.return_value = [
        SimpleNamespace(id="v", size=2, metadata=marks),
        SimpleNamespace(id="other", size=1, metadata={"team": "web"}),
        SimpleNamespace(id="none", size=1, metadata=None),
    ]
    storage.snapshots.return_value = [
        SimpleNamespace(id=status, volume_id="v", size=2, status=status, metadata=marks)
        for status in ("available", "error")
    ]
    marked = Volumes(connection).marked("longshore:replica")
    assert [(one.id, one.size, one.metadata) for one in marked.volumes] == [("v", 2 << 30, marks)]
    assert [(one.id, one.volume_id, one.usable) for one in marked.snapshots] == [
        ("available", "v", True),
        ("error", "v", False),
    ]
