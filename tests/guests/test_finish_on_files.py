"""What is done after virt-v2v to consoles and disks' names, in every kind of boot menu, on made-up files."""

import pytest
from tree import guest_in

from longshore.guests.finish import finish
from longshore.guests.report import Finished
from longshore.guests.serial_console import ARGUMENTS, enable_serial_console

ENTRY = "/boot/loader/entries/1234-5.14.0.conf"
GRUB2 = "menuentry 'SLES' {\n\tlinux /boot/vmlinuz root=UUID=1 splash=silent\n\tinitrd /boot/initrd\n}\n"
EL7 = "menuentry 'CentOS' {\n\tlinux16 /vmlinuz root=/dev/mapper/c-root ro quiet \n\tinitrd16 /initrd\n}\n"
EL6 = "title CentOS\n\troot (hd0,0)\n\tkernel /vmlinuz ro root=UUID=1 quiet\n\tinitrd /initramfs\n"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (
            ENTRY,
            "title A\noptions root=UUID=1 ro $tuned_params\n",
            f"options root=UUID=1 ro $tuned_params {ARGUMENTS}\n",
        ),
        (ENTRY, "title A\noptions $kernelopts\n", f"options $kernelopts {ARGUMENTS}\n"),  # which the menu sets
        ("/boot/grub2/grub.cfg", GRUB2, f"root=UUID=1 splash=silent {ARGUMENTS}\n"),
        ("/boot/efi/EFI/centos/grub.cfg", EL7, f"ro quiet {ARGUMENTS}\n"),
        ("/boot/grub/grub.conf", EL6, f"root=UUID=1 quiet {ARGUMENTS}\n\tinitrd /initramfs\n"),
        ("/boot/grub/menu.lst", EL6, f"root=UUID=1 quiet {ARGUMENTS}\n"),
    ],
)
def test_the_kernel_gets_a_console_once(tmp_path, path, before, after):
    guest = guest_in(tmp_path, {path: before})
    done = enable_serial_console(guest)
    assert (len(done.changes), done.warnings) == (1, ())
    assert path in done.changes[0]
    assert after in guest.text(path)
    assert guest.text(path).replace(f" {ARGUMENTS}", "") == before.replace("quiet \n", "quiet\n")
    assert enable_serial_console(guest) == Finished()


def test_one_that_is_there_stays(tmp_path):
    before = GRUB2.replace("splash=silent", "console=ttyS1,9600")
    guest = guest_in(tmp_path, {"/boot/grub2/grub.cfg": before, ENTRY: "options root=UUID=1\n"})
    assert enable_serial_console(guest) == Finished()
    assert guest.text("/boot/grub2/grub.cfg") == before


def test_entries_take_their_options_from_grubs_environment(tmp_path):
    start = "# GRUB Environment Block\nkernelopts=root=/dev/mapper/rhel-root ro\nboot_success=1\n"
    guest = guest_in(
        tmp_path, {ENTRY: "options $kernelopts $tuned_params\n", "/boot/grub2/grubenv": start.ljust(1024, "#")}
    )
    (said,) = enable_serial_console(guest).changes
    assert "grubenv" in said
    assert ENTRY not in said
    block = guest.text("/boot/grub2/grubenv")
    assert len(block) == 1024
    assert block.startswith(start.replace(" ro\n", f" ro {ARGUMENTS}\n"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('GRUB_CMDLINE_LINUX="crashkernel=auto quiet"\n', f'GRUB_CMDLINE_LINUX="crashkernel=auto quiet {ARGUMENTS}"\n'),
        ("GRUB_CMDLINE_LINUX=quiet\n", f'GRUB_CMDLINE_LINUX="quiet {ARGUMENTS}"\n'),
        (
            'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n',
            f'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {ARGUMENTS}"\n',
        ),
        (
            'GRUB_CMDLINE_LINUX="a \\\nb"\n',
            f'GRUB_CMDLINE_LINUX="a \\\nb"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {ARGUMENTS}"\n',
        ),
        ('GRUB_CMDLINE_LINUX="console=ttyS0"\n', 'GRUB_CMDLINE_LINUX="console=ttyS0"\n'),
    ],
)
def test_later_kernels_get_it_as_well(tmp_path, before, after):
    guest = guest_in(
        tmp_path, {ENTRY: "options ro\n", "/etc/default/grub": before, "/etc/kernel/cmdline": "ro quiet\n"}
    )
    enable_serial_console(guest)
    assert guest.text("/etc/default/grub") == after
    assert guest.text("/etc/kernel/cmdline") == f"ro quiet {ARGUMENTS}\n"


def test_a_guest_with_no_menu_is_warned_of(tmp_path):
    done = enable_serial_console(guest_in(tmp_path, {"/etc/fstab": ""}))
    assert done.changes == ()
    assert "no boot menu that Longshore knows was found" in done.warnings[0]
    assert "a login prompt can't prove" in done.warnings[0]


def test_what_fails_after_the_conversion_is_a_warning(tmp_path, monkeypatch):
    guest = guest_in(
        tmp_path, {ENTRY: "options ro\n", "/etc/selinux/config": "SELINUX=enforcing\n", "/.autorelabel": ""}
    )

    def full(path, _content):
        raise RuntimeError(f"write: {path}: No space left on device")

    monkeypatch.setattr(guest.files, "write", full)
    done = finish(guest, [], [])
    assert done.changes == ()
    console, relabelling = done.warnings
    assert "The guest is converted, but the serial console couldn't be set up: write: /boot/loader" in console
    assert "labels all of its files" in relabelling


def test_disks_called_by_their_place_are_warned_of(tmp_path):
    fstab = (
        "UUID=1 / xfs defaults 0 0\n/dev/vda2 none swap sw 0 0\n/dev/disk/by-path/pci-0-part1 /data xfs defaults 0 0\n"
    )
    guest = guest_in(tmp_path, {ENTRY: f"options ro {ARGUMENTS}\n", "/etc/fstab": fstab})
    (warning,) = finish(guest, [], []).warnings
    assert "doesn't give them (/dev/disk/by-path/pci-0-part1)" in warning
    assert "UUID=" in warning
