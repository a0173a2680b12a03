"""What Windows does at its first boot on the target, by virt-v2v's scripts, of which it restarts after each."""

from contextlib import suppress

from longshore.guests.appliance import Guest
from longshore.guests.report import Finished

_SCRIPTS = "/Program Files/Guestfs/Firstboot/scripts"
_DISKS = "online-disks"  # in the name of the script that brings disks online which a change of bus has put offline


def tell_restarts(guest: Guest) -> Finished:
    """How often it restarts, and what is offline until then."""
    files = guest.files
    names: list[str] = []
    with suppress(RuntimeError):  # there is no such directory
        names = [name for name in files.ls(files.case_sensitive_path(_SCRIPTS)) if name.lower().endswith(".bat")]
    if not names:
        return Finished()
    often = f"Windows restarts {len(names)} times at its first boot, once after each step of its setup"
    if any(_DISKS in name for name in names):
        return Finished((f"{often}; its further disks come online in the last of them.",))
    return Finished((f"{often}.",))
