"""The names that a guest's interfaces are looked for under."""

from types import SimpleNamespace

from longshore.flows.moves.conversion import nic_names
from longshore.guests.report import NicName
from longshore.model.machine import Nic
from longshore.model.target import Port


def test_every_name_that_a_slot_may_have_given_is_asked_about():
    macs = ["00:50:56:00:00:01", "00:50:56:00:00:02", "00:50:56:00:00:03"]
    slots = [192, 160, None]
    nics = tuple(
        Nic(str(4000 + i), "", mac, "VM Network", pci_slot=slot)
        for i, (mac, slot) in enumerate(zip(macs, slots, strict=True))
    )
    ports = [Port(str(i), mac, (), "") for i, mac in enumerate([macs[0], "fa:16:3e:00:00:02", macs[2]])]
    assert nic_names(SimpleNamespace(nics=nics), ports) == [
        NicName(macs[0], "ens192", ("eno16780032", "enp11s0"), macs[0], "eth1"),
        NicName("fa:16:3e:00:00:02", "ens160", ("eno33555200", "enp3s0"), macs[1], "eth0"),
        NicName(macs[2], "", (), macs[2], "eth2"),
    ]
