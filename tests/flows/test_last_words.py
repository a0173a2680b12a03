"""What firmware, boot loaders and kernels print when they have given up ends the waiting at once."""

import pytest

from longshore.errors import BootError
from longshore.flows.moves.bootcheck import Console

# A line each as SeaBIOS, OVMF, GRUB, initramfs-tools, dracut and the kernel print them
GIVEN_UP = [
    "No bootable device.",
    "BdsDxe: No bootable option or device was found.",
    "grub rescue> ",
    "ALERT!  UUID=1234 does not exist.  Dropping to a shell!",
    "dracut-initqueue[312]: Warning: dracut-initqueue timeout - starting timeout scripts",
    "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs",
]


@pytest.mark.parametrize("said", GIVEN_UP)
def test_it_is_taken_for_dead(said):
    with pytest.raises(BootError, match="The guest doesn't boot on the target"):
        Console(lambda: f"booting\r\n{said}\r\n").look()


def test_one_that_is_still_on_its_way_is_waited_for():
    assert Console(lambda: "BdsDxe: loading Boot0001 from PciRoot(0x0)\r\nLoading Linux ...\r\n").look() is None
