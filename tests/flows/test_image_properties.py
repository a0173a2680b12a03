"""What the target is told of a volume's system by the properties of its image."""

from types import SimpleNamespace
from typing import cast

import pytest

from longshore.flows.journey import Journey
from longshore.flows.target_side import Prepared, volume_request
from longshore.model.machine import Disk, Machine, PowerState
from longshore.model.request import LandingMode, MigrationRequest
from longshore.planning import Landing

DISK = Disk("2000", "Hard disk 1", 0, 1 << 30, "[ds] a/0.vmdk", "ds")


@pytest.mark.parametrize(
    ("guest_id", "properties"),
    [("windows2019srv_64Guest", {"os_type": "windows"}), ("debian12_64Guest", {}), ("", {})],
)
@pytest.mark.parametrize("landing", [LandingMode.CONVERT, LandingMode.UNCHANGED])
def test_windows_has_its_clock_in_local_time(guest_id, properties, landing):
    request = MigrationRequest(landing=landing)
    machine = Machine("vm-1", "web", PowerState.ON, 1, 1024, (DISK,), (), guest_id=guest_id)
    prepared = Prepared(machine, Landing("1", "small", (), (), request=request))
    journey = cast("Journey", SimpleNamespace(request=request))
    assert volume_request(journey, prepared, DISK).image_properties == properties
