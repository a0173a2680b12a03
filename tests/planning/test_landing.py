from dataclasses import replace
from datetime import UTC, datetime

from longshore.model.addresses import AdapterWishes
from longshore.model.concern import Severity
from longshore.model.machine import AllowedAddress, AsOf, Devices, Disk, Firmware, Machine, Nic, PowerState, ToolsState
from longshore.model.platform import Platform
from longshore.model.point import Consistency
from longshore.model.request import LandingMode, MigrationRequest, MigrationType
from longshore.model.target import Flavor, Network, Port, Present, QuotaRoom, Subnet
from longshore.planning import TargetFacts, land

GIB = 1 << 30
DISK = Disk("2000", "Hard disk 1", 0, 3 * GIB, "[ds1] a/a.vmdk", "ds1")
NIC = Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "VM Network", addresses=("10.20.30.41", "fe80::1"))
MACHINE = Machine(
    "vm-1",
    "web01",
    PowerState.ON,
    2,
    1024,
    (DISK,),
    (NIC,),
    guest_id="debian12_64Guest",
    host_name="web01",
    tools=ToolsState.RUNNING,
    platform=Platform("vsphere"),
)
PRIVATE = Network("net-1", "private", shared=False, owned=True, subnets=(Subnet("s", "10.20.30.0/24", True),))
SHARED = replace(PRIVATE, id="net-2", name="shared", shared=True, owned=False)
FLAVORS = (
    Flavor("f1", "small", 1, 512, 0),
    Flavor("f3", "large", 4, 8192, 0),
    Flavor("f2", "fits", 2, 1024, 0),
)
UNLIMITED = QuotaRoom(None, None, None, None, None, None, None)
FACTS = TargetFacts((PRIVATE, SHARED), ("ceph",), FLAVORS, UNLIMITED)
REQUEST = MigrationRequest(networks={"VM Network": "private"})


def codes(concerns):
    return {c.code for c in concerns}


def test_a_clean_machine_lands_on_the_smallest_flavor_with_its_mac_and_address():
    landing, concerns = land(MACHINE, REQUEST, FACTS)
    assert concerns == []
    assert landing.flavor_name == "fits"
    assert landing.nics[0].mac == NIC.mac
    assert landing.nics[0].addresses == ("10.20.30.41",)  # a link-local address is nobody's to keep


def test_an_unmapped_network_blocks_and_the_sentence_says_how_to_map_it():
    landing, concerns = land(MACHINE, MigrationRequest(), FACTS)
    assert landing is None
    assert codes(concerns) == {"network-unmapped"}
    assert '--network "VM Network=TARGET"' in str(concerns[0])
    assert "private, shared" in str(concerns[0])


def test_all_blockers_are_named_at_once():
    request = MigrationRequest(networks={"VM Network": "nowhere"}, storage={"ds1": "gold"}, flavor="huge")
    landing, concerns = land(MACHINE, request, FACTS)
    assert landing is None
    assert codes(concerns) == {"network-not-found", "volume-type-missing", "flavor-not-found"}


def test_a_network_of_another_project_gets_new_mac_and_address_with_a_warning():
    landing, concerns = land(MACHINE, MigrationRequest(networks={"VM Network": "shared"}), FACTS)
    assert landing.nics[0].mac is None
    assert landing.nics[0].addresses == ()
    assert [(c.code, c.severity) for c in concerns] == [("network-not-owned", Severity.WARNING)]


def test_mac_and_address_in_use_block():
    facts = replace(
        FACTS,
        macs_in_use=frozenset({("net-1", NIC.mac)}),
        addresses_in_use=frozenset({("net-1", "10.20.30.41")}),
    )
    landing, concerns = land(MACHINE, REQUEST, facts)
    assert landing is None
    assert codes(concerns) == {"mac-in-use", "address-in-use"}


def test_an_address_outside_the_subnet_is_left_to_the_target():
    machine = replace(MACHINE, nics=(replace(NIC, addresses=("192.0.2.7",)),))
    landing, concerns = land(machine, REQUEST, FACTS)
    assert landing.nics[0].addresses == ()
    assert codes(concerns) == {"address-outside-subnet"}


def test_quota_counts_volumes_and_their_rollback_points():
    room = replace(UNLIMITED, gigabytes=5, snapshots=0, instances=0, cores=1)
    landing, concerns = land(MACHINE, REQUEST, replace(FACTS, room=room))
    assert landing is None
    assert codes(concerns) == {"quota-gigabytes", "quota-snapshots", "quota-instances", "quota-cores"}
    assert land(MACHINE, REQUEST, replace(FACTS, room=replace(UNLIMITED, gigabytes=6)))[1] == []


def test_a_uefi_machine_lands_and_what_cannot_be_asked_for_is_said():
    uefi = replace(MACHINE, firmware=Firmware.UEFI)
    landing, concerns = land(uefi, REQUEST, FACTS)
    assert landing is not None
    assert [(c.code, c.severity) for c in concerns] == [("firmware-uefi", Severity.WARNING)]
    assert codes(land(replace(uefi, secure_boot=True), REQUEST, FACTS)[1]) == {"firmware-uefi", "secure-boot"}


def test_a_virtual_tpm_stays_behind_and_a_flavor_may_give_an_empty_one():
    flavors = (Flavor("f4", "plain", 2, 1024, 0), Flavor("f5", "trusted", 2, 1024, 0, tpm="2.0"))
    facts = replace(FACTS, flavors=flavors)
    with_tpm = replace(MACHINE, devices=Devices(vtpm=True))
    landing, (concern,) = land(with_tpm, REQUEST, facts)
    assert (landing.flavor_name, concern.code) == ("trusted", "vtpm")
    assert "flavor trusted gives the server a new, empty one" in concern.text
    landing, (concern,) = land(with_tpm, replace(REQUEST, flavor="plain"), facts)
    assert "with flavor plain the server has none" in concern.text
    assert landing.tpm == {}  # whether compute nodes have one isn't known
    assert land(MACHINE, REQUEST, replace(FACTS, flavors=flavors))[0].flavor_name == "plain"


def test_a_tpm_is_asked_for_by_the_image_where_compute_nodes_are_known_to_have_it():
    facts = replace(FACTS, emulates_tpm=True)
    landing, (concern,) = land(replace(MACHINE, devices=Devices(vtpm=True)), REQUEST, facts)
    assert landing.tpm == {"hw_tpm_version": "2.0"}
    assert "the image property hw_tpm_version=2.0 gives the server a new, empty one" in concern.text
    assert land(MACHINE, REQUEST, facts)[0].tpm == {}


def test_landing_as_is_is_judged_by_the_present_hardware():
    as_is = replace(REQUEST, landing=LandingMode.AS_IS)
    nic = replace(NIC, model="vmxnet3")
    pvscsi = replace(MACHINE, disks=(replace(DISK, controller="pvscsi"),), nics=(nic,))
    assert "as-is-hardware" in codes(land(pvscsi, as_is, FACTS)[1])
    landing, concerns = land(replace(pvscsi, disks=(replace(DISK, controller="lsilogic"),)), as_is, FACTS)
    assert landing is not None  # it may know more than it shows, and is converted if not
    assert codes(concerns) == {"as-is-undecided"}
    assert "as-is-hardware" not in codes(land(pvscsi, REQUEST, FACTS)[1])


def test_the_same_is_not_said_twice():
    machine = replace(MACHINE, disks=(DISK, replace(DISK, key="2001", position=1)))
    _, concerns = land(machine, replace(REQUEST, storage={"ds1": "gold"}), FACTS)
    assert [c.code for c in concerns] == ["volume-type-missing"]


def test_no_flavor_large_enough():
    landing, concerns = land(replace(MACHINE, memory_mib=1 << 20), REQUEST, FACTS)
    assert landing is None
    assert codes(concerns) == {"no-flavor-large-enough"}


def test_disks_that_a_snapshot_would_leave_out_block():
    disks = (
        replace(DISK, mode="independent_persistent"),
        replace(DISK, key="2001", raw_device=True),
        replace(DISK, key="2002", shared=True),
        replace(DISK, key="2003", size=0),
    )
    landing, concerns = land(replace(MACHINE, disks=disks), REQUEST, FACTS)
    assert landing is None
    assert codes(concerns) == {"disk-independent", "disk-raw-device", "disk-shared", "disk-of-zero-size"}


def test_an_adapter_that_is_unplugged_at_the_source_arrives_so_unless_somebody_plugs_it_in():
    """kubev2v/forklift#7462: a clone that is kept off the network, a machine in quarantine."""
    machine = replace(MACHINE, nics=(replace(NIC, connected=False),))
    landing, (concern,) = land(machine, REQUEST, FACTS)
    assert (landing.nics[0].plugged, concern.code, concern.severity) == (False, "adapter-unplugged", Severity.WARNING)
    assert "--adapter MAC,plugged" in concern.advice
    asked = replace(REQUEST, adapters={NIC.mac.upper(): AdapterWishes(plugged=True)})
    landing, concerns = land(machine, asked, FACTS)
    assert (landing.nics[0].plugged, concerns) == (True, [])
    landing, concerns = land(MACHINE, replace(REQUEST, adapters={NIC.mac: AdapterWishes(unplugged=True)}), FACTS)
    assert (landing.nics[0].plugged, concerns) == (False, [])
    shared = MigrationRequest(networks={"VM Network": "shared"})
    assert land(machine, shared, FACTS)[0].nics[0].plugged is False
    port = Port("p-1", NIC.mac, (), "net-1", in_use=False)
    landing, (concern,) = land(machine, replace(REQUEST, ports={NIC.mac: "p-1"}), replace(FACTS, ports={"p-1": port}))
    assert (concern.code, "port p-1" in concern.text) == ("adapter-unplugged", True)


def test_what_ports_of_a_server_lose_is_said_and_a_lost_trunk_stops():
    """kubernetes/cloud-provider-openstack#2228: a server that has its networks on VLANs of one port."""
    nic = replace(NIC, subports=("VLAN 7 (fa:16:3e:00:00:07)",), port_features=("the QoS policy gold",))
    server = replace(MACHINE, nics=(nic,), power=PowerState.OFF, platform=Platform("openstack"))
    landing, concerns = land(server, REQUEST, FACTS)
    assert landing is None
    said = {c.code: c for c in concerns}
    assert (said["trunk-left"].acceptable, "VLAN 7" in said["trunk-left"].text) == (True, True)
    assert "the QoS policy gold" in said["port-features-left"].text
    assert land(server, replace(REQUEST, accept=("trunk-left",)), FACTS)[0] is not None
    # A port that is there already is its maker's business; a server that is replaced leaves its own
    facts = replace(FACTS, ports={"p-1": Port("p-1", NIC.mac, (), "net-1", in_use=False)})
    assert land(server, replace(REQUEST, ports={NIC.mac: "p-1"}), facts)[1] == []
    in_place = land(server, replace(REQUEST, type=MigrationType.IN_PLACE), FACTS)[1]
    assert not codes(in_place) & {"trunk-left", "port-features-left"}


def test_a_machine_of_another_vcenter_isnt_there_already_and_one_that_is_registered_anew_is():
    """Every vCenter counts its machines from vm-1 on."""
    moved = replace(MACHINE, source_uuid="vcenter-a", instance_uuid="50-1")
    there = replace(FACTS, present=(Present("4c26c797", "erp-db", moved.mark),))
    assert "server-there-already" not in codes(land(replace(MACHINE, source_uuid="vcenter-b"), REQUEST, there)[1])
    other = replace(MACHINE, source_uuid="vcenter-b", instance_uuid="50-2")
    assert "server-there-already" not in codes(land(other, REQUEST, there)[1])
    assert codes(land(replace(moved, ref="vm-77", name="web-new"), REQUEST, there)[1]) == {"server-there-already"}


def test_a_mark_fits_into_metadata_and_a_backups_is_its_own():
    assert len(replace(MACHINE, ref="directory/" * 99).mark) <= 255
    moment = AsOf(datetime(2026, 11, 27, tzinfo=UTC), Consistency.CRASH)
    assert replace(MACHINE, ref="web-1/2026", instance_uuid="50-1", as_of=moment).mark == "web-1/2026"


def test_a_pair_with_a_mac_of_its_own_is_asked_about_before_anything_is_made():
    """Neutron's ML2/OVN takes the port, and refuses to bind it (since 2026.1)."""
    pairs = (AllowedAddress("10.20.30.9"), AllowedAddress("10.20.30.8", "00:00:5e:00:01:07"))
    foreign = AllowedAddress("10.20.30.64/28", "fa:16:3e:00:00:77")
    ovn = replace(FACTS, networks=(replace(PRIVATE, own_macs_only=True), SHARED))
    assert land(replace(MACHINE, nics=(replace(NIC, allowed_addresses=pairs),)), REQUEST, ovn)[1] == []
    machine = replace(MACHINE, nics=(replace(NIC, allowed_addresses=(*pairs, foreign)),))
    landing, (concern,) = land(machine, REQUEST, ovn)
    assert (landing, concern.code, concern.acceptable) == (None, "allowed-address-mac", True)
    landing, _ = land(machine, replace(REQUEST, accept=("allowed-address-mac",)), ovn)
    assert landing.nics[0].allowed_addresses == (*pairs, AllowedAddress("10.20.30.64/28"))
    landing, concerns = land(machine, REQUEST, FACTS)
    assert (landing.nics[0].allowed_addresses, concerns) == ((*pairs, foreign), [])
