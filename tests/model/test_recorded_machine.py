"""A recorded machine that a stranger could have written ends nothing for the others."""

from dataclasses import replace

import pytest

from longshore.model.forms import form
from longshore.model.machine import AllowedAddress, Disk, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.recorded_machine import read_machine
from longshore.model.request import MigrationRequest
from longshore.model.target import Network, QuotaRoom, Subnet
from longshore.planning import TargetFacts, check
from longshore.providers.vsphere.platform import PLATFORM

NETWORK = Network("n", "private", shared=False, owned=True, subnets=(Subnet("s", "10.20.0.0/16", True),))
FACTS = TargetFacts((NETWORK,), (), (), QuotaRoom(None, None, None, None, None, None, None))
DISK = Disk(key="d", label="d", position=0, size=1 << 30, location="x", storage="ceph")
NIC = Nic("n", "NIC 1", "00:50:56:00:00:01", "private", addresses=("10.20.0.5",))
MACHINE = Machine("r", "web", PowerState.OFF, 1, 512, (DISK,), (NIC,), platform=PLATFORM)


def written(machine):
    return form(Machine).dump_python(machine, mode="json")


def test_a_machine_is_read_as_it_was_written():
    allowed = (AllowedAddress("10.20.0.0/24", None), AllowedAddress("10.20.1.1", "00:00:5e:00:01:0a"))
    machine = replace(MACHINE, nics=(replace(NIC, allowed_addresses=allowed),))
    assert read_machine(written(machine)) == machine


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        ({"addresses": ("not an address", "10.20.0.7")}, {"addresses": ("10.20.0.7",)}),
        ({"addresses": ("10.20.0.5/24",)}, {"addresses": ()}),
        ({"mac": "nonsense"}, {"mac": ""}),
        ({"allowed_addresses": (AllowedAddress("x", None), AllowedAddress("10.20.0.9", "y"))}, {}),
    ],
)
def test_what_never_was_an_address_is_none_and_the_plan_is_checked(odd, read):
    machine = read_machine(written(replace(MACHINE, nics=(replace(NIC, **odd),))))
    assert machine == replace(MACHINE, nics=(replace(NIC, **read),))
    request = MigrationRequest(networks={"private": "private"})
    told = check([(machine, request), (replace(MACHINE, ref="q", name="db"), request)], FACTS)
    assert {concern.machine for concern in told} >= {"r", "q"}


@pytest.mark.parametrize(
    "odd", [{"platform": Platform("a kind of tomorrow")}, {"disks": (DISK, replace(DISK, position=1))}]
)
def test_a_machine_of_another_kind_and_one_with_a_disk_twice_are_none(odd):
    with pytest.raises(ValueError, match=r"isn.t known|one key"):
        read_machine(written(replace(MACHINE, **odd)))
