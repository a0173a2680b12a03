"""What of a look's answer depends on single devices, where one of them can't be read."""

from longshore.guests import efi, findings
from longshore.guests.appliance import Guest


class Devices:
    """A disk, and a logical volume that isn't activated, as libguestfs answers for one."""

    def list_devices(self):
        return ["/dev/sda"]

    def list_partitions(self):
        return ["/dev/sda1"]

    def list_md_devices(self):
        return []

    def lvs(self):
        return ["/dev/data/cluster"]

    def list_dm_devices(self):
        return []

    def vfs_type(self, device):
        if device == "/dev/data/cluster":
            raise RuntimeError("vfs_type: vfs_type_stub: /dev/data/cluster: No such file or directory")
        return "swsuspend" if device == "/dev/sda1" else ""

    def pread_device(self, _device, size, _offset):
        return bytes(size)


def test_one_of_many_that_cannot_be_read_is_a_doubt():
    found = findings._of_devices(Devices())
    assert found.suspended == ("/dev/sda1",)
    (doubt,) = found.doubts
    assert doubt.startswith("/dev/data/cluster couldn't be read, so what is on it isn't known: vfs_type: ")


def test_why_no_system_was_found_below_a_cache():
    devices = Devices()
    devices.inspect_os = list
    devices.umount_all = lambda: None
    devices.vfs_type = lambda device: "bcache" if device == "/dev/sda1" else ""
    assert findings.find(devices, []).why_not.endswith(" /dev/sda1 holds bcache, which can't be opened here.")


def test_an_efi_partition_on_another_disk_than_the_first_is_told():
    devices = Devices()
    devices.list_devices = lambda: ["/dev/sda", "/dev/sdb"]
    devices.list_partitions = lambda: ["/dev/sda1", "/dev/sdb1"]
    devices.part_to_partnum = lambda device: int(device[-1])
    devices.part_get_parttype = lambda _disk: "gpt"
    devices.device_index = devices.list_devices().index
    kinds = {"/dev/sda": "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "/dev/sdb": efi._TYPE}
    devices.part_get_gpt_type = lambda disk, _number: kinds[disk]
    (doubt,) = efi.on_another_disk(Guest(devices, None))
    assert doubt.startswith("Its EFI system partition is on disk 2, and a server boots from the first of its disks")
    kinds["/dev/sda"] = efi._TYPE
    assert list(efi.on_another_disk(Guest(devices, None))) == []
