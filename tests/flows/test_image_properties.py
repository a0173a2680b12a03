"""What the target is told of a volume's system by the properties of its image."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.target_side import Prepared, volume_request
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
