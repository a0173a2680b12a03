"""Kinds of storage and ages of clouds that the lab's cloud can't show."""

import asyncio
import os
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import MagicMock, call, patch

import pytest
from keystoneauth1.exceptions import ConnectFailure
from openstack import exceptions as sdk
from openstack.network.v2.network import Network as CloudNetwork

from longshore.engine.parking import PARKS_FOR
from longshore.engine.retry import retry
from longshore.errors import AccessDenied, Conflict, ExportError, NotInstalled, ProviderError
from longshore.flows.facts import gather_for_plan
from longshore.model.machine import Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.request import MigrationRequest
from longshore.model.target import Network, Owner, Taken
from longshore.planning.nics import land_nics
from longshore.processes.installed import refuse_without_driver
from longshore.providers.openstack.attach import Attachments
from longshore.providers.openstack.ceph import storage_outlook
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.ownership import KEY
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.project import _version
from longshore.providers.openstack.servers import NovaServers
from longshore.providers.openstack.volumes import CinderVolumes
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
    return Attachments(connection, OpenstackSettings(**settings))


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
    marked = CinderVolumes(connection).marked("longshore:replica")
    assert [(one.id, one.size, one.metadata) for one in marked.volumes] == [("v", 2 << 30, marks)]
    assert [(one.id, one.volume_id, one.usable) for one in marked.snapshots] == [
        ("available", "v", True),
        ("error", "v", False),
    ]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("error reading header from volume-v: Operation not permitted", "profile rbd-read-only pool=images"),
        ("error connecting: Input/output error", "--key-type aes"),
    ],
)
def test_what_ceph_refuses_for_good_is_told_with_its_remedy_and_not_tried_again(tmp_path, monkeypatch, said, advice):
    @contextmanager
    def refused(_image, *, read_only):
        raise ExportError(f"qemu-nbd (raw) couldn't be started (status 1): {said}")
        yield read_only

    monkeypatch.setattr("longshore.providers.openstack.attach.serve_qemu_nbd", refused)
    (conf := tmp_path / "ceph.conf").touch()
    connection = cloud({"driver_volume_type": "rbd", "name": "volumes/volume-v", "auth_username": "longshore"})
    opened, tries = attachments(connection, ceph_conf=str(conf)), []

    async def work():
        tries.append(1)
        with opened.open("v", OWNER):
            raise AssertionError("nothing is served")

    with pytest.raises(AccessDenied, match=said) as caught:
        asyncio.run(retry(work, before_again=lambda _error: None))
    assert (len(tries), advice in caught.value.advice, "longshore" in caught.value.message) == (1, True, True)


@pytest.fixture
def no_driver_for_ceph(tmp_path, monkeypatch):
    """Have QEMU's programs say what Debian's say where qemu-block-extra isn't installed."""
    for program in ("qemu-img", "qemu-nbd"):
        (tmp_path / program).write_text(f"#!/bin/sh\necho \"{program}: Unknown driver 'rbd'\" >&2\nexit 1\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_worker_without_qemus_part_for_ceph_says_so_before_a_machine_is_stopped(tmp_path, no_driver_for_ceph):
    (conf := tmp_path / "ceph.conf").touch()
    connection = cloud({"driver_volume_type": "rbd", "name": "volumes/volume-v", "auth_username": "longshore"})
    its = attachments(connection, ceph_conf=str(conf))
    with pytest.raises(NotInstalled, match=r"QEMU's driver for rbd.*the package qemu-block-extra"):
        its.make_ready(OWNER)
    with pytest.raises(NotInstalled, match="qemu-block-extra"), its.open("v", OWNER):
        pass
    assert NotInstalled.code in PARKS_FOR
    assert "Install the package qemu-block-extra" in storage_outlook(str(conf), None)
    attachments(connection, ceph_conf="/nowhere/ceph.conf").make_ready(OWNER)  # where other storage may be meant


def test_qemu_is_asked_what_drivers_it_has():
    refuse_without_driver("nbd")
    with pytest.raises(NotInstalled, match="for nonsense isn't installed"):
        refuse_without_driver("nonsense")


def test_a_server_is_gone_when_the_cloud_knows_it_no_more():
    """Nova says DELETED for a moment while the server is still there, and has its ports."""
    connection = MagicMock()
    told = [SimpleNamespace(status=status, attached_volumes=()) for status in ("ACTIVE", "ACTIVE", "DELETED")]
    connection.compute.get_server.side_effect = [*told, sdk.NotFoundException]
    with patch("longshore.providers.openstack.waiting.time.sleep"):
        NovaServers(connection).delete_server("s")
    assert connection.compute.get_server.call_count == 4


def test_a_server_that_the_cloud_would_keep_for_some_time_is_deleted_for_good():
    """Nova's reclaim_instance_interval: until then its volumes and ports stay its own."""
    connection = MagicMock()
    told = [SimpleNamespace(status=status, attached_volumes=()) for status in ("ACTIVE", *["SOFT_DELETED"] * 2)]
    connection.compute.get_server.side_effect = [*told, sdk.NotFoundException]
    with patch("longshore.providers.openstack.waiting.time.sleep"):
        NovaServers(connection).delete_server("s")
    assert connection.compute.delete_server.call_args_list == [call("s"), call("s", force=True)]


def shared_network(status):
    """Of a cloud that answers so when a port is asked for that can't be."""
    connection = MagicMock(current_project_id="ours")
    connection.session.auth.get_access.return_value.role_names = ["member", "manager"]
    network = connection.network
    network.get_network.return_value = SimpleNamespace(id="n", name="shared", project_id="others")
    network.subnets.return_value = [SimpleNamespace(cidr="192.0.2.0/24")]
    network.ports.return_value = []
    network.post.return_value = SimpleNamespace(ok=status < 400, status_code=status)
    return connection


@pytest.mark.parametrize(("status", "may"), [(403, False), (400, True), (409, None)])
def test_whether_macs_may_be_chosen_is_asked_for_a_port_that_cant_be(status, may):
    connection = shared_network(status)
    assert Placement(connection).taken("n", {"fa:16:3e:00:00:01"}, set()).may_choose is may
    ((path,), asked) = connection.network.post.call_args
    assert (path, asked["json"]["port"]["fixed_ips"]) == ("/ports", [{"ip_address": "198.51.100.254"}])
    connection.network.get_network.return_value.project_id = "ours"
    assert Placement(connection).taken("n", {"fa:16:3e:00:00:01"}, set()).may_choose is None
    assert connection.network.post.call_count == 1


@pytest.mark.parametrize(("extensions", "only"), [(["router", "l3_agent_scheduler"], False), (["router"], True)])
def test_a_cloud_without_agents_for_its_routers_may_bind_own_macs_only(extensions, only):
    connection = shared_network(403)
    connection.network.subnets.return_value = []
    connection.network.extensions.return_value = [SimpleNamespace(alias=alias) for alias in extensions]
    network = MagicMock(id="n", project_id="ours", is_router_external=False)
    network.name = "front"
    connection.network.networks.return_value = [network]
    assert [one.own_macs_only for one in Placement(connection).networks()] == [only]


@pytest.mark.parametrize(("told", "secures"), [({}, True), ({"port_security_enabled": False}, False)])
def test_a_network_of_which_the_cloud_does_not_tell_secures_its_ports(told, secures):
    """Its extension may be there, and a policy hide the field."""
    connection = shared_network(403)
    connection.network.subnets.return_value = []
    connection.network.extensions.return_value = [SimpleNamespace(alias="port-security")]
    connection.network.networks.return_value = [CloudNetwork.existing(id="n", name="front", shared=True, **told)]
    assert [one.port_security for one in Placement(connection).networks()] == [secures]


def test_where_the_cloud_lets_choose_a_machine_keeps_its_mac_on_another_projects_network():
    nic = Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "LAN")
    machine = Machine("vm-1", "web", PowerState.OFF, 1, 256, (), (nic,), platform=Platform("vsphere"))
    request = MigrationRequest(networks={"LAN": "shared"})
    target = MagicMock()
    target.networks.return_value = [Network("n", "shared", True, False, ())]
    for may, kept in ((True, nic.mac), (False, None), (None, None)):
        target.taken.return_value = Taken(may_choose=may)
        facts = gather_for_plan(target, [(machine, request)], None, converts_here=False)
        assert land_nics(machine, request, facts, [])[0].mac == kept


def test_limits_that_a_cloud_does_not_tell_are_none():
    """A policy that forbids the question, and a network service that tells no details of its quota."""
    connection = MagicMock(current_project_id="ours")
    connection.compute.get_limits.side_effect = sdk.ForbiddenException
    storage = {"max_total_volumes": 10, "total_volumes_used": 4, "max_total_volume_gigabytes": None}
    told = SimpleNamespace(**storage, total_gigabytes_used=None, max_total_snapshots=-1, total_snapshots_used=1)
    connection.block_storage.get_limits.return_value.absolute = told
    connection.block_storage.get.return_value.ok = False
    connection.network.get_quota.return_value.ports = None
    room = Placement(connection).quota_room()
    assert (room.instances, room.cores, room.memory_mib, room.ports) == (None, None, None, None)
    assert (room.volumes, room.gigabytes, room.snapshots) == (6, None, None)
