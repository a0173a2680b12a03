"""SELinux' labels of what is written to a guest: a file without one may not be read by who is to read it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath

from longshore.guests.appliance import Guest
from longshore.guests.report import Finished

CONFIGURATION = "/etc/selinux/config"
RELABEL = "/.autorelabel"
_ATTRIBUTE = "security.selinux"


def mode(guest: Guest) -> str:
    """Return how the guest goes by the policy that it loads when it boots: enforcing, permissive, or "" for none."""
    found = re.search(r"(?m)^\s*SELINUX\s*=\s*(enforcing|permissive)\b", guest.settings(CONFIGURATION))
    return found[1] if found else ""


def label(guest: Guest, *paths: str) -> None:
    """New files get the label that the nearest directory above them has, as they mostly would in the running guest.

    A guest whose directories have none is relabelled whole when it boots, by whoever took its labels.
    """
    if not mode(guest):
        return
    for path in paths:
        if value := next(_labels_above(guest, path), ""):
            guest.files.lsetxattr(_ATTRIBUTE, value, len(value), path)


def _labels_above(guest: Guest, path: str) -> Iterator[str]:
    for directory in PurePosixPath(path).parents:
        with suppress(RuntimeError):  # it has none
            yield guest.files.lgetxattr(str(directory), _ATTRIBUTE).decode().rstrip("\0")


def announce_relabelling(guest: Guest) -> Finished:
    """virt-v2v has the guest label all of its files anew where it can't do that itself."""
    if not (mode(guest) and guest.files.exists(RELABEL)):
        return Finished()
    return Finished(
        warnings=(
            "The guest labels all of its files for SELinux when it boots for the first time, and boots once more after "
            "that: until it is up takes longer, many minutes with many files (--boot-timeout).",
        )
    )
