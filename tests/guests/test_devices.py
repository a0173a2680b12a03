"""What of a look's answer depends on single devices, where one of them can't be read."""

from longshore.guests import findings


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
