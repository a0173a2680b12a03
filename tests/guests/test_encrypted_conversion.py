"""A guest whose root LUKS encrypts, opened with its passphrase and converted by the real virt-v2v, confined."""

import asyncio
import os

import phony
import pytest

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.findings import find
from longshore.guests.process import convert, look_into
from longshore.guests.report import NicName

# It needs no cloud, but each appliance takes many seconds to start under emulation
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(3600)]

MAC = "00:50:56:00:00:01"
NIC = NicName(MAC, "ens192", ("eno33557248", "enp11s0"), MAC, "eth0")
KEY = "open sesame"


def test_it_is_looked_into_converted_and_finished(tmp_path):
    handle = phony.start(tmp_path, os.environ)
    phony.debian_lvm_on_luks(handle, KEY)
    locked = find(handle, [NIC])
    handle.shutdown()
    handle.close()
    assert (locked.inspected, locked.unlocked) == (False, ())
    assert locked.luks == locked.network_bound == ("/dev/sda2",)

    disk, keys = sorted(tmp_path.glob("*.raw"))[0], ["another machine's", KEY]
    with serve_qemu_nbd(disk, read_only=False) as export:
        looked = asyncio.run(look_into([export.uri], tmp_path, print, nics=[NIC], keys=keys))
        assert (looked.inspected, looked.luks, looked.unlocked) == (True, ("/dev/sda2",), ("/dev/sda2",))
        assert looked.network_bound == ()
        assert (looked.drivers.root_disks, looked.drivers.interface_names) == ((0,), ("ens192",))
        assert [room.path for room in looked.file_systems] == ["/", "/boot"]
        report = asyncio.run(convert([export.uri], tmp_path, print, nics=[NIC], keys=keys))
    assert report.system.mounts["/"] == "/dev/safe/root"
    assert [change for change in report.changes if "keeps its name ens192" in change]
    assert KEY not in "".join(log.read_text(errors="replace") for log in tmp_path.glob("*.log"))
