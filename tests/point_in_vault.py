"""A point as a backup makes it, of a machine that nobody has."""

from datetime import UTC, datetime

from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.vault.disks import NewDisk
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.points import Point, folder_of, new_name
from longshore.vault.writers import finish, leave, register


def with_point(vault, directory, name="web", moment=None, content_of_disk=b"boot" * 1000, identity=None, **content):
    """Add a point of a machine with one disk. `identity`: in its cloud's words, else its name. Answers the point's."""
    size = max(4 * BLOCK, len(content_of_disk))
    register(vault, "w", ())
    disk = NewDisk(vault, Top(size, None), directory / "journal")
    disk.write(0, content_of_disk)
    top = disk.finish()
    disk.close()
    disks = (Disk("2000", "Hard disk 1", 0, size, "[ds] web", "ds"),)
    nics = (Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "VM Network"),)
    machine = Machine("vm-1", name, PowerState.ON, 1, 256, disks, nics, platform=Platform("vsphere"))
    told = {
        "machine": form(Machine).dump_python(machine, mode="json"),
        "consistency": "crash",
        "power": "on",
        **content,
    }
    moment = moment or datetime.now(UTC)
    point = Point(new_name(folder_of(vault, identity or name), moment), moment, {"2000": top}, told)
    finish(vault, "w", point)
    leave(vault, "w")
    (directory / "journal").unlink()
    return point.name
