"""Guests on NBD URIs: what is on them, and how they are made ready for new hardware.

What a guest holds is a stranger's, so it is worked on in confined processes. Nothing in here knows a cloud or a plan.
A process that finds files in a point lives for a tenth of a second: what it doesn't need it doesn't import.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.guests.agent_packages import agent_packages
    from longshore.guests.as_is import check_as_found, finish_as_is, put_back
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
    "agent_packages",
    "check_as_found",
    "convert",
    "ensure_confinement",
    "finish_as_is",
    "inspect_guest",
    "look_into",
    "put_back",
    "system_found",
    "windows_parts",
]

_MODULES = {
    "ConversionReport": "report",
    "GUEST_CHANGED": "report",
    "NicAddresses": "report",
    "NicName": "report",
    "OperatingSystem": "report",
    "agent_packages": "agent_packages",
    "check_as_found": "as_is",
    "convert": "conversion",
    "ensure_confinement": "confined",
    "finish_as_is": "as_is",
    "inspect_guest": "conversion",
    "look_into": "look",
    "put_back": "as_is",
    "system_found": "look",
    "windows_parts": "windows_parts",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
