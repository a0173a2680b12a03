"""The hardware chosen for unchanged guests, and what is said when there is none."""

from dataclasses import replace

import pytest

from longshore.model.hardware import BootDrivers
from longshore.model.machine import Disk, Firmware, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.request import LandingMode, MigrationRequest
from longshore.planning import restarts_at_first_boot
from longshore.planning.hardware import choose_hardware, firmware_properties, likely_drivers

GIB = 1 << 30
NIC = Nic("4000", "Network adapter 1", "00:50:56:00:00:01", "VM Network", model="vmxnet3", pci_slot=192)


def machine(*controllers, nics=(NIC,), firmware=Firmware.BIOS, secure_boot=False, guest_id="debian12_64Guest"):
    disks = tuple(
        Disk(str(2000 + n), f"Hard disk {n + 1}", n, GIB, f"[ds] a/{n}.vmdk", "ds", controller=controller)
        for n, controller in enumerate(controllers)
    )
    return Machine(
        *("vm-1", "web01", PowerState.ON, 1, 512, disks, nics, firmware, secure_boot, guest_id, "Debian GNU/Linux 12"),
        platform=Platform("vsphere"),
    )


def drivers(*boot, later=(), network=("vmxnet3",), **more):
    return BootDrivers(True, "linux", "Debian 12", boot, (*boot, *later), network, **more)


def codes(concerns):
    return {concern.code for concern in concerns}


def properties(hardware):
    return {name.removeprefix("hw_"): value for name, value in hardware.image_properties.items()}


PVSCSI = {"disk_bus": "scsi", "scsi_model": "vmpvscsi", "vif_model": "vmxnet3"}
SATA = {"disk_bus": "sata", "vif_model": "vmxnet3"}


@pytest.mark.parametrize(
    ("disks", "known", "expected", "buses"),
    [
        (1, drivers("vmw_pvscsi", "ahci", "virtio_blk"), PVSCSI, (None,)),
        (1, drivers("ahci", "virtio_blk"), SATA, (None,)),
        (2, drivers("vmw_pvscsi", "ahci", "virtio_blk"), SATA, (None, None)),  # pvscsi takes one disk only
        (8, drivers("mptspi", "ahci"), SATA, (None,) * 8),
        (2, drivers("vmw_pvscsi", later=("virtio_blk", "ahci")), PVSCSI, (None, "virtio")),
        (3, drivers("vmw_pvscsi", later=("ahci",)), PVSCSI, (None, "sata", "sata")),
        (2, drivers("vmw_pvscsi", later=("ata_piix",)), {**PVSCSI, "machine_type": "pc"}, (None, "ide")),
        (
            2,
            drivers("megaraid_sas"),
            {"disk_bus": "scsi", "scsi_model": "lsisas1078", "vif_model": "vmxnet3"},
            (None,) * 2,
        ),
        (2, drivers("sym53c8xx"), {"disk_bus": "scsi", "scsi_model": "lsilogic", "vif_model": "vmxnet3"}, (None,) * 2),
        (2, drivers("ata_piix"), {"disk_bus": "ide", "machine_type": "pc", "vif_model": "vmxnet3"}, (None,) * 2),
        (2, drivers("virtio_blk"), {"disk_bus": "virtio", "vif_model": "vmxnet3"}, (None,) * 2),
    ],
)
def test_hardware_is_what_the_guest_boots_from(disks, known, expected, buses):
    hardware, _ = choose_hardware(machine(*["pvscsi"] * disks), known)
    assert properties(hardware) == expected
    assert hardware.disk_buses == buses


def refused(machine, known, *words):
    hardware, concerns = choose_hardware(machine, known)
    assert hardware is None
    assert [concern.code for concern in concerns] == ["as-is-no-hardware"]
    for word in words:
        assert word in str(concerns[0])
    return concerns[0]


def test_what_only_vmware_emulates_wants_a_conversion():
    concern = refused(machine("lsilogic"), drivers("mptspi"), "mptspi", "Only a conversion will do")
    assert concern.subject == "web01"
    refused(machine("lsilogic-sas"), drivers("mptsas"), "mptsas")
    refused(machine("nvme"), drivers("nvme"), "nvme")
    refused(machine("pvscsi", "pvscsi"), drivers("vmw_pvscsi"), "Nova takes 1 on pvscsi", "no driver for another")
    refused(machine("pvscsi"), drivers("vmw_pvscsi", network=("vmxnet2",)), "network adapter")


def test_disks_called_by_name_keep_their_names_or_it_is_refused():
    named = drivers("vmw_pvscsi", later=("virtio_blk", "ahci"), device_names=("/dev/sdb1",))
    assert choose_hardware(machine("pvscsi"), named)[0].disk_buses == (None,)
    refused(machine("pvscsi", "pvscsi"), named, "/dev/sdb1", "Nova takes 1 on pvscsi", "other names")
    # All of them on SATA are sda, sdb … again
    sata = replace(named, boot=("vmw_pvscsi", "ahci"))
    assert properties(choose_hardware(machine("pvscsi", "pvscsi"), sata)[0]) == SATA
    refused(machine("sata"), drivers("virtio_blk", device_names=("/dev/sda2",)), "virtio only", "/dev/sda2")


def test_disks_called_by_their_place_are_found_on_no_other_hardware():
    by_path = "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part1"
    refused(machine("pvscsi"), drivers("vmw_pvscsi", device_names=(by_path,)), by_path)


def test_a_root_file_system_on_two_disks_needs_both_drivers_at_boot():
    spread = drivers("vmw_pvscsi", later=("ahci",), root_disks=(0, 1))
    refused(machine("pvscsi", "pvscsi"), spread, "Nova takes 1 on pvscsi")
    assert choose_hardware(machine("pvscsi", "pvscsi"), replace(spread, root_disks=(0,)))[0]


def test_uefi_boots_from_sata_or_virtio_only():
    uefi = machine("pvscsi", firmware=Firmware.UEFI)
    refused(uefi, drivers("vmw_pvscsi"), "UEFI")
    sata, _ = choose_hardware(uefi, drivers("vmw_pvscsi", "ahci", fallback_loader=True))
    assert properties(sata) == {**SATA, "firmware_type": "uefi"}
    assert not sata.finish
    virtio, _ = choose_hardware(uefi, drivers("vmw_pvscsi", "virtio_blk", fallback_loader=False))
    assert properties(virtio)["disk_bus"] == "virtio"
    assert virtio.finish  # the fallback loader has to be put there


def test_secure_boot_wants_q35_also_when_converted():
    secure = machine("sata", firmware=Firmware.UEFI, secure_boot=True)
    wanted = {"hw_firmware_type": "uefi", "hw_machine_type": "q35", "os_secure_boot": "required"}
    assert firmware_properties(secure) == wanted
    hardware, _ = choose_hardware(secure, drivers("ahci"))
    assert hardware.image_properties == {**wanted, "hw_disk_bus": "sata", "hw_vif_model": "vmxnet3"}
    assert firmware_properties(machine("sata")) == {}


def test_windows_is_told_to_the_target_as_what_it_is():
    hardware, _ = choose_hardware(machine("pvscsi"), replace(drivers("vmw_pvscsi"), family="windows"))
    assert hardware.image_properties["os_type"] == "windows"
    hardware, _ = choose_hardware(machine("pvscsi"), drivers("vmw_pvscsi"))
    assert "os_type" not in hardware.image_properties


def test_one_model_for_all_network_adapters_the_present_one_if_it_may_be():
    e1000 = replace(NIC, model="e1000")
    both = drivers("vmw_pvscsi", network=("e1000", "vmxnet3"))
    hardware, concerns = choose_hardware(machine("pvscsi", nics=(e1000,)), both)
    assert hardware.nic_model == "e1000"
    assert "as-is-nic-model" not in codes(concerns)
    hardware, concerns = choose_hardware(machine("pvscsi", nics=(e1000, NIC)), both)
    assert "as-is-nic-model" in codes(concerns)
    hardware, _ = choose_hardware(machine("pvscsi", nics=(e1000,)), drivers("vmw_pvscsi", network=("virtio_net",)))
    assert properties(hardware)["vif_model"] == "virtio"
    hardware, _ = choose_hardware(machine("pvscsi", nics=()), drivers("vmw_pvscsi"))
    assert "vif_model" not in properties(hardware)


def test_the_guest_is_only_touched_for_what_needs_it():
    assert choose_hardware(machine("pvscsi"), drivers("vmw_pvscsi"))[0].finish is False
    assert choose_hardware(machine("pvscsi"), drivers("vmw_pvscsi", interface_names=("ens192",)))[0].finish is True


def test_before_the_disks_are_inspected_its_present_hardware_tells_what_is_likely():
    single = machine("pvscsi")
    hardware, concerns = choose_hardware(single, likely_drivers(single))
    assert properties(hardware) == PVSCSI
    assert "its disks are looked at once they have been copied" in str(concerns[0])

    for undecided in (machine("lsilogic"), machine("pvscsi", "pvscsi"), machine("pvscsi", firmware=Firmware.UEFI)):
        hardware, concerns = choose_hardware(undecided, likely_drivers(undecided))
        assert hardware is None
        assert codes(concerns) == {"as-is-undecided"}  # its initramfs may hold more than it needs today


def test_disks_that_cannot_be_looked_into_leave_its_present_hardware():
    locked = BootDrivers(inspected=False, doubts=("No operating system was found.",))
    hardware, concerns = choose_hardware(machine("pvscsi"), locked)
    assert properties(hardware) == PVSCSI
    assert hardware.finish is False  # nothing on them can be changed
    assert "as-is-doubt" in codes(concerns)
    assert "once they have been copied" not in str(concerns[0])
    hardware, concerns = choose_hardware(machine("pvscsi", "pvscsi"), locked)
    assert hardware is None
    assert codes(concerns) == {"as-is-no-hardware"}  # that won't get better


def test_windows_is_warned_about_its_addresses():
    windows = machine("pvscsi", guest_id="windows2022srvNext_64Guest")
    assert likely_drivers(windows).family == "windows"
    assert "as-is-windows-addresses" in codes(choose_hardware(windows, likely_drivers(windows))[1])


@pytest.mark.parametrize(
    ("landing", "guest_id", "restarts"),
    [
        ("convert", "windows2019srv_64Guest", True),
        ("as-is", "windows2019srv_64Guest", False),
        ("convert", "debian12_64Guest", False),
    ],
)
def test_only_a_converted_windows_restarts_at_its_first_boot(landing, guest_id, restarts):
    request = MigrationRequest(landing=LandingMode(landing))
    assert restarts_at_first_boot(machine("pvscsi", guest_id=guest_id), request) is restarts
