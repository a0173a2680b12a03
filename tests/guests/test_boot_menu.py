"""Whether a boot menu that was made anew boots what the old one did."""

import pytest

from longshore.guests.serial_console import boot_places

UUID = "6d3f1c52-7b0e-4a55-9f52-5d1c0a41e001"
# As Debian 13's GRUB 2.12 writes it, on btrfs
MENU = f"""
if [ x"${{feature_menuentry_id}}" = xy ]; then
  menuentry_id_option="--id"
fi
set root='hd0,msdos1'
if [ x$feature_platform_search_hint = xy ]; then
  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 --hint-baremetal=ahci0,msdos1  {UUID}
else
  search --no-floppy --fs-uuid --set=root {UUID}
fi
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-{UUID}' {{
\tload_video
\tinsmod part_msdos
\tset root='hd0,msdos1'
\tif [ x$feature_platform_search_hint = xy ]; then
\t  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 --hint-baremetal=ahci0,msdos1  {UUID}
\telse
\t  search --no-floppy --fs-uuid --set=root {UUID}
\tfi
\techo\t'Loading Linux 6.12.48+deb13-amd64 ...'
\tlinux\t/@rootfs/boot/vmlinuz-6.12.48+deb13-amd64 root=UUID={UUID} ro rootflags=subvol=@rootfs  quiet
\techo\t'Loading initial ramdisk ...'
\tinitrd\t/@rootfs/boot/initrd.img-6.12.48+deb13-amd64
}}
"""


def test_the_name_that_grub_gives_a_disk_does_not_matter():
    made = MENU.replace("hd0,msdos1", "hostdisk//dev/sda,msdos1").replace("quiet", "quiet console=ttyS0,115200n8")
    assert boot_places(made) == boot_places(MENU) != set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"root=UUID={UUID}", "root=/dev/sda1"),
        (f"root=UUID={UUID}", "root=UUID=another"),
        ("rootflags=subvol=@rootfs", ""),
        (f"--set=root {UUID}", "--set=root another"),
    ],
)
def test_another_root_file_system_does(old, new):
    assert boot_places(MENU.replace(old, new)) != boot_places(MENU)


def test_without_a_search_the_disk_is_what_counts():
    menu = "\n".join(line for line in MENU.splitlines() if "search" not in line)
    assert boot_places(menu.replace("hd0,msdos1", "hd1,msdos1")) != boot_places(menu)
