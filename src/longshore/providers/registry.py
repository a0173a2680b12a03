"""The kinds of cloud there are: the one place outside their folders that knows their settings and how they are opened.

A new one is a folder beside the others, a `Platform` with its traits, and an entry here. Vendors' libraries are
imported only when a cloud is opened.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from longshore.errors import InvalidInput
from longshore.model.forms import form
from longshore.model.platform import ProviderKind, Side
from longshore.providers.contract import Provider, RelayLedger, Relays


@dataclass(frozen=True, slots=True)
class ProviderType:
    """What one kind of cloud declares. Names are those of its settings."""

    kind: ProviderKind
    sides: frozenset[Side]  # what machines can be taken from, and moved to
    settings: Callable[[], type[Any]]  # their shape
    open: Callable[[Any, Mapping[str, str], Side | None, Relays | None], Provider]  # by settings of that shape
    sent_to: frozenset[str]  # where secrets are sent: whoever changes that has to say the secrets anew
    tells_which: frozenset[str]  # which cloud it is: what was made there is nowhere else
    keystone: bool = False  # one logs in at a Keystone, to a project that has resources of its own
    refuse_missing_library: Callable[[Mapping[str, Any]], None] | None = None
    asks_relays: Callable[[Mapping[str, Any]], bool] | None = None  # whether volumes are reached through relays
    open_relays: Callable[[Any, Mapping[str, str], RelayLedger], Relays] | None = None


def provider_type(kind: str) -> ProviderType:
    """Raises InvalidInput for what is none."""
    for known in PROVIDERS:
        if known.kind == kind:
            return known
    raise InvalidInput(
        f'There is no kind of provider called "{kind}".', advice=f"Known: {', '.join(each.kind for each in PROVIDERS)}."
    )


def kinds_for(side: Side) -> tuple[str, ...]:
    """Those that can be this side of a migration."""
    return tuple(known.kind for known in PROVIDERS if side in known.sides)


def connect(
    kind: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    side: Side | None = None,
    relays: Relays | None = None,
) -> Provider:
    """A cloud's client, for one side of a migration if it has two; without, it only logs in.

    `relays` are those through which volumes are opened, where the settings say so. Nothing is asked of the cloud yet.
    Raises InvalidInput, pydantic's ValidationError for settings of another shape, KeyError for a missing secret.
    """
    known = provider_type(kind)
    return known.open(form(known.settings()).validate_python(dict(settings)), secrets, side, relays)


def refuse_missing_library(kind: str, settings: Mapping[str, Any]) -> None:
    """Raises InvalidInput when the settings name a library for reading disks that isn't on this machine."""
    refuse = provider_type(kind).refuse_missing_library
    if refuse is not None:
        refuse(settings)


def asks_relays(kind: str, settings: Mapping[str, Any]) -> bool:
    """Whether volumes of this provider are reached through relays."""
    asks = provider_type(kind).asks_relays
    return asks is not None and asks(settings)


def open_relays(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str], ledger: RelayLedger) -> Relays:
    """Of a provider that asks for them. Nothing is asked of the cloud yet."""
    known = provider_type(kind)
    assert known.open_relays is not None
    return known.open_relays(form(known.settings()).validate_python(dict(settings)), secrets, ledger)


def _vsphere_settings() -> type[Any]:
    from longshore.providers.vsphere import VsphereSettings

    return VsphereSettings


def _open_vsphere(settings: Any, secrets: Mapping[str, str], _side: Side | None, _relays: Relays | None) -> Provider:
    from longshore.providers.vsphere import VsphereSource

    return VsphereSource(settings, secrets["password"], secrets.get("ssh_key", ""))


def _refuse_missing_vddk(settings: Mapping[str, Any]) -> None:
    if settings.get("vddk_libdir") and settings.get("transport", "vddk") == "vddk":
        from longshore.providers.vsphere import library

        library(settings["vddk_libdir"])


def _openstack_settings() -> type[Any]:
    from longshore.providers.openstack import OpenstackSettings

    return OpenstackSettings


def _open_openstack(settings: Any, secrets: Mapping[str, str], side: Side | None, relays: Relays | None) -> Provider:
    from longshore.providers.openstack import OpenstackSource, OpenstackTarget, RelayPool

    assert relays is None or isinstance(relays, RelayPool)  # as `open_relays` gives them
    client = OpenstackSource if side == "source" else OpenstackTarget
    return client(settings, dict(secrets), relays)


def _asks_relays(settings: Mapping[str, Any]) -> bool:
    return settings.get("transport") == "worker"


def _open_relays(settings: Any, secrets: Mapping[str, str], ledger: RelayLedger) -> Relays:
    from longshore.providers.openstack import open_pool

    return open_pool(settings, secrets, ledger)


def _files_settings() -> type[Any]:
    from longshore.providers.files import FilesSettings

    return FilesSettings


def _open_files(settings: Any, _secrets: Mapping[str, str], _side: Side | None, _relays: Relays | None) -> Provider:
    from longshore.providers.files import FilesSource

    return FilesSource(settings)


PROVIDERS: tuple[ProviderType, ...] = (
    ProviderType(
        "vsphere",
        frozenset({"source"}),
        _vsphere_settings,
        _open_vsphere,
        sent_to=frozenset({"host", "port", "ca_file"}),
        tells_which=frozenset({"host", "port"}),
        refuse_missing_library=_refuse_missing_vddk,
    ),
    ProviderType(
        "files",
        frozenset({"source"}),
        _files_settings,
        _open_files,
        sent_to=frozenset(),
        tells_which=frozenset({"url"}),
    ),
    ProviderType(
        "openstack",
        frozenset({"source", "target"}),
        _openstack_settings,
        _open_openstack,
        sent_to=frozenset({"auth_type", "verify", "cacert"}),
        tells_which=frozenset({"region"}),
        keystone=True,
        asks_relays=_asks_relays,
        open_relays=_open_relays,
    ),
)
