"""An OpenStack cloud: what a provider of its servers and volumes is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from longshore.model.platform import Side
from longshore.providers.declared import Option, OptionKind, ProviderType
from longshore.providers.openstack.platform import PLATFORM

if TYPE_CHECKING:
    from longshore.providers.contract import KeptSecrets, Provider, RelayLedger, Relays
    from longshore.providers.grounds import Grounds

_BY_RELAY = "with --transport relay"
_OPTIONS = (
    Option(
        "os_cloud",
        "entry of clouds.yaml (default: $OS_CLOUD or OS_* variables); a server is given its password",
        OptionKind.LOGIN,
        to_change="entry of clouds.yaml: log in as it says, with its password",
        metavar="CLOUD",
    ),
    Option(
        "ceph_conf",
        "how this machine reaches the cloud's Ceph",
        OptionKind.PATH,
        metavar="FILE",
        default="/etc/ceph/ceph.conf",
    ),
    Option("ceph_user", "Ceph user (default: the one that Cinder names)", to_change="user of Ceph", metavar="NAME"),
    Option(
        "transport",
        "how volumes are reached: by this machine itself, or through a small server in the project "
        "(default: %(default)s)",
        to_change="volumes reached (of a cloud: brick or relay)",
        choices=("brick", "relay"),
        default="brick",
    ),
    Option(
        "relay_network",
        "which it is on (default: the project's only one)",
        to_change="the network that the relay is on",
        metavar="NETWORK",
        group=_BY_RELAY,
    ),
    Option(
        "relay_floating_network",
        "where its floating address is from (default: it has none, and is reached at its own address)",
        to_change="where the relay's floating address is from",
        metavar="NETWORK",
        group=_BY_RELAY,
    ),
    Option(
        "relay_flavor",
        "default: the smallest with 512 MiB of memory",
        to_change="the relay's flavor",
        metavar="FLAVOR",
        group=_BY_RELAY,
    ),
    Option(
        "relay_image",
        "name or id (default: %(default)s)",
        to_change="the relay's image: name or id",
        metavar="IMAGE",
        default="longshore-relay",
        group=_BY_RELAY,
    ),
    Option(
        "relay_allow",
        "whose connections it takes (default: this machine's own address; name it if a router changes that)",
        to_change="whose connections the relay takes",
        metavar="CIDR",
        group=_BY_RELAY,
    ),
    Option(
        "relay_quiet",
        "how long it stays when no volume needs it (default: %(default)s)",
        OptionKind.DECIMAL,
        to_change="how long the relay stays when no volume needs it",
        metavar="SECONDS",
        default=600.0,
        group=_BY_RELAY,
    ),
)


_OF_ENTRIES = ("auth_methods", "services", "cert", "key")


def _read_login(cloud: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    from longshore.providers.openstack.connection import settings_from_cloud

    settings, secrets = settings_from_cloud(cloud)
    plain = asdict(settings)
    # A server takes the first ones of everybody, and is sent the others only where the entry has them
    always = {name: plain[name] for name in ("auth", "auth_type", "region", "interface", "verify", "cacert")}
    return always | {name: plain[name] for name in _OF_ENTRIES if plain[name]}, secrets


def _on_server(said: dict[str, Any], grounds: Grounds) -> dict[str, Any]:
    from longshore.providers.openstack.on_server import for_callers

    return for_callers(said, grounds)


def _settings() -> type[Any]:
    from longshore.providers.openstack.connection import OpenstackSettings

    return OpenstackSettings


def _open(
    settings: Any, secrets: Mapping[str, str], side: Side | None, relays: Relays | None, _kept: KeptSecrets | None
) -> Provider:
    from longshore.providers.openstack.relay_pool import RelayPool
    from longshore.providers.openstack.source import OpenstackSource
    from longshore.providers.openstack.target import OpenstackTarget

    assert relays is None or isinstance(relays, RelayPool)  # as `open_relays` gives them
    client = OpenstackSource if side == "source" else OpenstackTarget
    return client(settings, dict(secrets), relays)


def _open_relays(settings: Any, secrets: Mapping[str, str], ledger: RelayLedger) -> Relays:
    from longshore.providers.openstack.relay_pool import open_pool

    return open_pool(settings, secrets, ledger)


OPENSTACK = ProviderType(
    PLATFORM,
    frozenset({"source", "target"}),
    about="""Add an OpenStack cloud from clouds.yaml or the OS_* variables. Its secrets are kept encrypted.

A server that is asked with a password isn't given it: it makes an application credential from your token, for your
project and with your roles, and deletes it when the provider is removed.""",
    examples=(
        "longshore provider add openstack cloud --os-cloud mycloud --ceph-conf /etc/ceph/ceph.conf",
        "longshore provider add openstack cloud --os-cloud mycloud --transport relay --relay-network private",
    ),
    heading="of an OpenStack cloud",
    options=_OPTIONS,
    safe=frozenset(
        {
            *("auth", "auth_type", "region", "interface", "transport", "relay_image", "relay_network"),
            *("relay_floating_network", "relay_flavor", "relay_allow", "relay_quiet"),
        }
    ),
    on_server=_on_server,
    where=lambda settings: settings.get("auth", {}).get("auth_url"),
    settings=_settings,
    open=_open,
    sent_to=frozenset({"auth_type", "verify", "cacert", "services"}),
    tells_which=frozenset({"region"}),
    address="auth.auth_url",
    keystone=True,
    read_login=_read_login,
    asks_relays=lambda settings: settings.get("transport") == "relay",
    open_relays=_open_relays,
)
