"""virt-v2v's words as what happened to the guest: its messages speak of its own options, and some come too early.

What it removes it says only in its log, so that is read as well.
"""

import re

from longshore.guests.inspection import full_name

_SAID_OTHERWISE = {
    "Opening the source": "Opening the guest's disks",
    "Inspecting the source": "Looking for the guest's operating system",
    "Checking for sufficient free disk space in the guest": "Checking that the guest's file systems have enough room",
    "Mapping filesystem data to avoid copying unused and blank areas": "Freeing blocks that the guest doesn't use",
}
# The first tells of our own command line; the second of what is decided after it, and said then
_LEFT_OUT = re.compile(r"Setting up the source\b|The QEMU Guest Agent will be installed for this guest at first boot")
_CONVERTING = re.compile(r"Converting (?P<product>.+) to run on KVM")
# How its appliance logs the command that it runs in the guest
_REMOVED = re.compile(r"^commandrvf: (?:dpkg --purge|rpm -e) (?P<words>.+)$")
_INSPECTED = re.compile(r"^i_distro = (?P<distribution>\S+)$")


class Wording:
    """One conversion's: what was printed so far tells what later messages mean."""

    def __init__(self) -> None:
        self._distribution = ""

    def hear(self, line: str) -> str | None:
        """A line of the log; answers what it says that no message does."""
        if found := _INSPECTED.match(line):
            self._distribution = found["distribution"]
        if found := _REMOVED.match(line):
            packages = ", ".join(word for word in found["words"].split() if not word.startswith("-"))
            return f"Removing {packages}, which served the old hypervisor"
        return None

    def say(self, message: str) -> str | None:
        """None for what isn't worth saying."""
        if _LEFT_OUT.match(message):
            return None
        if found := _CONVERTING.fullmatch(message):
            return f"Converting {full_name(found['product'], self._distribution)} to run on KVM"
        return _SAID_OTHERWISE.get(message, message)
