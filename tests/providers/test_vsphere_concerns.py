"""Whatever a machine at a vCenter has about it that matters to its migration is found, and nothing else is said.

The machines are a simulated vCenter's, read through its API; what the target has is given.
"""

from contextlib import closing
from dataclasses import replace

import pytest

from longshore.model.request import LandingMode, MigrationRequest, MigrationType
from longshore.model.target import Flavor, Network, QuotaRoom, Subnet
from longshore.planning import TargetFacts, check
from longshore.providers.vsphere import machine_list
from longshore.providers.vsphere.source import VsphereSource

GIB = 1 << 30
PRIVATE = Network("net-1", "private", shared=False, owned=True, subnets=(Subnet("s", "10.20.0.0/16", True),))
FACTS = TargetFacts(
    networks=(PRIVATE,),
    volume_types=("ceph",),
    flavors=(Flavor("f", "small", 1, 512, 0),),
    room=QuotaRoom(None, None, None, None, None, None, None),
)
COLD = MigrationRequest(networks={"VM Network": "private"})
WARM = MigrationRequest(networks={"VM Network": "private"}, type=MigrationType.WARM)

FOUND = [
    ("template", COLD, {"machine-is-template": "blocker"}),
    ("suspended", COLD, {"machine-suspended": "blocker"}),
    ("disconnected host", COLD, {"host-disconnected": "blocker"}),
    ("orphaned", COLD, {"host-disconnected": "blocker", "machine-unreadable": "blocker"}),
    ("fault tolerance", COLD, {"fault-tolerance": "blocker"}),
    ("encrypted", COLD, {"machine-encrypted": "blocker"}),
    ("pci passthrough", COLD, {"pci-passthrough": "blocker"}),
    ("sriov", COLD, {"sriov": "warning"}),
    ("usb", COLD, {"usb-device": "warning"}),
    ("vtpm", COLD, {"vtpm": "warning"}),
    ("cpu affinity", COLD, {"cpu-affinity": "warning"}),
    ("memory affinity", COLD, {"memory-affinity": "warning"}),
    ("host affinity", COLD, {"host-affinity": "warning"}),
    ("cpu hot add", COLD, {"cpu-hot-add": "information"}),
    ("memory hot add", COLD, {"memory-hot-add": "information"}),
    ("ballooning", COLD, {"ballooning": "warning"}),
    ("guest settings", COLD, {"guest-settings-left": "warning"}),
    ("latency sensitive", COLD, {"latency-sensitive": "warning"}),
    ("managed", COLD, {"machine-managed": "warning"}),
    ("memory reserved", COLD, {"memory-reserved": "information"}),
    ("limits", COLD, {"limits-left": "information"}),
    ("limit of a disk", COLD, {"limits-left": "information"}),
    ("shares", COLD, {"limits-left": "information"}),
    ("disc in a drive", COLD, {"device-left-behind": "warning"}),
    ("serial port to a file", COLD, {"device-left-behind": "warning"}),
    ("boots from network", COLD, {"boots-elsewhere": "warning"}),
    ("snapshot", COLD, {"machine-has-snapshots": "information"}),
    ("snapshot", WARM, {"machine-has-snapshots": "information", "change-tracking-needs-no-snapshots": "warning"}),
    ("consolidation needed", COLD, {"consolidation-needed": "warning"}),
    (None, WARM, {"change-tracking-off": "information"}),
    ("tracking unsupported", COLD, {}),
    ("tracking unsupported", WARM, {"change-tracking-unsupported": "warning"}),
    ("no disks", COLD, {"machine-without-disks": "blocker"}),
    ("disk of zero size", COLD, {"disk-of-zero-size": "blocker"}),
    ("raw device", COLD, {"disk-raw-device": "blocker"}),
    ("physical raw device", COLD, {"disk-raw-device": "blocker", "disk-independent": "blocker"}),
    ("independent disk", COLD, {"disk-independent": "blocker"}),
    ("multi-writer disk", COLD, {"disk-shared": "blocker"}),
    ("bus sharing", COLD, {"disk-shared": "blocker"}),
    ("tools stopped", COLD, {"guest-tools-not-running": "warning"}),
    ("tools stopped", MigrationRequest(networks=COLD.networks, force_power_off=True), {}),
    ("no host name", COLD, {"guest-host-name-empty": "warning"}),
    ("no address", COLD, {"guest-address-unknown": "warning"}),
    ("freebsd", COLD, {"guest-os-unsupported": "blocker", "boot-proof-unsure": "warning"}),
    ("freebsd", MigrationRequest(networks=COLD.networks, landing=LandingMode.UNCHANGED, boot_port=22), {}),
    ("unknown system", COLD, {"guest-os-unknown": "warning", "boot-proof-unsure": "warning"}),
    ("windows", COLD, {"boot-not-provable": "blocker"}),
    ("secure boot", COLD, {"firmware-uefi": "warning", "secure-boot": "warning"}),
    ("full file system", COLD, {"guest-file-system-full": "warning"}),
]


@pytest.fixture(scope="module")
def odd(paper):
    """The name of a machine with something about it; each is made once."""
    paper.sidedoor.add_paper_machines(len(FOUND) + 4, prefix="odd", running=True)
    made: dict[str | None, str] = {}

    def name(oddity):
        if oddity not in made:
            made[oddity] = f"odd{len(made) + 1:05}"
            if oddity is not None:
                paper.sidedoor.make_odd(made[oddity], oddity)
        return made[oddity]

    return name


@pytest.fixture
def source(paper, settings):
    with closing(VsphereSource(replace(settings, vddk_libdir="/opt/vddk"), paper.password)) as source:
        yield source


def concerns(source, name, request):
    return {c.code: c.severity.value for c in check([(source.machine(name), request)], FACTS, source.inventory())}


def test_a_clean_machine_raises_no_concern(odd, source):
    assert concerns(source, odd(None), COLD) == {}


@pytest.mark.parametrize(("oddity", "request_", "expected"), FOUND)
def test_what_it_has_about_it_is_found(odd, source, oddity, request_, expected):
    assert concerns(source, odd(oddity), request_) == expected


@pytest.mark.parametrize("oddity", ["trunk", "trunk of a host"])
def test_an_adapter_on_a_trunk_is_found(odd, source, oddity, monkeypatch):
    name = odd(oddity)
    request = MigrationRequest(networks={f"trunk of {name}": "private"})
    assert concerns(source, name, request) == {"trunk-left": "blocker"}
    monkeypatch.setattr(machine_list, "PAGE", 1)  # its host has been asked for by another page
    listed = {machine.name: machine.nics for machine in source.machines()}
    assert listed[name][0].subports == ("VLANs 0-4094",)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {"no-way-to-disks"}),
        ({"proxies": ("longshore-proxy",)}, {"no-way-to-disks"}),  # named, and not said to be used
        ({"vddk_plugin": "nfc"}, set()),
        ({"transport": "export"}, {"export-begins-anew"}),
    ],
)
def test_a_provider_that_was_told_no_way_to_disks_is_found_before_anything_begins(odd, paper, settings, said, expected):
    with closing(VsphereSource(replace(settings, **said), paper.password)) as source:
        found = check([(source.machine(odd(None)), COLD)], FACTS, source.inventory())
    assert {concern.code for concern in found} == expected
    for concern in found:
        assert ("--transport export" in concern.advice) is (concern.code == "no-way-to-disks")
        assert not concern.acceptable


OVER_SSH = [
    (None, COLD, set()),
    (None, WARM, {"change-tracking-off", "ssh-copies-whole-disks"}),
    ("layered disk", COLD, {"ssh-disk-has-layers"}),
    ("raw device", COLD, {"disk-raw-device", "ssh-disk-unreadable"}),
    ("encrypted", COLD, {"machine-encrypted", "ssh-machine-encrypted"}),
]


@pytest.mark.parametrize(("oddity", "request_", "expected"), OVER_SSH)
def test_what_can_not_be_read_over_ssh_is_found(odd, ssh_source, oddity, request_, expected):
    assert set(concerns(ssh_source, odd(oddity), request_)) == expected


def test_a_host_whose_key_is_not_pinned_is_found(odd, source_over_ssh):
    with source_over_ssh("esx3.lab") as source:
        (concern,) = check([(source.machine(odd(None)), COLD)], FACTS, source.inventory())
    assert (concern.code, concern.acceptable) == ("ssh-host-unknown", False)
    assert "is on esx1.lab, of which no SSH host key is pinned" in concern.text
    assert "longshore provider set" in concern.advice


@pytest.mark.parametrize(
    ("free", "request_", "expected"),
    [
        (500 << 20, COLD, {"datastore-full": "blocker"}),
        (5 * GIB // 4, WARM, {"datastore-nearly-full": "warning", "change-tracking-off": "information"}),
        (5 * GIB // 4, COLD, {}),  # what is off doesn't write into its snapshot
    ],
)
def test_datastores_without_room_for_snapshots(paper, odd, source, free, request_, expected):
    name = odd(None)
    before = source.inventory().datastores[0]
    paper.sidedoor.set_free_space("datastore1", free)
    try:
        assert concerns(source, name, request_) == expected
    finally:
        paper.sidedoor.set_free_space("datastore1", before.free)
