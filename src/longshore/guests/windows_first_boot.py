"""Steps of Windows at its first boot on the target, by virt-v2v's scripts, of which it restarts after each.

Windows puts disks offline that are new to it, as all are whose bus has changed, where its policy for disks of storage
networks says so: on servers it does. virt-v2v's script brings those online that are called VirtIO, in the last step.
"""

from contextlib import suppress

from longshore.guests.appliance import Guest
from longshore.guests.registry import changed_system_hive
from longshore.guests.report import Finished

SAN_POLICY = ("Services", "partmgr", "Parameters", "SanPolicy")  # in a control set
_ALL_ONLINE = 1
FIRST_BOOT_PLACE = "/Program Files/Guestfs/Firstboot"
_DISKS = "online-disks"  # in the name of the script that brings disks online
# No type, method or cast in it: Windows may run scripts in its constrained language
_ONLINE = """# Written by Longshore: brings disks online that Windows has put offline
Get-Disk | Where-Object -Property IsOffline -EQ $true | ForEach-Object {{
    Set-Disk -Number $_.Number -IsOffline $false
    Set-Disk -Number $_.Number -IsReadOnly $false
}}
{policy}
"""
_POLICY_KEY = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\partmgr\\Parameters"


def tell_restarts(guest: Guest) -> Finished:
    """Say how often Windows restarts."""
    often = len(first_boot_scripts(guest))
    if not often:
        return Finished()
    return Finished((f"Windows restarts {often} times at its first boot, once after each step of its setup.",))


def bring_disks_online(guest: Guest) -> Finished:
    """Bring all disks but the first online, from the first boot on, whatever Windows' policy says."""
    if not any(_DISKS in name for name in first_boot_scripts(guest)):  # it has no further disks
        return Finished()
    with changed_system_hive(guest) as hive:
        key = hive.made(*SAN_POLICY[:-1])
        before = hive.number(key, SAN_POLICY[-1])
        hive.set_number(key, SAN_POLICY[-1], _ALL_ONLINE)
    if before is None:
        policy = f"Remove-ItemProperty -Path '{_POLICY_KEY}' -Name {SAN_POLICY[-1]}"
    else:
        policy = f"Set-ItemProperty -Path '{_POLICY_KEY}' -Name {SAN_POLICY[-1]} -Value {before} -Type DWord"
    script = _ONLINE.format(policy=policy).replace("\n", "\r\n")
    files = guest.files
    files.write(files.case_sensitive_path(f"{FIRST_BOOT_PLACE}/Temp/{_DISKS}.ps1"), script.encode())
    return Finished(
        (
            "Windows has its further disks online from its first boot on; in the last step of that its own policy for "
            "new disks is put back.",
        )
    )


def first_boot_scripts(guest: Guest) -> list[str]:
    """Return the names of the steps of its setup, in their order."""
    names: list[str] = []
    with suppress(RuntimeError):  # there is no such directory
        names = guest.names_in(guest.files.case_sensitive_path(f"{FIRST_BOOT_PLACE}/scripts"))
    return [name for name in names if name.lower().endswith(".bat")]
