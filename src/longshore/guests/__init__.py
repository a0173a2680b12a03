"""Guests on NBD URIs: what is on them, and how they are made ready for new hardware.

What a guest holds is a stranger's, so it is worked on in confined processes. Nothing in here knows a cloud or a plan.
"""

from longshore.guests.as_is import check_as_found, finish_as_is
from longshore.guests.confined import ensure_confinement
from longshore.guests.conversion import convert, inspect_guest
from longshore.guests.look import look_into, system_found
from longshore.guests.report import GUEST_CHANGED, ConversionReport, NicAddresses, NicName, OperatingSystem
from longshore.guests.windows_parts import windows_parts

__all__ = [
    "GUEST_CHANGED",
    "ConversionReport",
    "NicAddresses",
    "NicName",
    "OperatingSystem",
    "check_as_found",
    "convert",
    "ensure_confinement",
    "finish_as_is",
    "inspect_guest",
    "look_into",
    "system_found",
    "windows_parts",
]
