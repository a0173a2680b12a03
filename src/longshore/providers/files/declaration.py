"""Machines in files: what a provider of them is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longshore.model.platform import Side
from longshore.providers.declared import Option, OptionKind, ProviderType
from longshore.providers.files.platform import PLATFORM

if TYPE_CHECKING:
    from longshore.providers.contract import KeptSecrets, Provider, Relays
    from longshore.providers.grounds import Grounds

_OPTIONS = (
    Option(
        "url",
        "a directory with all below it, a file, or https://HOST/FILE",
        OptionKind.LOCATION,
        to_change="their new URL; needs no migration under way",
        metavar="URL",
        required=True,
    ),
    Option(
        "ca_file", "PEM file with the authorities to trust instead of the system's", OptionKind.PATH, metavar="FILE"
    ),
    Option("cpus", "of a loose image's machine (default: 1)", OptionKind.NUMBER, metavar="N", default=1),
    Option(
        "memory_mib",
        "of a loose image's machine (default: 1024)",
        OptionKind.NUMBER,
        flag="--memory",
        metavar="MIB",
        default=1024,
    ),
    Option("network", "that its adapter is on (default: it has none)", metavar="NAME"),
    Option("firmware", "default: what its partitions tell", choices=("bios", "uefi")),
)


def _on_server(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    """Allow those of this machine's own files that are below a directory of the operator's, and no others."""
    if not str(said.get("url", "")).startswith("file:"):
        return said
    from longshore.providers.files.local import directory_above

    return said | {"beneath": directory_above(str(said["url"]), grounds.files_directories)}


def _settings() -> type[Any]:
    from longshore.providers.files.settings import FilesSettings

    return FilesSettings


def _open(
    settings: Any, _secrets: Mapping[str, str], _side: Side | None, _relays: Relays | None, _kept: KeptSecrets | None
) -> Provider:
    from longshore.providers.files.source import FilesSource

    return FilesSource(settings)


FILES = ProviderType(
    PLATFORM,
    frozenset({"source"}),
    about="""Add machines in files: OVA, OVF, VMDK, VHD, VHDX, qcow2 and raw, the images also as .gz and .xz.

Of an OVF everything is taken that it says. A loose image is a machine of one disk, with the hardware named here.""",
    examples=(
        "longshore provider add files images --url file:///mnt/images",
        "longshore provider add files appliances --url https://images.example/appliances/",
    ),
    heading="of files",
    options=_OPTIONS,
    safe=frozenset({"url", "cpus", "memory_mib", "network", "firmware"}),
    on_server=_on_server,
    where=lambda settings: settings.get("url"),
    settings=_settings,
    open=_open,
    sent_to=frozenset(),
    tells_which=frozenset({"url"}),
    several=True,
)
