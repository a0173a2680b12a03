"""A vCenter or an ESXi host: what a provider of its machines is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longshore.errors import InvalidInput
from longshore.model.platform import Side
from longshore.providers.declared import Option, OptionKind, ProviderType
from longshore.providers.vsphere.platform import PLATFORM

if TYPE_CHECKING:
    from longshore.providers.contract import KeptSecrets, Provider, RelayLedger, Relays
    from longshore.providers.grounds import Grounds

_TRANSPORTS = {"nbdssl", "nbd"}  # "san" and "hotadd" open devices of the server itself
_OVER_SSH = "with --transport ssh"
_PROXY_KEY = "proxy_key"  # by which a proxy knows us: made when the provider is added
_OPTIONS = (
    Option(
        "host",
        "name or address of the vCenter",
        to_change="its name or address; needs its password, and no migration under way",
        required=True,
    ),
    Option(
        "port", "where it listens (default: %(default)s)", OptionKind.NUMBER, to_change="where it listens", default=443
    ),
    Option("username", "who logs in: ann@vsphere.local", required=True),
    Option("password", kind=OptionKind.SECRET),
    Option(
        "fingerprint",
        "the certificate's SHA-256 fingerprint; shown and asked for without",
        OptionKind.CERTIFICATE,
        to_change="of its new certificate",
        metavar="SHA256",
    ),
    Option("vddk_libdir", "where VMware's disk library (VDDK) is unpacked", OptionKind.PATH, metavar="DIR"),
    Option(
        "vddk_plugin",
        "nbdkit's plugin that reads the disks; another one has to take the parameters of vddk's own (default: vddk)",
        metavar="NAME",
        only_if_said=True,
    ),
    Option(
        "transports",
        "VDDK transport modes (default: %(default)s)",
        to_change="VDDK transport modes",
        default="nbdssl:nbd",
    ),
    Option(
        "transport",
        "how disks are read: through VDDK, as files of the ESXi hosts over SSH, through a proxy, or as vSphere exports "
        "them, each as a whole (default: vddk)",
        to_change="how disks are read (of a vCenter: vddk, ssh, proxy or export)",
        choices=("vddk", "ssh", "proxy", "export"),
        only_if_said=True,
    ),
    Option(
        "ssh_host_keys",
        "file with the SSH keys of the ESXi hosts, as ssh-keyscan prints them, and you have compared them: no other "
        "host is connected to (may be repeated)",
        OptionKind.LINES,
        flag="--ssh-host-key",
        metavar="FILE",
        group=_OVER_SSH,
        only_if_said=True,
        called="host keys",
        line="SSH host key",
    ),
    Option(
        "ssh_key",
        "file with the private key to log in with, without a passphrase",
        OptionKind.SECRET_FILE,
        flag="--ssh-key-file",
        metavar="FILE",
        group=_OVER_SSH,
        called="SSH key",
    ),
    Option("ssh_user", "whom to log in as (default: root)", metavar="NAME", group=_OVER_SSH, only_if_said=True),
    Option("ssh_port", "default: 22", OptionKind.NUMBER, metavar="PORT", group=_OVER_SSH, only_if_said=True),
    Option(
        "proxies",
        "a machine of the relay's image, which disks are attached to: its name, path or reference. No other provider "
        "uses it (may be repeated)",
        OptionKind.REPEATED,
        flag="--proxy",
        metavar="MACHINE",
        group="with --transport proxy",
        only_if_said=True,
    ),
)


def _refuse_incomplete(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    if settings.get("transport") == "proxy" and not settings.get("proxies"):
        from longshore.providers.vsphere.settings import no_proxy

        raise no_proxy()
    if settings.get("transport") != "ssh":
        return
    from longshore.providers.vsphere.host_keys import none_given
    from longshore.providers.vsphere.ssh_disks import usable_key

    if "ssh_host_keys" not in settings:
        raise none_given()
    usable_key(secrets.get("ssh_key", ""))


def _on_server(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    unknown = set(str(said.get("transports", "nbdssl")).split(":")) - _TRANSPORTS
    if unknown:
        raise InvalidInput(
            f"A server doesn't read disks by {', '.join(sorted(unknown))}.",
            advice="Use nbdssl, nbd or both: nbdssl:nbd.",
        )
    return said | {"vddk_libdir": grounds.vddk_libdir}


def _settings() -> type[Any]:
    from longshore.providers.vsphere.settings import VsphereSettings

    return VsphereSettings


def _open(
    settings: Any, secrets: Mapping[str, str], _side: Side | None, relays: Relays | None, _kept: KeptSecrets | None
) -> Provider:
    from longshore.providers.vsphere.export_disks import ExportLeases
    from longshore.providers.vsphere.proxy_pool import ProxyPool
    from longshore.providers.vsphere.source import VsphereSource

    assert relays is None or isinstance(relays, ProxyPool | ExportLeases)  # as `open_relays` gives them
    return VsphereSource(settings, secrets["password"], secrets.get("ssh_key", ""), secrets.get(_PROXY_KEY, ""), relays)


def _has_proxies(settings: Mapping[str, Any]) -> bool:
    return settings.get("transport") == "proxy"


def _asks_relays(settings: Mapping[str, Any]) -> bool:
    return settings.get("transport") in ("proxy", "export")


def _open_relays(settings: Any, secrets: Mapping[str, str], ledger: RelayLedger) -> Relays:
    if settings.transport == "export":
        from longshore.providers.vsphere.export_disks import open_leases

        return open_leases(settings, secrets, ledger)
    from longshore.providers.vsphere.proxy_pool import open_pool

    return open_pool(settings, secrets, ledger)


def _made(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    if not _has_proxies(settings) or _PROXY_KEY in secrets:
        return {}
    from longshore.providers.vsphere.proxy_credentials import make_credentials

    return {_PROXY_KEY: make_credentials().secret}


def _refuse_missing_vddk(settings: Mapping[str, Any]) -> None:
    if settings.get("vddk_libdir") and settings.get("transport", "vddk") == "vddk":
        from longshore.providers.vsphere.disks import library

        library(settings["vddk_libdir"])


VSPHERE = ProviderType(
    PLATFORM,
    frozenset({"source"}),
    about="Add a vCenter or an ESXi host. Its certificate is shown once and pinned, the password is kept encrypted.",
    examples=("longshore provider add vsphere vc --host vcenter.example --username ann@vsphere.local",),
    heading="of a vCenter or ESXi host",
    options=_OPTIONS,
    safe=frozenset(
        {
            *("host", "port", "username", "fingerprint", "transports", "transport"),
            *("ssh_host_keys", "ssh_user", "ssh_port", "proxies"),
        }
    ),
    on_server=_on_server,
    where=lambda settings: settings.get("host"),
    settings=_settings,
    open=_open,
    sent_to=frozenset({"host", "port", "ca_file"}),
    tells_which=frozenset({"host", "port"}),
    refuse_incomplete=_refuse_incomplete,
    refuse_missing_library=_refuse_missing_vddk,
    asks_relays=_asks_relays,
    open_relays=_open_relays,
    reads_whole=lambda settings: settings.get("transport") in ("ssh", "export"),
    attaches=True,
    unneeded=lambda settings: frozenset(() if _has_proxies(settings) else {_PROXY_KEY}),
    made=_made,
)
