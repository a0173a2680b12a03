"""Preflight of whole plans: what the target lacks, what machines have against each other, what can be accepted."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.model.concern import Severity
from longshore.model.machine import Disk, Machine, Nic, PowerState, ToolsState
from longshore.model.platform import Platform
from longshore.model.request import BootProof, LandingMode, MigrationRequest, MigrationType
from longshore.model.target import (
    Choices,
    Flavor,
    Named,
    Network,
    Port,
    QuotaRoom,
    Subnet,
    VolumeTypeRoom,
)
from longshore.model.windows import WindowsParts
from longshore.planning import TargetFacts, asks_agent, blocked, check, land

GIB = 1 << 30
DISK = Disk("2000", "Hard disk 1", 0, 3 * GIB, "[ds1] a/a.vmdk", "ds1")
NIC = Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "VM Network", addresses=("10.0.0.41",))
CLEAN = Machine(
    "vm-1",
    "web01",
    PowerState.ON,
    1,
    512,
    (DISK,),
    (NIC,),
    guest_id="debian12_64Guest",
    host_name="web01",
    tools=ToolsState.RUNNING,
    platform=Platform("vsphere"),
)
FRONT = Subnet("sub-1", "10.0.0.0/24", True, "front")
BACK = Subnet("sub-2", "10.0.1.0/24", True, "back")
PRIVATE = Network("net-1", "private", shared=False, owned=True, subnets=(FRONT, BACK))
SHARED = replace(PRIVATE, id="net-2", name="shared", shared=True, owned=False)
TWIN = replace(PRIVATE, id="net-3", name="twin")
UNLIMITED = QuotaRoom(None, None, None, None, None, None, None)
FACTS = TargetFacts(
    networks=(PRIVATE, SHARED, TWIN, replace(TWIN, id="net-4"), replace(PRIVATE, id="net-5", name="bare", subnets=())),
    volume_types=("ceph", "gold"),
    flavors=(Flavor("f1", "small", 1, 512, 0),),
    room=UNLIMITED,
    choices=Choices(
        zones=("az1", "az2"),
        volume_zones=("az1",),
        key_pairs=("mine",),
        security_groups=(Named("sg-1", "web"), Named("sg-2", "twin"), Named("sg-3", "twin")),
        server_groups=(Named("grp-1", "apart"),),
    ),
    ports={
        "port-1": Port("port-1", NIC.mac, ("10.9.9.9",), "net-2"),
        "port-2": Port("port-2", "fa:16:3e:00:00:01", ("10.9.9.8",), "net-2", in_use=True),
    },
)
REQUEST = MigrationRequest(networks={"VM Network": "private"})


def another(number, **changes):
    """A machine that has nothing in common with the first."""
    mac, address = f"00:50:56:00:01:{number:02x}", f"10.0.0.{100 + number}"
    nic = replace(NIC, mac=mac, addresses=(address,))
    return replace(CLEAN, ref=f"vm-{number + 1}", name=f"web{number + 1:02}", nics=(nic,), **changes)


def said(concerns):
    return {c.code: c.severity.value for c in concerns}


def only(machine=CLEAN, request=REQUEST, facts=FACTS):
    return said(check([(machine, request)], facts))


def test_clean_machines_raise_nothing():
    assert check([(CLEAN, REQUEST), *((another(n), REQUEST) for n in range(1, 20))], FACTS) == []
    assert check([], FACTS) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"networks": {}}, {"network-unmapped": "blocker"}),
        ({"networks": {"VM Network": "nowhere"}}, {"network-not-found": "blocker"}),
        ({"networks": {"VM Network": "twin"}}, {"network-ambiguous": "blocker"}),
        ({"networks": {"VM Network": "net-3"}}, {}),
        ({"networks": {"VM Network": "shared"}}, {"network-not-owned": "warning"}),
        (
            {"networks": {"VM Network": "bare"}},
            {"network-without-subnet": "warning", "address-outside-subnet": "warning"},
        ),
        ({"subnets": {"VM Network": "front"}}, {}),
        ({"subnets": {"VM Network": "10.0.0.0/24"}}, {}),
        ({"subnets": {"VM Network": "back"}}, {"address-outside-subnet": "warning"}),
        ({"subnets": {"VM Network": "cellar"}}, {"subnet-not-found": "blocker", "address-outside-subnet": "warning"}),
        ({"storage": {"ds1": "bronze"}}, {"volume-type-missing": "blocker"}),
        ({"flavor": "huge"}, {"flavor-not-found": "blocker"}),
        ({"availability_zone": "az1"}, {}),
        ({"availability_zone": "az2"}, {"volume-zone-missing": "warning"}),
        ({"availability_zone": "az9"}, {"availability-zone-missing": "blocker"}),
        ({"key_name": "mine", "server_group": "apart", "security_groups": ("web",)}, {}),
        ({"key_name": "yours"}, {"key-pair-missing": "blocker"}),
        ({"server_group": "together"}, {"server-group-missing": "blocker"}),
        ({"security_groups": ("web", "db")}, {"security-group-missing": "blocker"}),
        ({"security_groups": ("twin",)}, {"name-ambiguous": "blocker"}),
        ({"security_groups": ("sg-3",)}, {}),
        ({"ports": {NIC.mac: "port-1"}, "networks": {}}, {}),
        ({"ports": {NIC.mac.upper(): "port-1"}, "networks": {}}, {}),
        ({"ports": {NIC.mac: "port-9"}}, {"port-not-found": "blocker"}),
        ({"ports": {NIC.mac: "port-2"}}, {"port-in-use": "blocker", "port-other-mac": "warning"}),
        ({"ports": {"00:00:00:00:00:02": "port-1"}}, {"port-for-no-adapter": "blocker"}),
        ({"server_name": ""}, {}),  # none: as the machine is called
        ({"server_name": "  "}, {"server-name-refused": "blocker"}),
        ({"server_name": "w" * 256}, {"server-name-refused": "blocker"}),
        ({"server_name": "Web server 1"}, {"server-name-no-host-name": "warning"}),
    ],
)
def test_what_is_asked_for_must_be_there(changed, expected):
    assert only(request=replace(REQUEST, **changed)) == expected


@pytest.mark.parametrize(
    ("nic", "facts", "expected"),
    [
        (NIC, replace(FACTS, macs_in_use=frozenset({("net-1", NIC.mac)})), {"mac-in-use": "blocker"}),
        (NIC, replace(FACTS, macs_in_use=frozenset({("net-3", NIC.mac)})), {}),
        (NIC, replace(FACTS, addresses_in_use=frozenset({("net-1", "10.0.0.41")})), {"address-in-use": "blocker"}),
        (replace(NIC, mac="01:50:56:00:00:01"), FACTS, {"mac-multicast": "blocker"}),
        (replace(NIC, mac=""), FACTS, {"mac-missing": "warning"}),
        (replace(NIC, addresses=("192.0.2.1",)), FACTS, {"address-outside-subnet": "warning"}),
        (replace(NIC, addresses=()), FACTS, {"guest-address-unknown": "warning"}),
        (replace(NIC, addresses=(), connected=False), FACTS, {"adapter-unplugged": "warning"}),
    ],
)
def test_macs_and_addresses(nic, facts, expected):
    assert only(replace(CLEAN, nics=(nic,)), facts=facts) == expected


def test_nobody_is_told_to_start_what_never_runs():
    silent = replace(CLEAN, nics=(replace(NIC, addresses=()),))
    (found,) = check([(silent, REQUEST)], FACTS)
    assert "VMware Tools" in found.advice
    (found,) = check([(replace(silent, platform=Platform("files"), power=PowerState.OFF), REQUEST)], FACTS)
    assert (found.code, found.advice.partition(",")[0]) == ("guest-address-unknown", "Name them (--address)")


def test_what_is_in_use_is_not_in_the_way_of_a_dry_run():
    facts = replace(
        FACTS,
        macs_in_use=frozenset({("net-1", NIC.mac)}),
        addresses_in_use=frozenset({("net-1", "10.0.0.41")}),
    )
    rehearsal = replace(REQUEST, type=MigrationType.DRY_RUN)
    assert only(request=rehearsal, facts=facts) == {}
    assert only(request=replace(rehearsal, networks={"VM Network": "shared"})) == {}


def test_ways_out_for_a_tenant_are_named():
    (found,) = check([(CLEAN, replace(REQUEST, networks={"VM Network": "shared"}))], FACTS)
    for way in ("an administrator's", "advsvc", "--port MAC=ID"):
        assert way in found.advice


def test_a_port_made_by_an_administrator_is_taken_as_it_is():
    landing, _ = land(CLEAN, replace(REQUEST, ports={NIC.mac: "port-1"}), FACTS)
    (nic,) = landing.nics
    assert (nic.port_id, nic.network_id, nic.mac, nic.addresses) == ("port-1", "net-2", NIC.mac, ("10.9.9.9",))
    rehearsal = replace(REQUEST, ports={NIC.mac: "port-1"}, type=MigrationType.DRY_RUN)
    assert land(CLEAN, rehearsal, FACTS)[0].nics[0].port_id is None


def test_a_subnet_and_a_zone_reach_the_landing():
    request = replace(REQUEST, subnets={"VM Network": "back"}, availability_zone="az1")
    landing, _ = land(CLEAN, request, FACTS)
    assert (landing.nics[0].subnet_id, landing.nics[0].addresses, landing.volume_zone) == ("sub-2", (), "az1")
    assert land(CLEAN, replace(request, availability_zone="az2"), FACTS)[0].volume_zone is None


ROOMS = [
    ("instances", 3),
    ("cores", 3),
    ("memory_mib", 3 * 512),
    ("volumes", 3),
    ("gigabytes", 3 * 3 + 3 * 3),  # and as much again for the snapshots that conversions can go back to
    ("snapshots", 3),
    ("ports", 3),
]


@pytest.mark.parametrize(("what", "enough"), ROOMS)
def test_a_quota_is_counted_over_the_whole_plan(what, enough):
    plan = [(CLEAN, REQUEST), (another(1), REQUEST), (another(2), REQUEST)]
    room = replace(UNLIMITED, **{what: enough})
    assert check(plan, replace(FACTS, room=room)) == []
    short = replace(UNLIMITED, **{what: enough - 1})
    (found,) = check(plan, replace(FACTS, room=short))
    assert (found.code, found.severity) == (f"quota-{what.partition('_')[0]}", Severity.BLOCKER)
    assert f"room for {enough - 1} " in found.text
    assert f"3 machines need {enough}." in found.text


def test_what_is_needed_only_on_the_way_counts_for_those_that_move_at_once():
    plan = [(CLEAN, REQUEST), *((another(n), REQUEST) for n in range(1, 5))]
    facts = replace(FACTS, room=replace(UNLIMITED, snapshots=2, gigabytes=5 * 3 + 2 * 3))
    assert check(plan, facts, at_once=2) == []
    assert set(said(check(plan, facts, at_once=3))) == {"quota-snapshots", "quota-gigabytes"}
    as_it_is = replace(REQUEST, landing=LandingMode.UNCHANGED)
    assert check([(machine, as_it_is) for machine, _ in plan], facts) == []
    rehearsed = replace(as_it_is, type=MigrationType.DRY_RUN)
    room = replace(UNLIMITED, instances=2, volumes=2, gigabytes=6, ports=2)
    assert check([(machine, rehearsed) for machine, _ in plan], replace(FACTS, room=room), at_once=2) == []
    kept = replace(rehearsed, keep=True)
    assert "quota-instances" in said(check([(m, kept) for m, _ in plan], replace(FACTS, room=room), at_once=2))


def test_the_quota_of_a_volume_type_counts_only_what_is_of_it():
    room = replace(UNLIMITED, volume_types={"gold": VolumeTypeRoom(volumes=1, gigabytes=6, snapshots=None)})
    facts = replace(FACTS, room=room)
    gold = replace(REQUEST, storage={"ds1": "gold"})
    assert check([(CLEAN, gold), (another(1), REQUEST)], facts) == []
    found = check([(CLEAN, gold), (another(1), gold)], facts)
    assert [(c.code, c.subject) for c in found] == [("quota-volume-type", "gold")] * 2


def test_a_port_that_is_there_already_needs_no_quota():
    request = replace(REQUEST, ports={NIC.mac: "port-1"})
    assert only(request=request, facts=replace(FACTS, room=replace(UNLIMITED, ports=0))) == {}


def test_a_disk_larger_than_the_target_allows():
    facts = replace(FACTS, room=replace(UNLIMITED, largest_volume=2))
    assert only(facts=facts) == {"disk-too-large": "blocker"}


@pytest.mark.parametrize(
    ("second", "request_", "expected"),
    [
        (CLEAN, REQUEST, {"machine-twice": "blocker"}),
        (another(1, host_name="x"), replace(REQUEST, server_name="web01"), {"duplicate-name": "warning"}),
        (replace(another(1), nics=(replace(NIC, addresses=("10.0.0.9",)),)), REQUEST, {"duplicate-mac": "blocker"}),
        (
            replace(another(1), nics=(replace(NIC, mac="00:50:56:00:00:09"),)),
            REQUEST,
            {"duplicate-address": "blocker"},
        ),
        (replace(another(1), nics=(NIC,)), replace(REQUEST, networks={"VM Network": "net-3"}), {}),
        (replace(another(1), nics=(NIC,)), replace(REQUEST, type=MigrationType.DRY_RUN), {}),
    ],
)
def test_machines_in_each_others_way(second, request_, expected):
    assert said(check([(CLEAN, REQUEST), (second, request_)], FACTS)) == expected


@pytest.mark.parametrize("same", ["mac", "address"])
def test_adapters_of_one_machine_in_each_others_way(same):
    other = replace(NIC, mac="00:50:56:00:00:09") if same == "address" else replace(NIC, addresses=("10.0.0.42",))
    landing, concerns = land(replace(CLEAN, nics=(NIC, replace(other, key="4001"))), REQUEST, FACTS)
    assert (landing, said(concerns)) == (None, {f"duplicate-{same}": "blocker"})


def test_a_disk_of_two_machines_is_told():
    second = another(1)
    disks = (replace(DISK, storage_ref="datastore-1"),)
    plan = [(replace(CLEAN, disks=disks), REQUEST), (replace(second, disks=disks), REQUEST)]
    (shared,) = [concern for concern in check(plan, FACTS) if concern.code == "disk-of-several"]
    assert f"{CLEAN.disks[0].location} is a disk of several machines: web01, {second.name}" in shared.text


def test_one_port_for_two_adapters():
    second = another(1)
    plan = [
        (CLEAN, replace(REQUEST, ports={NIC.mac: "port-1"})),
        (second, replace(REQUEST, ports={second.nics[0].mac: "port-1"})),
    ]
    assert said(check(plan, FACTS)) == {"port-other-mac": "warning", "duplicate-port": "blocker"}


# What can be accepted


def test_an_accepted_blocker_is_a_warning_and_the_machine_lands():
    shared = replace(CLEAN, disks=(replace(DISK, shared=True),))
    landing, concerns = land(shared, REQUEST, FACTS)
    assert landing is None
    assert "--accept disk-shared" in str(blocked(concerns))
    landing, concerns = land(shared, replace(REQUEST, accept=("disk-shared",)), FACTS)
    assert landing is not None
    assert said(concerns) == {"disk-shared": "warning"}


def test_what_makes_a_move_impossible_cannot_be_accepted_and_says_so():
    request = replace(REQUEST, accept=("machine-is-template", "no-flavor-large-enough"))
    landing, concerns = land(replace(CLEAN, template=True, cpus=64), request, FACTS)
    assert landing is None
    assert said(concerns) == {"machine-is-template": "blocker", "no-flavor-large-enough": "blocker"}
    assert all("can't be accepted" in str(concern) for concern in concerns)
    assert "can't be accepted" in str(blocked(concerns))
    assert "--accept" not in str(blocked(concerns))


def test_a_quota_of_the_plan_is_accepted_by_all_or_not_at_all():
    facts = replace(FACTS, room=replace(UNLIMITED, instances=1))
    accepting = replace(REQUEST, accept=("quota-instances",))
    assert said(check([(CLEAN, accepting), (another(1), REQUEST)], facts)) == {"quota-instances": "blocker"}
    assert said(check([(CLEAN, accepting), (another(1), accepting)], facts)) == {"quota-instances": "warning"}


# Whatever the machines are

sizes = st.integers(min_value=1, max_value=40 * GIB)
machines = st.lists(st.tuples(st.lists(sizes, min_size=1, max_size=3), st.booleans()), min_size=1, max_size=8)


def plan_of(described):
    plan = []
    for number, (disks, converted) in enumerate(described):
        made = tuple(replace(DISK, key=str(2000 + i), position=i, size=size) for i, size in enumerate(disks))
        landing = LandingMode.CONVERT if converted else LandingMode.UNCHANGED
        plan.append((another(number, disks=made), replace(REQUEST, landing=landing)))
    return plan


@given(machines, st.integers(0, 9), st.integers(0, 900), st.integers(0, 24), st.integers(1, 9))
def test_a_plan_that_is_blocked_by_a_quota_needs_more_than_there_is_and_no_other_does(
    described, instances, gigabytes, snapshots, at_once
):
    room = replace(UNLIMITED, instances=instances, gigabytes=gigabytes, snapshots=snapshots)
    found = set(said(check(plan_of(described), replace(FACTS, room=room), at_once=at_once)))
    size = [sum(-(-disk // GIB) for disk in disks) for disks, _ in described]
    rollback = sorted((s for s, (_, converted) in zip(size, described, strict=True) if converted), reverse=True)
    points = sorted((len(disks) for disks, converted in described if converted), reverse=True)
    assert ("quota-instances" in found) == (len(described) > instances)
    assert ("quota-gigabytes" in found) == (sum(size) + sum(rollback[:at_once]) > gigabytes)
    assert ("quota-snapshots" in found) == (sum(points[:at_once]) > snapshots)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=8))
def test_everything_that_two_machines_have_in_common_is_found_once(described):
    plan = []
    for number, (name, mac, address) in enumerate(described):
        nic = replace(NIC, mac=f"00:50:56:00:00:0{mac}", addresses=(f"10.0.0.{address}",))
        machine = replace(CLEAN, ref=f"vm-{number}", name=f"web{name}", nics=(nic,))
        plan.append((machine, REQUEST))
    found = Counter(concern.code for concern in check(plan, FACTS))
    for code, values in zip(("name", "mac", "address"), zip(*described, strict=True), strict=True):
        several = sum(count > 1 for count in Counter(values).values())
        assert found.pop(f"duplicate-{code}", 0) == several
    assert not found


@given(machines, st.sampled_from(["quota-instances", "disk-shared", "mac-in-use"]))
def test_accepting_never_adds_a_concern_and_never_hides_one(described, code):
    facts = replace(FACTS, room=replace(UNLIMITED, instances=2))
    plan = plan_of(described)
    before = check(plan, facts)
    after = check([(machine, replace(request, accept=(code,))) for machine, request in plan], facts)
    assert [(c.code, c.subject, c.text) for c in before] == [(c.code, c.subject, c.text) for c in after]


WINDOWS = replace(CLEAN, guest_id="windows2019srv_64Guest")
ODD = replace(CLEAN, guest_id="otherGuest")
AGENT = replace(DISK, image_properties={"os_type": "windows"})
FROM_CLOUD = replace(CLEAN, platform=Platform("openstack"), guest_id="", disks=(AGENT,))


@pytest.mark.parametrize(
    ("machine", "changed", "expected"),
    [
        (WINDOWS, {}, {"boot-not-provable": "blocker"}),
        (WINDOWS, {"boot_proof": BootProof.CONSOLE}, {"boot-not-provable": "blocker"}),
        (WINDOWS, {"accept": ("boot-not-provable",)}, {"boot-not-provable": "warning"}),
        (WINDOWS, {"boot_mark": "SAC>"}, {}),
        (WINDOWS, {"boot_port": 3389}, {}),
        (WINDOWS, {"boot_port": (22, 3389), "boot_proof": BootProof.PORT}, {}),
        (
            WINDOWS,
            {"boot_port": 3389, "type": MigrationType.DRY_RUN, "isolated": True},
            {"boot-not-provable": "blocker"},
        ),
        (WINDOWS, {"boot_proof": BootProof.AGENT}, {"boot-proof-by-agent": "warning"}),
        (WINDOWS, {"boot_proof": BootProof.NONE}, {"boot-unproven": "warning"}),
        (CLEAN, {"boot_proof": BootProof.NONE}, {"boot-unproven": "warning"}),
        (replace(CLEAN, guest_id=""), {}, {"boot-proof-unsure": "warning"}),
        (ODD, {"boot_port": 22}, {"guest-os-unknown": "warning"}),
        (  # some Linux or other: it may have no console that anybody logs in at
            replace(CLEAN, guest_id="other5xLinux64Guest"),
            {},
            {"guest-os-unknown": "warning", "boot-proof-unsure": "warning"},
        ),
        (FROM_CLOUD, {}, {"boot-not-provable": "blocker", "stopped-by-nova": "warning"}),
        (replace(FROM_CLOUD, freezes=True), {}, {"stopped-by-nova": "warning"}),  # Nova asks its agent there, too
    ],
)
def test_a_guest_that_nothing_would_show_to_be_up_is_named_beforehand(machine, changed, expected):
    assert only(machine, replace(REQUEST, **changed)) == expected
    if expected.get("boot-not-provable") == "blocker":
        (concern,) = [c for c in check([(machine, REQUEST)], FACTS) if c.code == "boot-not-provable"]
        assert all(choice in concern.advice for choice in ("--boot-mark", "--boot-port", "--boot-proof none"))


def test_an_agent_that_nobody_named_is_asked_only_where_nothing_else_was_named():
    from_cloud, unchanged = replace(FROM_CLOUD, freezes=True), replace(REQUEST, landing=LandingMode.UNCHANGED)
    assert asks_agent(from_cloud, unchanged)
    assert not asks_agent(from_cloud, replace(unchanged, boot_mark="up"))
    assert not asks_agent(from_cloud, replace(unchanged, boot_port=22))
    assert not asks_agent(from_cloud, replace(unchanged, landing=LandingMode.CONVERT))  # what it takes isn't kept then
    assert asks_agent(CLEAN, replace(REQUEST, boot_proof=BootProof.AGENT))


def test_the_snapshots_that_an_agents_answer_leaves_count_in_the_quota():
    room = replace(FACTS, room=replace(UNLIMITED, snapshots=1, gigabytes=6))
    assert only(facts=room) == {}
    asked = replace(REQUEST, boot_proof=BootProof.AGENT)
    expected = {"quota-snapshots": "blocker", "quota-gigabytes": "blocker", "boot-proof-by-agent": "warning"}
    assert only(request=asked, facts=room) == expected


def test_a_windows_without_drivers_is_refused_where_it_would_be_converted():
    request = replace(REQUEST, boot_port=3389)
    landing, concerns = land(WINDOWS, request, replace(FACTS, windows=WindowsParts()))
    assert landing is None
    assert "windows-parts-missing" in {concern.code for concern in concerns}
    assert land(WINDOWS, request, FACTS)[0] is not None  # who converts isn't asked here
    assert land(CLEAN, REQUEST, replace(FACTS, windows=WindowsParts()))[0] is not None
