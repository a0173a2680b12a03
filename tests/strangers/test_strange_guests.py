"""Guests' files as other people's systems have them: README.md says how to add one.

Below `root` is what is in the guest. In `expected.toml`: `names` are those of disks that depend on the hardware, and
`needed` those among them without which it doesn't boot; `initramfs` is what it boots from, and `sure` says whether
that is certain; `doubts` are sentences; `[links.NAME]` is how the link file of its interface matches.
"""

import configparser
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "guests"))
from tree import guest_in

from longshore.guests.boot_entries import default_entry
from longshore.guests.interfaces import LINK_DIRECTORY, keep_nic_names
from longshore.guests.linux_boot import linux_drivers
from longshore.guests.linux_findings import linux_findings
from longshore.guests.report import NicName
from longshore.model.guest import GuestFindings

FOLDER = Path(__file__).parent / "guests"
NIC = NicName("00:50:56:ab:cd:01", "ens192", ("eno33557248", "enp11s0"), "00:50:56:ab:cd:01", "eth0")


@pytest.mark.parametrize("case", sorted(path.name for path in FOLDER.iterdir()))
def test_a_guest(tmp_path, case):
    directory = FOLDER / case
    assert len((directory / "source").read_text().splitlines()) == 1
    expected = tomllib.loads((directory / "expected.toml").read_text())
    root = directory / "root"
    files = (path for path in root.rglob("*") if path.is_file())
    guest = guest_in(tmp_path, {f"/{path.relative_to(root)}": path.read_text() for path in files})
    drivers, entry = linux_drivers(guest), default_entry(guest)
    keep_nic_names(guest, [NIC])
    found = {
        "names": list(drivers.device_names),
        "needed": list(drivers.needed_names),
        "initramfs": entry and entry.initramfs,
        "sure": entry and entry.sure,
        "links": _links(guest),
        "doubts": list(linux_findings(guest, GuestFindings()).doubts),
    }
    assert {name: found[name] for name in expected} == expected


def _links(guest):
    """By the name that each gives."""
    links = {}
    for name in (name for name in guest.names_in(LINK_DIRECTORY) if name.endswith(".link")):
        parsed = configparser.ConfigParser()
        parsed.optionxform = str
        parsed.read_string(guest.text(f"{LINK_DIRECTORY}/{name}"))
        links[parsed["Link"]["Name"]] = dict(parsed["Match"])
    return links
