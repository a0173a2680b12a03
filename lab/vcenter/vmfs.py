"""What the hosts show over SSH: their datastores, with the flat files of the machines' disks.

A link to a disk's base is there while the base is all of the disk, as a snapshot holds it or while the machine is off:
a client that read it otherwise would get something that never was. (On a real host the file is always there. Here a
running machine keeps a further layer when its first snapshot was removed, and shows its file again once it was off.)
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def mount(volumes: Path, moid: str, name: str) -> None:
    """A datastore, under its identifier and its name."""
    (volumes / moid).mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        (volumes / name).symlink_to(moid)


def show(volumes: Path, moid: str, base: Path, whole: bool) -> None:
    """Have a disk's flat file there, or not."""
    link = volumes / moid / base.parent.name / base.name
    with suppress(FileNotFoundError):
        if whole and os.path.samefile(link, base):
            return
    link.unlink(missing_ok=True)
    if whole:
        link.parent.mkdir(exist_ok=True)
        link.hardlink_to(base)
    else:
        with suppress(OSError):  # other disks of the machine are there
            link.parent.rmdir()
