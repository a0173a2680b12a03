"""What the target is told of a volume's system by the properties of its image."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.target_side import Prepared, disk_buses, volume_request
from longshore.model.hardware import Hardware
from longshore.model.machine import Devices, Disk, Machine, PowerState
from longshore.model.platform import Platform
from longshore.model.request import LandingMode, MigrationRequest
from longshore.planning import Landing

DISK = Disk("2000", "Hard disk 1", 0, 1 << 30, "[ds] a/0.vmdk", "ds", image_properties={"hw_disk_bus": "sata"})


@pytest.mark.parametrize(
    ("landing", "guest_id", "properties"),
    [
        (LandingMode.CONVERT, "windows2019srv_64Guest", {"os_type": "windows"}),
        (LandingMode.CONVERT, "debian12_64Guest", {}),
        (LandingMode.UNCHANGED, "windows2019srv_64Guest", {"hw_disk_bus": "sata"}),  # what it has had so far
    ],
)
def test_windows_has_its_clock_in_local_time(landing, guest_id, properties):
    request = MigrationRequest(landing=landing)
    machine = Machine(
        "vm-1", "web", PowerState.ON, 1, 1024, (DISK,), (), platform=Platform("vsphere"), guest_id=guest_id
    )
    prepared = Prepared(machine, Landing("1", "small", (), (), request=request))
    job = cast("MoveContext", SimpleNamespace(request=request))
    assert volume_request(job, prepared, DISK).image_properties == properties


@pytest.mark.parametrize("given", [{}, {"hw_tpm_version": "2.0"}])
def test_a_tpm_that_another_cloud_gave_is_asked_for_only_where_this_one_has_it(given):
    disk = replace(DISK, image_properties={"hw_disk_bus": "sata", "hw_tpm_version": "2.0", "hw_tpm_model": "tpm-crb"})
    request = MigrationRequest(landing=LandingMode.UNCHANGED)
    tpm = Devices(vtpm=True)
    machine = Machine("s", "web", PowerState.ON, 1, 1024, (disk,), (), platform=Platform("vsphere"), devices=tpm)
    prepared = Prepared(machine, Landing("1", "small", (), (), tpm=given, request=request))
    job = cast("MoveContext", SimpleNamespace(request=request))
    assert volume_request(job, prepared, disk).image_properties == {"hw_disk_bus": "sata", **given}


DATA = replace(DISK, key="2001", label="Hard disk 2", position=1, image_properties={})


@pytest.mark.parametrize("own_bus", [None, "virtio"])
def test_a_disk_that_is_not_on_its_servers_bus_stays_there_while_its_guest_is_unchanged(own_bus):
    disks = (DISK, replace(DATA, own_bus=own_bus))
    machine = Machine("s", "web", PowerState.ON, 1, 1024, disks, (), platform=Platform("openstack"))
    for landing, kept in [(LandingMode.UNCHANGED, own_bus), (LandingMode.CONVERT, None)]:
        request = MigrationRequest(landing=landing)
        prepared = Prepared(machine, Landing("1", "small", (), (), request=request))
        job = cast("MoveContext", SimpleNamespace(request=request))
        assert disk_buses(prepared, None) == ((None, kept) if kept else ())
        assert volume_request(job, prepared, disks[1]).metadata == ({"longshore:disk-bus": kept} if kept else {})
        assert volume_request(job, prepared, disks[0]).metadata == {}


def test_a_volume_says_on_which_bus_it_landed():
    """Nova tells nobody, and whoever makes the server again has to know."""
    request = MigrationRequest(landing=LandingMode.AS_IS)
    machine = Machine("vm-1", "web", PowerState.ON, 1, 1024, (DISK, DATA), (), platform=Platform("vsphere"))
    prepared = Prepared(machine, Landing("1", "small", (), (), request=request))
    hardware = Hardware({"hw_disk_bus": "scsi", "hw_scsi_model": "vmpvscsi"}, (None, "virtio"), None)
    job = cast("MoveContext", SimpleNamespace(request=request))
    assert volume_request(job, prepared, DATA, hardware).metadata == {"longshore:disk-bus": "virtio"}
    assert volume_request(job, prepared, DISK, hardware).metadata == {}
