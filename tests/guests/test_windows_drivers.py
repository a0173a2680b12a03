"""What Windows would boot from, read from a registry as Windows writes it, on NTFS in the real appliance."""

import os

import guestfs
import pytest
from phony_windows import Windows, write

from longshore.guests.appliance import BACKEND, mounted
from longshore.guests.drivers import find_drivers
from longshore.guests.inspection import inspect

pytestmark = pytest.mark.lab  # it needs no cloud, but each appliance takes many seconds to start under emulation


@pytest.fixture
def guest(tmp_path):
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
    for name, value in {**BACKEND, "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}.items():
        os.environ.setdefault(name, value)  # without KVM: it is there on some test machines, and guests hang on it
    disk = tmp_path / "windows.raw"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.add_drive_opts(str(disk), format="raw")
    handle.launch()
    handle.part_disk("/dev/sda", "mbr")
    write(handle, "/dev/sda1", windows, tmp_path)
    yield mounted(handle, inspect(handle), read_only=True)
    handle.close()


def test_drivers_started_at_boot_are_those_it_boots_from(guest):
    found = find_drivers(guest, [])
    assert (found.family, found.system) == ("windows", "Windows Server 2022 Made Up")
    assert found.boot == ("vmw_pvscsi", "mptsas", "nvme")  # storahci was found not to be needed, megasas isn't at boot
    assert set(found.later) == {*found.boot, "ahci", "megaraid_sas"}  # vioscsi is disabled
    assert found.network == ("vmxnet3",)
    assert found.fallback_loader is None
    assert found.doubts == ()
