"""The names of network interfaces in Linux guests on VMware, by the slot that the adapter sits in.

A virtual machine's `pciSlotNumber` holds the device on its bus in bits 0 to 4, the bridge in bits 5 to 9, and in those
above the bridge's function. Bridge 1 is for old adapters (e1000) and has bus 2; bridges 5 to 8 are PCI Express root
ports with eight functions each, one adapter behind each, and have the buses from 3 on in that order. So vmxnet3 in slot
192 is 0b:00.0, and that in slot 1184 is 04:00.0. From it systemd makes, whichever comes first that the guest knows of:

- `eno16777984` (until early RHEL 7): the number that VMware's firmware gives an adapter, its ordinal, bus, and device
  with function, in bytes. Newer systemds don't believe numbers that large.
- `ens192`: the slot that the root port tells, which is the bridge's number plus the function: 1184 is `ens161`.
- `enp11s0`: bus and device.
"""

from collections.abc import Sequence

_FIRST_KEY = 4000  # VMware's key of the first network adapter
_OLD_BRIDGE, _OLD_BUS = 1, 2
_FIRST_PORT, _FIRST_PORT_BUS, _FUNCTIONS = 5, 3, 8


def pci_address(slot: int) -> tuple[int, int] | None:
    """Return (bus, device) of a VMware machine's adapter; None for a slot that isn't on a bridge we know."""
    function, bridge, device = slot >> 10, slot >> 5 & 0x1F, slot & 0x1F
    if bridge == _OLD_BRIDGE and not function:
        return _OLD_BUS, device
    if bridge >= _FIRST_PORT and function < _FUNCTIONS:
        return _FIRST_PORT_BUS + (bridge - _FIRST_PORT) * _FUNCTIONS + function, device
    return None


def slot_names(slot: int, key: str, position: int) -> tuple[str, ...]:
    """Return names that come from an adapter's slot, the likeliest first.

    `key` is VMware's of the device, `position` its place among the machine's adapters, from 0.
    """
    names = [f"ens{(slot & 0x3FF) + (slot >> 10)}"]
    if (address := pci_address(slot)) is not None:
        bus, device = address
        ordinal = (int(key) - _FIRST_KEY if key.isdigit() and int(key) >= _FIRST_KEY else position) + 1
        names += [f"eno{ordinal << 24 | bus << 8 | device << 3}", f"enp{bus}s{device}"]
    return tuple(names)


def kernel_names(slots: Sequence[int | None]) -> tuple[str, ...]:
    """Return eth0, eth1 … for adapters in these slots: the kernel counts them as it finds them, by bus and device."""

    def place(position: int) -> tuple[int, int, int]:
        slot = slots[position]
        address = None if slot is None else pci_address(slot)
        return (*(address or (1 << 16, slot or 0)), position)

    order = sorted(range(len(slots)), key=place)
    return tuple(f"eth{order.index(position)}" for position in range(len(slots)))
