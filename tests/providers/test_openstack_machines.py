"""Servers as Nova, Cinder and Neutron describe them, and the machines that they are."""

import base64
import gzip
import json
import re
from contextlib import suppress
from unittest.mock import MagicMock

import pytest
from keystoneauth1.exceptions import EndpointNotFound
from openstack.block_storage.v3.volume import Volume
from openstack.compute.v2.keypair import Keypair
from openstack.compute.v2.server import Server
from openstack.compute.v2.server_group import ServerGroup
from openstack.exceptions import NotFoundException
from openstack.network.v2.floating_ip import FloatingIP
from openstack.network.v2.port import Port
from openstack.network.v2.port_forwarding import PortForwarding
from openstack.network.v2.security_group import SecurityGroup

from longshore.errors import Conflict, NotFound
from longshore.model.machine import AllowedAddress, Firmware, PowerState, ServerDetails
from longshore.model.target import Owner, ServerRequest
from longshore.providers.openstack.inventory import NovaMachines
from longshore.providers.openstack.machines import ROOT, Around, machine_of, readable_user_data
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.servers import _attributes

GIB = 1 << 30
FLAVOR = {"original_name": "m1", "vcpus": 2, "ram": 2048, "disk": 0, "ephemeral": 0, "swap": 0}


def server(**more):
    body = {
        "id": "s",
        "name": "web",
        "status": "ACTIVE",
        "flavor": FLAVOR,
        "image": "",
        "metadata": {"team": "web", "longshore:owner": "m/server", "longshore:source": "vm-1"},
        "OS-EXT-AZ:availability_zone": "az1",
        "key_name": "ops",
        "tags": ["blue"],
        "hostId": "abc",
        "os-extended-volumes:volumes_attached": [{"id": "d"}, {"id": "r"}, {"id": "z"}],
        **more,
    }
    return Server.existing(**body)


def volume(id_, device, **more):
    attached = [{"server_id": "s", "device": device}]
    body = {"id": id_, "name": f"{id_} name", "size": 1, "volume_type": "fast", "attachments": attached, **more}
    return Volume.existing(**body)


VOLUMES = {
    "d": volume("d", "/dev/vdb"),
    "z": volume("z", "/dev/vdaa"),
    "r": volume(
        "r",
        "/dev/vda",
        volume_image_metadata={
            "hw_firmware_type": "uefi",
            "os_secure_boot": "required",
            "os_distro": "debian",
            "image_id": "i",
            "checksum": "c",
            "os_hash_value": "h",
            "img_signature_certificate_uuid": "of-this-cloud",
        },
    ),
}
PORT = Port.existing(
    id="p",
    mac_address="FA:16:3E:00:00:01",
    network_id="n",
    fixed_ips=[{"ip_address": "10.0.0.5", "subnet_id": "x"}],
    security_groups=["g"],
    port_security_enabled=True,
)


def around(**more):
    return Around(
        **{
            "volumes": VOLUMES,
            "ports": {"s": [PORT]},
            "networks": {"n": "front"},
            "security_groups": {"g": "web"},
            "server_groups": {"s": "apart"},
            "floating": {"p": {"10.0.0.5": "172.24.4.9"}},
            **more,
        }
    )


def test_a_server_that_boots_from_a_volume():
    found = machine_of(server(), around())
    assert (found.ref, found.power, found.cpus, found.memory_mib) == ("s", PowerState.ON, 2, 2048)
    assert [disk.key for disk in found.disks] == ["r", "d", "z"]  # vda, vdb, vdaa
    assert [disk.position for disk in found.disks] == [0, 1, 2]
    assert found.disks[0].size == GIB
    kept = {"hw_firmware_type": "uefi", "os_secure_boot": "required", "os_distro": "debian"}
    assert found.disks[0].image_properties == kept
    assert (found.firmware, found.secure_boot, found.guest_name) == (Firmware.UEFI, True, "debian")
    (nic,) = found.nics
    assert (nic.mac, nic.network, nic.addresses) == ("fa:16:3e:00:00:01", "front", ("10.0.0.5",))
    assert (nic.security_groups, nic.floating_addresses) == (("web",), {"10.0.0.5": "172.24.4.9"})
    has = found.server_settings
    assert (has.key_name, has.server_group, has.availability_zone) == ("ops", "apart", "az1")
    assert (has.metadata, has.tags, has.user_data) == ({"team": "web"}, ("blue",), None)
    assert not found.freezes
    assert found.server == ServerDetails(flavor="m1")


def project_of(*names):
    """Of a Nova that takes names as it does: as regular expressions, to be found anywhere in them."""
    servers = [server(id=f"id-{name}", name=name) for name in names]

    def listed(*, details, name=""):
        assert details
        return (one for one in servers if re.search(name, one.name))

    connection = MagicMock(current_project_id="p")
    connection.compute.get_server.side_effect = NotFoundException
    connection.compute.servers.side_effect = listed
    connection.block_storage.get_volume.side_effect = VOLUMES.get
    return connection


@pytest.mark.parametrize("name", ["web", "web.1", "web(1", "web 2", "[a]"])
def test_a_server_is_found_by_a_name_that_others_have_within_theirs(name):
    project = project_of("web", "web.1", "webX1", "web(1", "web 2", "xwebx", "[a]", "a")
    assert NovaMachines(project).machine(name).ref == f"id-{name}"
    with pytest.raises(NotFound, match="has no server we"):
        NovaMachines(project).machine("we")


def test_a_word_that_is_ones_name_and_anothers_id_is_never_the_first_that_fits():
    project = project_of("web", "id-web")
    project.compute.get_server.side_effect = lambda id_: next(project.compute.servers(details=True, name=id_[3:]))
    with pytest.raises(Conflict, match=r"Several servers may be meant by id-web: web \(id-web\), id-web \(id-id-web\)"):
        NovaMachines(project).machine("id-web")
    assert NovaMachines(project).by_reference("id-web").name == "web"


@pytest.mark.parametrize(
    "ask", [lambda machines: machines.by_reference("s"), lambda machines: next(machines.describe(["s"]))]
)
def test_a_volume_that_is_another_projects_or_gone_by_now_is_one_that_isnt_seen(ask):
    project = project_of("web")
    project.compute.get_server.side_effect = [server()]
    project.block_storage.get_volume.side_effect = [VOLUMES["d"], NotFoundException(), VOLUMES["z"]]
    found = ask(NovaMachines(project))
    assert [disk.key for disk in found.disks] == ["d", "z"]
    assert found.server.unseen_volumes == 1


def test_a_port_that_an_administrator_made_is_an_adapter_of_its_server_in_lists_too():
    """Neutron shows it to the network's owner, under the administrator's project."""
    project = project_of("web", "db")
    made = Port.existing(id="p", device_id="id-db", project_id="of-admin", mac_address="fa:16:3e:00:00:02")

    def listed(*, device_id=(), project_id=None):
        wanted = [device_id] if isinstance(device_id, str) else device_id
        return [made] if made.device_id in wanted and project_id in (None, made.project_id) else []

    project.network.ports.side_effect = listed
    found = {machine.name: [nic.mac for nic in machine.nics] for machine in NovaMachines(project).machines()}
    assert found == {"web": [], "db": ["fa:16:3e:00:00:02"]}


@pytest.mark.parametrize(("user", "fingerprint"), [("ann", "aa:01"), ("bob", None)])
def test_the_key_of_a_server_is_known_where_it_is_the_account_s_own(user, fingerprint):
    project = project_of()
    one = server(id="id-web", name="web", key_name="ops", user_id=user)
    project.compute.servers.side_effect = lambda **_: iter([one])
    project.current_user_id = "ann"
    project.compute.keypairs.side_effect = lambda: iter([Keypair.existing(name="ops", fingerprint="aa:01")])
    assert NovaMachines(project).machine("web").server_settings.key_fingerprint == fingerprint


def test_groups_of_one_name_are_told_apart_as_in_a_tenants_files():
    """One of that name at the target may be the copy of the other one, and let in more."""
    project = project_of("web")
    port = Port.existing(id="p", device_id="id-web", security_groups=["11111111-a", "33333333-c"])
    project.network.ports.side_effect = lambda **_: [port]
    groups = {"11111111-a": "web", "22222222-b": "web", "33333333-c": "db"}
    project.network.security_groups.return_value = [SecurityGroup.existing(id=i, name=n) for i, n in groups.items()]
    apart = [ServerGroup.existing(id=i, name="ha", member_ids=[m]) for i, m in (("1-111111-a", "id-web"), ("2-b", "x"))]
    project.compute.server_groups.side_effect = lambda: iter(apart)
    found = NovaMachines(project).machine("web")
    assert found.nics[0].security_groups == ("web-11111111", "db")
    assert found.server_settings.server_group == "ha-1-111111"


def test_the_groups_of_a_port_count_where_the_cloud_does_not_know_port_security():
    """openstacksdk says False of what Neutron doesn't tell; without it, Neutron lets no port have groups."""
    told = Port.existing(id="p", security_groups=["g"])
    silent = machine_of(server(), around(ports={"s": [Port.existing(id="r", security_groups=[])]}))
    assert (silent.nics[0].security_groups, silent.server.port_security_off) == ((), False)
    off = Port.existing(id="q", security_groups=[], port_security_enabled=False)
    found = machine_of(server(), around(ports={"s": [told]}))
    assert (found.nics[0].security_groups, found.server.port_security_off) == (("web",), False)
    found = machine_of(server(), around(ports={"s": [told, off]}))
    assert (found.nics[1].security_groups, found.server.port_security_off) == (None, True)


def test_a_share_that_a_server_mounts_is_a_device_that_stays_behind():
    """Since 2025.1: its files are on no disk of the server."""
    project = project_of("web")
    answer = project.compute.get.return_value
    answer.json.return_value = {"shares": [{"share_id": "of-all", "tag": "data", "status": "active"}]}
    assert NovaMachines(project).machine("web").devices.others == ("the share of-all",)
    assert project.compute.get.call_args.args == ("/servers/id-web/shares",)
    answer.ok = False  # 406, as of older ones
    assert NovaMachines(project).machine("web").devices.others == ()


def test_what_a_floating_ip_forwards_to_a_server_is_told():
    """One address for many servers, as where addresses are dear: it leads to no port, and is lost all the same."""
    project = project_of("web")
    project.network.ports.side_effect = lambda **_: [Port.existing(id="p", device_id="id-web")]
    addresses = [
        FloatingIP.existing(id="shared", floating_ip_address="172.24.4.9", router_id="r", port_id=None),
        FloatingIP.existing(id="free", floating_ip_address="172.24.4.8", router_id=None, port_id=None),
    ]
    project.network.ips.return_value = addresses
    leads = {"internal_port_id": "p", "external_port": 2222, "protocol": "tcp"}
    project.network.port_forwardings.side_effect = lambda ip: [PortForwarding.existing(**leads)] * (ip == "shared")
    (nic,) = NovaMachines(project).machine("web").nics
    assert nic.port_features == ("the forwarding of tcp 2222 of 172.24.4.9",)
    assert [call.args for call in project.network.port_forwardings.call_args_list] == [("shared",)]
    project.network.port_forwardings.side_effect = NotFoundException
    assert NovaMachines(project).machine("web").nics[0].port_features == ()


def test_a_server_is_looked_for_in_few_where_its_name_allows_that():
    project = project_of("web", "db")
    for name, asked in (("web", {"name": "web"}), ("db.1", {})):
        with suppress(NotFound):
            NovaMachines(project).machine(name)
        assert project.compute.servers.call_args.kwargs == {"details": True, **asked}


def test_a_server_with_its_root_disk_on_the_compute_node():
    flavor = {**FLAVOR, "disk": 5, "ephemeral": 2, "swap": 512}
    image = {"id": "i", "size": 3 * GIB + 1, "virtual_size": None, "min_disk": 0, "hw_disk_bus": "scsi", "name": "x"}
    found = machine_of(server(image={"id": "i"}, flavor=flavor, config_drive="True"), around(images={"i": image}))
    root, *others = found.disks
    assert (root.key, root.size, root.controller, root.tracked) == (ROOT, 5 * GIB, "scsi", False)
    assert [disk.key for disk in others] == ["r", "d", "z"]
    assert found.server == ServerDetails(flavor="m1", ephemeral_gib=2, swap_mib=512, config_drive=True)
    # without a size of the flavor's own the image's counts; of an image that is gone nothing is known
    found = machine_of(server(image={"id": "i"}), around(images={"i": image}))
    assert found.disks[0].size == 4 * GIB
    assert machine_of(server(image={"id": "i"}), around()).disks[0].size == 0


def test_a_volume_on_another_bus_than_its_servers_says_so():
    on_scsi = {"hw_disk_bus": "scsi", "hw_scsi_model": "vmpvscsi"}
    volumes = {
        "r": volume("r", "/dev/sda", volume_image_metadata=on_scsi),
        "d": volume("d", "/dev/hda", volume_image_metadata=on_scsi, metadata={"longshore:disk-bus": "ide"}),
        "z": volume("z", "/dev/sdb", volume_image_metadata={"hw_disk_bus": "ide"}),  # which Nova doesn't heed
    }
    found = machine_of(server(), around(volumes=volumes))
    assert [(disk.key, disk.controller, disk.own_bus) for disk in found.disks] == [
        ("r", "scsi", None),
        ("z", "scsi", None),
        ("d", "ide", "ide"),
    ]


def test_what_stands_against_moving_it_is_noted():
    volumes = {**VOLUMES, "d": volume("d", "/dev/vdb", encrypted=True)}
    del volumes["z"]
    shared = [{"server_id": "s", "device": "/dev/vda"}, {"server_id": "other", "device": "/dev/vdb"}]
    volumes["r"] = volume("r", "/dev/vda", multiattach=True, attachments=shared)
    open_port = Port.existing(
        id="p",
        mac_address="fa:16:3e:00:00:01",
        network_id="n",
        port_security_enabled=False,
    )
    odd = server(status="SHELVED_OFFLOADED", metadata={"longshore:relay": "true"}, locked=True, config_drive="True")
    found = machine_of(odd, around(volumes=volumes, ports={"s": [open_port]}))
    assert found.power is PowerState.UNKNOWN
    assert found.disks[0].shared
    assert found.nics[0].security_groups is None
    assert [disk.name for disk in found.disks if disk.encrypted] == ["d name"]
    assert found.server == ServerDetails(
        flavor="m1",
        status="SHELVED_OFFLOADED",
        locked=True,
        config_drive=True,
        unseen_volumes=1,
        port_security_off=True,
        relay=True,
    )


@pytest.mark.parametrize(
    ("properties", "specs", "has"),
    [({}, {}, False), ({"hw_tpm_version": "2.0"}, {}, True), ({}, {"hw:tpm_version": "2.0"}, True)],
)
def test_a_tpm_is_given_by_its_image_or_its_flavor(properties, specs, has):
    volumes = {"r": volume("r", "/dev/vda", volume_image_metadata=properties)}
    found = machine_of(server(flavor={**FLAVOR, "extra_specs": specs}), around(volumes=volumes))
    assert found.devices.vtpm is has


def test_secure_boot_is_asked_for_by_the_flavor_too():
    volumes = {"r": volume("r", "/dev/vda", volume_image_metadata={"hw_firmware_type": "uefi"})}
    asked = {**FLAVOR, "extra_specs": {"os:secure_boot": "required"}}
    found = [machine_of(server(flavor=flavor), around(volumes=volumes)).secure_boot for flavor in (FLAVOR, asked)]
    assert found == [False, True]


@pytest.mark.parametrize(
    ("specs", "passed", "others"),
    [
        ({"pci_passthrough:alias": "a100:2,nic:1"}, 3, ()),
        ({"pci_passthrough:alias": "a100"}, 1, ()),
        ({"resources:VGPU": "1", "resources:VCPU": "4", "trait:CUSTOM_X": "required"}, 1, ()),
        ({"accel:device_profile": "fpga-dp"}, 0, ("the accelerator fpga-dp",)),
        ({"resources_gpu-1:VGPU": "1", "resources2:PGPU": "1"}, 2, ()),
        (
            {"resources1:CUSTOM_A16_8Q": "1", "resources:CUSTOM_NONE": "0", "hw:pmem": "6GB"},
            0,
            ("the host's resource CUSTOM_A16_8Q", "persistent memory of its host (6GB)"),
        ),
        ({"hw:cpu_policy": "dedicated"}, 0, ()),
    ],
)
def test_devices_of_the_host_that_a_flavor_gives_are_told(specs, passed, others):
    """Flavors for graphics cards have them, and the server at the target has none of its own accord."""
    found = machine_of(server(flavor={**FLAVOR, "extra_specs": specs}), around())
    assert (found.devices.passthrough, found.devices.others) == (passed, others)


@pytest.mark.parametrize(
    ("status", "providers", "told"), [(200, [{"uuid": "c"}], True), (200, [], False), (403, None, None)]
)
def test_who_is_no_administrator_is_not_told_of_tpms(status, providers, told):
    answer = MagicMock(ok=status == 200, json=lambda: {"resource_providers": providers})
    connection = MagicMock()
    connection.placement.get.return_value = answer
    assert Placement(connection).emulates_tpm() is told
    connection.placement.get.side_effect = EndpointNotFound()
    assert Placement(connection).emulates_tpm() is None


def test_only_a_guest_that_must_be_frozen_is_one_that_freezes():
    for properties, freezes in (
        ({"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}, True),
        ({"hw_qemu_guest_agent": "yes"}, False),  # Nova would go on unfrozen without a word
        ({"os_require_quiesce": "yes"}, False),
    ):
        volumes = {**VOLUMES, "r": volume("r", "/dev/vda", volume_image_metadata=properties)}
        assert machine_of(server(), around(volumes=volumes)).freezes is freezes


def test_the_addresses_that_a_port_may_speak_for():
    pairs = [
        {"ip_address": "10.0.0.9", "mac_address": "fa:16:3e:00:00:01"},  # as Neutron notes the port's own
        {"ip_address": "10.0.0.64/28", "mac_address": "FA:16:3E:00:00:77"},
    ]
    body = {"id": "p", "mac_address": "FA:16:3E:00:00:01", "network_id": "n", "allowed_address_pairs": pairs}
    (nic,) = machine_of(server(), around(ports={"s": [Port.existing(**body)]})).nics
    assert nic.allowed_addresses == (
        AllowedAddress("10.0.0.9"),
        AllowedAddress("10.0.0.64/28", "fa:16:3e:00:00:77"),
    )


def test_user_data_arrives_as_the_same_bytes_whatever_they_are():
    for content in ("#cloud-config\nhostname: wäb\n".encode(), gzip.compress(b"#cloud-config"), b"base64:", b"a\0b"):
        kept = base64.b64encode(content).decode()
        told_of = Server(id="s", name="web", status="ACTIVE", flavor={"vcpus": 1, "ram": 256}, user_data=kept)
        told = machine_of(told_of, Around()).server_settings.user_data
        request = ServerRequest("web", "f", ("v",), (), user_data=json.loads(json.dumps(told)))
        assert _attributes(request, Owner("m", "server"))["user_data"] == kept
        assert "\0" not in told
    text = base64.b64encode(b"#!/bin/sh\n").decode()
    assert readable_user_data(text) == "#!/bin/sh\n"
    assert readable_user_data(None) is None


def test_what_a_port_has_beside_its_network_is_told():
    told = {
        "trunk_details": {"sub_ports": [{"segmentation_id": 7, "segmentation_type": "vlan", "mac_address": "fa:07"}]},
        "binding:vnic_type": "direct",
        "qos_policy_id": "gold",
        "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x"}],
        "numa_affinity_policy": "required",
        "admin_state_up": False,
    }
    port = Port.existing(**{"id": "p", "mac_address": "FA:16:3E:00:00:01", "network_id": "n", **told})
    (nic,) = machine_of(server(), around(ports={"s": [port]})).nics
    assert (nic.model, nic.connected, nic.subports, nic.network_ref) == ("sriov", False, ("VLAN 7 (fa:07)",), "n")
    said = (
        "the vnic type direct",
        "the QoS policy gold",
        "the numa affinity policy required",
        "DHCP options (bootfile-name)",
    )
    assert nic.port_features == said
    (plain,) = machine_of(server(), around()).nics
    assert (plain.model, plain.connected, plain.subports, plain.port_features) == ("virtio", True, (), ())
