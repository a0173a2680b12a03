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
# The first tells of our own command line; the second of what is decided after it, and said then; the others are steps
# of virt-customize for every guest, whether or not there is anything to be done
_LEFT_OUT = re.compile(
    r"Setting up the source\b|The QEMU Guest Agent will be installed for this guest at first boot|"
    r"Setting a random seed$|SELinux relabelling$"
)
# Warnings that mean nothing: of files of its own that aren't there when it prints all it does, as it has to here; of a
# step that Windows, Debian and SUSE don't have; of an agent that nobody asked for
_NO_WARNING = re.compile(
    r"log file \S*/builder\.log: .*\(ignored\)$|Guestfs\.Error\(\"debug: \"\) \(ignored\)$|"
    r"random seed could not be set for this type of guest$|QEMU Guest Agent MSI not found on tools\b"
)
# Behind a product's name it says by which libosinfo knows it: Debian 12.5 (debian12)
_CONVERTING = re.compile(r"Converting (?P<product>.+?)(?: \([a-z0-9._+-]+\))? to run on KVM")
# How its appliance logs the command that it runs in the guest
_REMOVED = re.compile(r"^commandrvf: (?:dpkg --purge|rpm -e) (?P<words>.+)$")
_INSPECTED = re.compile(r"^i_distro = (?P<distribution>\S+)$")


class Wording:
    """One conversion's: what was printed so far tells what later messages mean."""

    def __init__(self) -> None:
        self._distribution = ""

    def hear(self, line: str) -> str | None:
        """Hear a line of the log, and return what it says that no message does."""
        if found := _INSPECTED.match(line):
            self._distribution = found["distribution"]
        if found := _REMOVED.match(line):
            packages = ", ".join(word for word in found["words"].split() if not word.startswith("-"))
            return f"Removing {packages}, which served the old hypervisor"
        return None

    @staticmethod
    def warn(warning: str) -> str | None:
        """Return a warning, or None for what means nothing."""
        return None if _NO_WARNING.match(warning) else warning

    def say(self, message: str) -> str | None:
        """Return a message in our own words, or None for what isn't worth saying."""
        if _LEFT_OUT.match(message):
            return None
        if found := _CONVERTING.fullmatch(message):
            return f"Converting {full_name(found['product'], self._distribution)} to run on KVM"
        return _SAID_OTHERWISE.get(message, message)
