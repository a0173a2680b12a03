"""What a server from OpenStack keeps at another, and what is said of what it can't."""

from dataclasses import replace

import pytest

from longshore.model.concern import Severity
from longshore.model.machine import AllowedAddress, Disk, Machine, Nic, PowerState, ServerDetails, ServerSettings
from longshore.model.platform import Platform
from longshore.model.request import FloatingMode, LandingMode, MigrationRequest, MigrationType
from longshore.model.target import Choices, Flavor, FloatingAddress, Named, Network, Present, QuotaRoom, Subnet
from longshore.model.user_data import decode, encode
from longshore.planning import TargetFacts, land
from longshore.planning.floating import FloatingLanding

DISKS = (
    Disk("r", "volume root", 0, 1 << 30, "r", "fast", name="root", image_properties={"hw_disk_bus": "scsi"}),
    Disk("d", "volume data", 1, 1 << 30, "d", "slow", name="data"),
)
NIC = Nic("p", "port p", "fa:16:3e:00:00:01", "front", addresses=("10.0.0.5",), security_groups=("web", "ops"))
SERVER = Machine(
    "s-1",
    "web",
    PowerState.ON,
    1,
    256,
    DISKS,
    (NIC,),
    change_tracking=True,
    platform=Platform("openstack"),
    server_settings=ServerSettings("ops", "apart", "az1", "#cloud-config", {"team": "web"}, ("blue",)),
    server=ServerDetails(flavor="own"),
)
CHOICES = Choices(
    zones=("az1", "az2"),
    volume_zones=("az1",),
    key_pairs=("ops",),
    security_groups=(Named("g1", "web"), Named("g2", "ops"), Named("g0", "default")),
    server_groups=(Named("sg", "apart"),),
)
FACTS = TargetFacts(
    networks=(Network("n", "front", False, True, (Subnet("s", "10.0.0.0/24", True),)),),
    volume_types=("fast",),
    flavors=(Flavor("f1", "a", 1, 256, 0), Flavor("f2", "own", 1, 256, 5)),
    room=QuotaRoom(None, None, None, None, None, None, None),
    choices=CHOICES,
)
REQUEST = MigrationRequest(networks={"front": "front"})


def codes(concerns, severity=None):
    return {c.code for c in concerns if severity in (None, c.severity)}


def test_all_that_the_target_has_is_kept():
    landing, concerns = land(SERVER, REQUEST, FACTS)
    assert codes(concerns) == {"stopped-by-nova"}
    asked = landing.request
    assert (asked.key_name, asked.server_group, asked.availability_zone) == ("ops", "sg", "az1")
    assert (asked.user_data, asked.metadata, asked.tags) == ("#cloud-config", {"team": "web"}, ("blue",))
    assert asked.landing is LandingMode.UNCHANGED
    assert landing.flavor_name == "own"  # of two of the same size
    assert [disk.volume_type for disk in landing.disks] == ["fast", None]
    (nic,) = landing.nics
    assert (nic.mac, nic.addresses, nic.security_groups) == (NIC.mac, NIC.addresses, ("g1", "g2"))


@pytest.mark.parametrize(
    ("had", "there", "told"), [("aa:01", "aa:02", True), ("aa:01", "aa:01", False), (None, "aa:02", False)]
)
def test_a_key_pair_of_the_same_name_with_another_key_is_told_and_not_taken(had, there, told):
    server = replace(SERVER, server_settings=replace(SERVER.server_settings, key_fingerprint=had))
    facts = replace(FACTS, choices=replace(CHOICES, fingerprints={"ops": there}))
    landing, concerns = land(server, REQUEST, facts)
    assert ("key-pair-differs" in codes(concerns)) == told
    assert landing.request.key_name == (None if told else "ops")
    asked, concerns = land(server, replace(REQUEST, key_name="ops"), facts)
    assert (asked.request.key_name, "key-pair-differs" in codes(concerns)) == ("ops", False)


def test_what_the_user_says_wins():
    wish = replace(
        REQUEST,
        key_name="ops",
        security_groups=("default",),
        metadata={"team": "db", "x": "y"},
        tags=("red",),
        user_data="",
        landing=LandingMode.CONVERT,
        availability_zone="az2",
        storage={"fast": "fast", "slow": "fast"},
    )
    landing, _ = land(SERVER, wish, FACTS)
    asked = landing.request
    assert (asked.metadata, asked.tags) == ({"team": "db", "x": "y"}, ("blue", "red"))
    assert (asked.landing, asked.availability_zone, asked.user_data) == (LandingMode.CONVERT, "az2", "")
    assert landing.nics[0].security_groups == ("default",)
    assert [disk.volume_type for disk in landing.disks] == ["fast", "fast"]


def test_what_the_target_lacks_is_said_and_a_lost_security_group_must_be_accepted():
    bare = replace(FACTS, choices=Choices(("nova",), ("nova",), (), (Named("g1", "web"),), ()))
    landing, concerns = land(SERVER, REQUEST, bare)
    assert landing is None
    assert codes(concerns, Severity.BLOCKER) == {"security-group-left"}
    assert codes(concerns, Severity.WARNING) == {"key-pair-left", "server-group-left", "stopped-by-nova"}
    assert "availability-zone-left" in codes(concerns)
    landing, _ = land(SERVER, replace(REQUEST, accept=("security-group-left",)), bare)
    assert landing.nics[0].security_groups == ("g1",)
    assert (landing.request.key_name, landing.request.server_group) == (None, None)


def test_a_zone_is_not_asked_for_where_there_is_no_other():
    one = replace(FACTS, choices=replace(CHOICES, zones=("az1",)))
    landing, _ = land(SERVER, REQUEST, one)
    assert landing.request.availability_zone is None


def test_first_boot_scripts_need_a_conversion():
    landing, _ = land(SERVER, replace(REQUEST, first_boot=("echo",)), FACTS)
    assert landing.request.landing is LandingMode.CONVERT


def test_further_addresses_come_along_each_with_its_own_port():
    pairs = (AllowedAddress("10.0.0.9"), AllowedAddress("10.0.0.64/28", "fa:16:3e:00:00:77"))
    vip = replace(SERVER, nics=(replace(NIC, allowed_addresses=pairs),))
    landing, concerns = land(vip, replace(REQUEST, allowed_addresses=("10.0.0.9", "10.0.0.10")), FACTS)
    assert landing.nics[0].allowed_addresses == (*pairs, AllowedAddress("10.0.0.10"))
    assert "allowed-addresses-left" not in codes(concerns)
    # on another project's network not even the MAC may be chosen
    foreign = replace(FACTS, networks=(replace(FACTS.networks[0], owned=False),))
    landing, concerns = land(vip, REQUEST, foreign)
    assert landing.nics[0].allowed_addresses == ()
    (said,) = [str(c) for c in concerns if c.code == "allowed-addresses-left"]
    assert 'port p may speak for 10.0.0.9, 10.0.0.64/28; on network "front" it may not' in said


def test_user_data_that_nova_would_not_take_is_a_blocker():
    for text, said in (
        ("base64:not that", "isn't base64"),
        (encode(b"\x1f\x8b" + bytes(49150)), "has 49152 bytes; Nova takes 49149"),
    ):
        landing, concerns = land(SERVER, replace(REQUEST, user_data=text), FACTS)
        assert landing is None
        (concern,) = [c for c in concerns if c.code == "user-data-invalid"]
        assert said in concern.text
    landing, _ = land(SERVER, replace(REQUEST, user_data=encode(b"\x1f\x8b" + bytes(40000))), FACTS)
    assert decode(landing.request.user_data)[:2] == b"\x1f\x8b"


def test_what_would_be_lost_or_cannot_be_moved_is_said():
    odd = replace(
        SERVER,
        disks=(replace(DISKS[0], tracked=False), DISKS[1]),
        server=ServerDetails(ephemeral_gib=5, config_drive=True, port_security_off=True),
    )
    _, concerns = land(odd, replace(REQUEST, type=MigrationType.WARM), FACTS)
    lost = {"ephemeral-disks", "config-drive", "port-security-off", "root-disk-not-tracked", "not-one-moment"}
    assert lost <= codes(concerns, Severity.WARNING)
    stuck = replace(
        SERVER,
        disks=(DISKS[0], replace(DISKS[1], encrypted=True)),
        server=ServerDetails(status="SHELVED", relay=True, unseen_volumes=1),
    )
    landing, concerns = land(stuck, REQUEST, FACTS)
    assert landing is None
    assert codes(concerns, Severity.BLOCKER) == {
        "server-state",
        "server-is-relay",
        "volumes-encrypted",
        "volumes-unseen",
    }


def test_what_cannot_be_frozen_is_refused_where_it_has_to_be():
    wish = replace(REQUEST, type=MigrationType.DRY_RUN, quiesce=True)
    assert land(SERVER, wish, FACTS)[0] is None
    assert codes(land(SERVER, wish, FACTS)[1], Severity.BLOCKER) == {"quiesce-impossible"}
    assert land(replace(SERVER, freezes=True), wish, FACTS)[0] is not None
    assert land(replace(SERVER, power=PowerState.OFF), wish, FACTS)[0] is not None


def test_a_server_that_can_be_frozen_is_of_one_moment():
    _, concerns = land(replace(SERVER, freezes=True), replace(REQUEST, type=MigrationType.WARM), FACTS)
    assert "not-one-moment" not in codes(concerns)


FLOATING = replace(SERVER, nics=(replace(NIC, floating_addresses={"10.0.0.5": "172.24.4.20"}),))
SAME = FloatingAddress("fip", "172.24.4.20", "x", None)
OUTSIDE = (Named("x", "public"),)


@pytest.mark.parametrize(
    ("mode", "free", "outside", "lands", "said"),
    [
        (FloatingMode.AUTO, (SAME,), OUTSIDE, FloatingLanding("10.0.0.5", "fip"), None),
        (FloatingMode.AUTO, (), OUTSIDE, FloatingLanding("10.0.0.5", None, "x"), "floating-address-new"),
        (FloatingMode.AUTO, (replace(SAME, port_id="p"),), (), None, "floating-address-left"),
        (FloatingMode.NEW, (SAME,), OUTSIDE, FloatingLanding("10.0.0.5", None, "x"), "floating-address-new"),
        (FloatingMode.EXISTING, (SAME,), OUTSIDE, FloatingLanding("10.0.0.5", "fip"), None),
        (FloatingMode.EXISTING, (), OUTSIDE, None, "floating-address-missing"),
        (FloatingMode.SKIP, (SAME,), OUTSIDE, None, None),
    ],
)
def test_floating_addresses_go_as_asked(mode, free, outside, lands, said):
    facts = replace(FACTS, floating=free, external_networks=outside)
    request = replace(REQUEST, floating=mode, accept=("floating-address-missing",))
    landing, concerns = land(FLOATING, request, facts)
    assert landing.nics[0].floating == ((lands,) if lands else ())
    assert codes(concerns) - {"stopped-by-nova"} == ({said} if said else set())
    rehearsed, _ = land(FLOATING, replace(request, type=MigrationType.DRY_RUN), facts)
    assert rehearsed.nics[0].floating == ()


def test_a_server_that_is_there_already_is_not_made_again_unasked():
    there = replace(FACTS, present=(Present("t-1", "web", "s-1"), Present("t-2", "web", None)))
    landing, concerns = land(SERVER, REQUEST, there)
    assert landing is None
    assert codes(concerns, Severity.BLOCKER) == {"server-there-already"}
    landing, _ = land(SERVER, replace(REQUEST, accept=("server-there-already",)), there)
    assert landing is not None
    # in one project for both sides the machine itself isn't in its own way, another of its name is said
    _, concerns = land(SERVER, REQUEST, replace(FACTS, present=(Present("s-1", "web", None),)))
    assert not codes(concerns) & {"server-there-already", "server-name-taken"}
    _, concerns = land(SERVER, REQUEST, replace(FACTS, present=(Present("t-2", "web", None),)))
    assert "server-name-taken" in codes(concerns, Severity.WARNING)
