"""Names of interfaces on VMware, as guests there are seen to have them."""

import pytest

from longshore.model.interface_names import kernel_names, slot_names


@pytest.mark.parametrize(
    ("slot", "key", "names"),
    [
        (160, "4000", ("ens160", "eno16777984", "enp3s0")),
        (192, "4001", ("ens192", "eno33557248", "enp11s0")),
        (224, "4002", ("ens224", "eno50336512", "enp19s0")),
        (256, "4003", ("ens256", "eno67115776", "enp27s0")),
        (1184, "4004", ("ens161", "eno83887104", "enp4s0")),
        (1216, "4005", ("ens193", "eno100666368", "enp12s0")),
        (32, "4000", ("ens32", "eno16777728", "enp2s0")),  # e1000
        (33, "4000", ("ens33", "eno16777736", "enp2s1")),
        (33, "4001", ("ens33", "eno33554952", "enp2s1")),
        (34, "nic-1", ("ens34", "eno16777744", "enp2s2")),  # a key that isn't VMware's: by position
        (7, "4000", ("ens7",)),
    ],
)
def test_names_by_slot(slot, key, names):
    assert slot_names(slot, key, 0) == names


def test_the_kernel_counts_adapters_by_bus():
    assert kernel_names([192, 160, 1184, None]) == ("eth2", "eth0", "eth1", "eth3")
    assert kernel_names([33, 192]) == ("eth0", "eth1")
    assert kernel_names([None]) == ("eth0",)
