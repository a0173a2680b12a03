"""Which entry of its menu a guest starts, on made-up files in the forms that distributions write."""

import pytest
from tree import guest_in

from longshore.guests.boot_entries import default_entry
from longshore.guests.linux_boot import linux_drivers, names_by_hardware

OLD, NEW = "5.14.0-427.el9.x86_64", "5.14.0-427.13.1.el9_4.x86_64"
BLS = 'set default="${saved_entry}"\ninsmod blscfg\nblscfg\n'
WRAPPER = "search --no-floppy --fs-uuid --set=dev 1\nset prefix=($dev)/grub2\nconfigfile $prefix/grub.cfg\n"


def images(*kernels):
    return {f"/boot/initramfs-{kernel}.img": "x" for kernel in kernels}


def entry(kernel, options="root=UUID=1 ro", more=""):
    text = f"title Rocky ({kernel}) 9.4\nlinux /vmlinuz-{kernel}\ninitrd /initramfs-{kernel}.img\noptions {options}\n"
    return {f"/boot/loader/entries/abc-{kernel}.conf": text + more}


def environment(**values):
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    return ("# GRUB Environment Block\n" + lines).ljust(1024, "#")


def menuentry(kernel, options="root=UUID=1 ro"):
    return (
        f"menuentry 'CentOS Linux ({kernel}) 7 (Core)' --class centos $menuentry_id_option 'id-{kernel}' {{\n"
        f"\tload_video\n\tif [ x = x ]; then\n\t  search 1\n\tfi\n\tlinux16 /vmlinuz-{kernel} {options}\n"
        f"\tinitrd16 /initramfs-{kernel}.img\n}}\n"
    )


def menu(default, *entries):
    return f'function load_video {{\n  insmod all_video\n}}\nset default="{default}"\n{"".join(entries)}'


BOTH = {**images(OLD, NEW), **entry(OLD), **entry(NEW)}
SUBMENU = "submenu 'Advanced options for It' --id 'advanced' {\n" + menuentry(NEW) + menuentry(OLD) + "}\n"
FULL = menu("${saved_entry}", menuentry(NEW), menuentry(OLD))


@pytest.mark.parametrize(
    ("tree", "kernel", "sure"),
    [
        (BOTH, NEW, True),  # nothing is saved
        ({**BOTH, "/boot/grub2/grub.cfg": BLS}, NEW, True),
        ({**BOTH, "/boot/grub2/grubenv": environment(saved_entry=f"abc-{OLD}")}, OLD, True),
        ({**BOTH, "/boot/grub2/grubenv": environment(saved_entry="1")}, OLD, True),
        ({**BOTH, "/boot/grub2/grubenv": environment(saved_entry=f"Rocky ({OLD}) 9.4")}, OLD, True),
        ({**BOTH, "/boot/grub2/grubenv": environment(saved_entry="abc-gone")}, NEW, False),
        ({**BOTH, "/boot/grub2/grubenv": environment(saved_entry="9" * 5000)}, NEW, False),
        ({**BOTH, "/boot/grub2/grub.cfg": FULL, "/boot/grub2/grubenv": environment(saved_entry="1")}, OLD, True),
        ({**BOTH, "/boot/efi/EFI/rocky/grub.cfg": WRAPPER, "/boot/grub2/grub.cfg": BLS}, NEW, True),
        ({**images(OLD, NEW), "/boot/grub/grub.cfg": menu("1", menuentry(NEW), menuentry(OLD))}, OLD, True),
        ({**images(OLD, NEW), "/boot/grub/grub.cfg": menu("1>1", menuentry(NEW), SUBMENU)}, OLD, True),
        ({**images(OLD, NEW), "/boot/grub/grub.cfg": menu(f"advanced>id-{OLD}", menuentry(NEW), SUBMENU)}, OLD, True),
        ({**images(OLD, NEW), "/boot/grub/grub.cfg": menu("1", menuentry(NEW), SUBMENU)}, NEW, True),  # its first
        ({**images(OLD, NEW), "/boot/grub/grub.cfg": menu("7", menuentry(NEW), SUBMENU)}, NEW, False),
        ({**images(OLD, NEW), "/boot/grub/grub.cfg": menu("${chosen}", menuentry(NEW))}, NEW, False),
        (images(OLD, NEW), NEW, False),
        (images(OLD), OLD, True),
        (  # once only
            {
                **BOTH,
                "/boot/grub2/grub.cfg": 'set default="${next_entry}"\n' + BLS,
                "/boot/grub2/grubenv": environment(saved_entry=f"abc-{NEW}", next_entry=f"abc-{OLD}"),
            },
            OLD,
            True,
        ),
        (  # EL 7 by UEFI
            {
                **images(OLD, NEW),
                "/boot/efi/EFI/centos/grub.cfg": FULL,
                "/boot/efi/EFI/centos/grubenv": environment(saved_entry=f"CentOS Linux ({OLD}) 7 (Core)"),
            },
            OLD,
            True,
        ),
        (  # by BIOS it starts another than by UEFI
            {
                **images(OLD, NEW),
                "/boot/grub2/grub.cfg": menu("1", menuentry(NEW), menuentry(OLD)),
                "/boot/efi/EFI/centos/grub.cfg": menu("0", menuentry(NEW), menuentry(OLD)),
            },
            OLD,
            False,
        ),
    ],
)
def test_what_is_started(tmp_path, tree, kernel, sure):
    found = default_entry(guest_in(tmp_path, tree))
    assert (found.initramfs, found.sure) == (f"/boot/initramfs-{kernel}.img", sure)
    doubts = " ".join(linux_drivers(guest_in(tmp_path, tree)).doubts)
    assert ("Which entry of its boot menu the guest starts isn't clear" in doubts) is not sure


OWN = "if [ -f  ${config_directory}/custom.cfg ]; then\n  source ${config_directory}/custom.cfg\nfi\n"


@pytest.mark.parametrize(
    "tree",
    [
        # As GRUB's shell takes them: in quotes, and on several lines
        {
            "grub.cfg": menu(
                "0",
                menuentry(OLD)
                .replace(f"/vmlinuz-{OLD} ", f'"/vmlinuz-{OLD}" ')
                .replace(f"/initramfs-{OLD}.img", f"'/initramfs-{OLD}.img'"),
            )
        },
        {"grub.cfg": menu("0", menuentry(OLD).replace(" root=", " \\\n    root="))},
        # What the administrator adds at the end counts
        {"grub.cfg": menu("0", menuentry(NEW), menuentry(OLD)) + OWN, "custom.cfg": f'set default="id-{OLD}"\n'},
        {"grub.cfg": menu(f"id-{OLD}", menuentry(NEW)) + OWN, "custom.cfg": menuentry(OLD)},
    ],
    ids=["quotes", "several lines", "default of one's own", "entry of one's own"],
)
def test_menus_by_hand_are_read(tmp_path, tree):
    there = {f"/boot/grub/{name}": text.replace("UUID=1", "/dev/sda3") for name, text in tree.items()}
    guest = guest_in(tmp_path, {**images(OLD, NEW), **there})
    found = default_entry(guest)
    assert (found.initramfs, found.sure) == (f"/boot/initramfs-{OLD}.img", True)
    assert names_by_hardware(guest) == ("/dev/sda3",)


def test_the_menu_in_the_efi_partition_tells_the_root(tmp_path):
    tree = {**images(OLD), "/boot/efi/EFI/centos/grub.cfg": menu("0", menuentry(OLD, "root=/dev/sda3 ro"))}
    assert names_by_hardware(guest_in(tmp_path, tree)) == ("/dev/sda3",)


@pytest.mark.parametrize(
    "menu", ["", 'if [ -z "${kernelopts}" ]; then\n  set kernelopts="root=/dev/sda3 ro"\nfi\n'], ids=["saved", "set"]
)
def test_entries_whose_options_grub_has(tmp_path, menu):
    tree = {**images(OLD), **entry(OLD, "$kernelopts $tuned_params"), "/boot/grub2/grub.cfg": menu + BLS}
    if not menu:
        tree["/boot/grub2/grubenv"] = environment(kernelopts="root=/dev/sda3 ro")
    assert names_by_hardware(guest_in(tmp_path, tree)) == ("/dev/sda3",)


@pytest.mark.parametrize(
    ("default", "kernel"), [("it-6.12*", "6.12"), ("it-6.9.conf", "6.9"), ("it-6.9", "6.9"), ("IT-6.9.conf", "6.9")]
)
def test_systemd_boot(tmp_path, default, kernel):
    tree = {"/boot/efi/loader/loader.conf": f"timeout 3\ndefault {default}\n"}
    for each in ("6.12", "6.9"):
        tree[f"/boot/efi/loader/entries/it-{each}.conf"] = f"linux /it/{each}/linux\ninitrd /it/{each}/initrd\n"
        tree[f"/boot/efi/it/{each}/initrd"] = "x"
    found = default_entry(guest_in(tmp_path, tree))
    assert (found.initramfs, found.sure) == (f"/boot/efi/it/{kernel}/initrd", True)


def test_an_entry_of_systemd_boot_is_known_by_its_name_however_many_tries_it_has_left(tmp_path):
    tree = {"/boot/efi/loader/loader.conf": "default it-6.9.conf\n", "/boot/efi/it/initrd": "x"}
    tree["/boot/efi/loader/entries/it-6.9+2-1.conf"] = "linux /it/linux\ninitrd /it/initrd\n"
    tree["/boot/efi/loader/entries/it-6.12.conf"] = "linux /it/linux\ninitrd /it/initrd\noptions newer\n"
    found = default_entry(guest_in(tmp_path, tree))
    assert (found.initramfs, found.options, found.sure) == ("/boot/efi/it/initrd", "", True)


@pytest.mark.parametrize(
    "beside",
    [
        {"/boot/initramfs-6.8.img": "x"},
        {"/efi/loader/entries/it.conf": "linux /it/linux\ninitrd /it/initrd\n", "/efi/it/initrd": "x"},
    ],
    ids=["initramfs", "entry"],
)
def test_beside_a_unified_kernel_an_initramfs_is_a_guess(tmp_path, beside):
    assert default_entry(guest_in(tmp_path, beside)).sure
    assert not default_entry(guest_in(tmp_path, {**beside, "/efi/EFI/Linux/it-6.9.efi": "MZ"})).sure


@pytest.mark.parametrize("more", ["   \n", "grub_class \n", "# \n", "options\n", "\t\n", "initrd \n"])
def test_lines_of_an_entry_without_a_value_are_passed_over(tmp_path, more):
    # systemd's 90-loaderentry.install, open-power/petitboot#99
    found = default_entry(guest_in(tmp_path, {**images(OLD), **entry(OLD, more=more)}))
    assert found.initramfs == f"/boot/initramfs-{OLD}.img"
    assert found.options == "root=UUID=1 ro"
