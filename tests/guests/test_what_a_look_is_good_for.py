"""What a look has found is enough for work on the same disks, or nothing of it is taken."""

from dataclasses import replace

from longshore.guests.process import system_found
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.hardware import BootDrivers

MOUNTS, UUIDS = {"/": "/dev/sda2", "/boot": "/dev/sda1"}, {"/": "a", "/boot": "b"}
FOUND = GuestFindings(
    inspected=True,
    systems=(FoundSystem("/dev/sda2", "linux", "debian", "12.0", "Debian 12", "x86_64", "", "", "deb", "web"),),
    drivers=BootDrivers(inspected=True, family="linux", mounts=MOUNTS, uuids=UUIDS),
    root_in_fstab=False,
)


def test_all_of_it_is_there():
    system = system_found(FOUND)
    assert (system.root, system.mounts, system.uuids) == ("/dev/sda2", MOUNTS, UUIDS)
    assert (system.family, system.distribution, system.version, system.product) == (
        "linux", "debian", "12.0", "Debian 12",
    )  # fmt: skip
    assert (system.architecture, system.package_format, system.host_name) == ("x86_64", "deb", "web")
    assert not system.root_in_fstab


def test_disks_that_nobody_could_look_into_tell_nothing():
    assert system_found(replace(FOUND, inspected=False)) is None
    assert system_found(replace(FOUND, drivers=BootDrivers(inspected=False))) is None
