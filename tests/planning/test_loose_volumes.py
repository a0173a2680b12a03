"""Where a volume lands that no server has, and what stands against moving it."""

from dataclasses import replace

from longshore.model.concern import Severity
from longshore.model.machine import Disk, LooseVolume, Machine, PowerState, ServerSettings
from longshore.model.platform import Platform
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.target import Present, QuotaRoom, VolumeTypeRoom
from longshore.planning import VolumeFacts, land_volume

VOLUME = Machine(
    "volume:v",
    "archive",
    PowerState.OFF,
    0,
    0,
    (Disk("v", "volume archive", 0, 3 << 30, "v", "slow", name="archive"),),
    (),
    platform=Platform("openstack"),
    server_settings=ServerSettings(availability_zone="az1"),
    loose_volume=LooseVolume("available"),
)
FACTS = VolumeFacts(("slow", "fast"), QuotaRoom(None, None, None, None, None, None, None), ("az1", "az2"), ())
REQUEST = MigrationRequest(type=MigrationType.VOLUME)


def landed(volume=VOLUME, request=REQUEST, facts=FACTS):
    landing, concerns = land_volume(volume, request, facts)
    return landing and (landing.volume_type, landing.zone), {c.code for c in concerns}


def test_type_and_zone_are_those_of_the_same_name_or_as_asked_for():
    assert landed() == (("slow", "az1"), set())
    assert landed(request=replace(REQUEST, storage={"slow": "fast"}, availability_zone="az2"))[0] == ("fast", "az2")
    assert landed(facts=replace(FACTS, volume_types=("fast",)))[0] == (None, "az1")
    assert landed(facts=replace(FACTS, zones=("nova",))) == (("slow", None), {"volume-zone-left"})
    assert landed(facts=replace(FACTS, zones=("az1",)))[0] == ("slow", None)


def test_what_stands_against_it():
    assert landed(request=replace(REQUEST, storage={"slow": "gold"})) == (None, {"volume-type-missing"})
    assert landed(request=replace(REQUEST, availability_zone="az9")) == (None, {"volume-zone-unknown"})
    assert landed(replace(VOLUME, loose_volume=LooseVolume("error"))) == (None, {"volume-state"})
    encrypted = (replace(VOLUME.disks[0], encrypted=True),)
    assert landed(replace(VOLUME, disks=encrypted)) == (None, {"volumes-encrypted"})
    assert landed(facts=replace(FACTS, present=(Present("v", "archive", None),))) == (None, {"volume-at-home"})


def test_quotas_of_the_project_and_of_the_type_count():
    small = replace(FACTS.room, gigabytes=2)
    assert landed(facts=replace(FACTS, room=small)) == (None, {"quota-gigabytes"})
    none_left = replace(FACTS.room, volume_types={"slow": VolumeTypeRoom(0, None, None)})
    assert landed(facts=replace(FACTS, room=none_left)) == (None, {"quota-volume-type"})
    assert landed(facts=replace(FACTS, room=replace(FACTS.room, largest_volume=2))) == (None, {"disk-too-large"})


def test_one_that_is_there_already_is_not_made_again_unasked():
    there = replace(FACTS, present=(Present("t", "archive", "volume:v"), Present("u", "archive", None)))
    landing, concerns = land_volume(VOLUME, REQUEST, there)
    assert landing is None
    (concern,) = [c for c in concerns if c.severity is Severity.BLOCKER]
    assert (concern.code, concern.text) == ("volume-there-already", "archive is there already, as volume archive (t).")
    assert landed(request=replace(REQUEST, accept=("volume-there-already",)), facts=there)[0] == ("slow", "az1")
