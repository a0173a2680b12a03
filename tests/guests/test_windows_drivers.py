"""What Windows would boot from, read from a registry as Windows writes it, on NTFS in the real appliance."""

import pytest
from phony_windows import Windows, write

from longshore.guests.appliance import mounted
from longshore.guests.drivers import find_drivers
from longshore.guests.inspection import inspect

pytestmark = pytest.mark.lab  # it needs no cloud, but each appliance takes many seconds to start under emulation


@pytest.fixture
def guest(empty_appliance, tmp_path):
    never_needed = (0, 3)  # what Windows says of boot drivers without hardware here
    windows = Windows(
        services={
            "pvscsi": 0,
            "LSI_SAS": 0,
            "storahci": never_needed,
            "stornvme": (0, 0),
            "megasas": 3,
            "vioscsi": 4,
            "vmxnet3ndis6": 3,
            "E1G60": 4,
        }
    )
    for disk in ("/dev/sda", "/dev/sdb"):  # libguestfs can't look into a Windows beside a disk without a table
        empty_appliance.part_init(disk, "mbr")
    empty_appliance.part_add("/dev/sda", "p", 2048, 131071)
    write(empty_appliance, "/dev/sda1", windows, tmp_path)
    yield mounted(empty_appliance, inspect(empty_appliance), read_only=True)
    empty_appliance.umount_all()


@pytest.mark.turns("looks")
def test_drivers_started_at_boot_are_those_it_boots_from(guest):
    found = find_drivers(guest, [])
    assert (found.family, found.system) == ("windows", "Windows Server 2022 Made Up")
    assert found.boot == ("vmw_pvscsi", "mptsas", "nvme")  # storahci was found not to be needed, megasas isn't at boot
    assert set(found.later) == {*found.boot, "ahci", "megaraid_sas"}  # vioscsi is disabled
    assert found.network == ("vmxnet3",)
    assert found.fallback_loader is None
    assert found.doubts == ()
