"""From a provider's record to the cloud itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from longshore.blocks.deadline import check as check_deadline
from longshore.errors import InvalidInput
from longshore.flows.forms import form
from longshore.flows.worker_servers import uses_worker_servers, worker_servers_of
from longshore.providers.contract import Provider, Source, Target
from longshore.store import ProviderRecord, Store

if TYPE_CHECKING:
    from longshore.providers.openstack import WorkerPool

Kind = Literal["vsphere", "openstack"]
Side = Literal["source", "target"]
# What machines can be taken from, and moved to
SIDES: dict[Side, tuple[str, ...]] = {"source": ("vsphere", "openstack"), "target": ("openstack",)}


def connect(
    kind: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    side: Side | None = None,
    servers: "WorkerPool | None" = None,
) -> Provider:
    """A cloud's client, for one side of a migration if it has two; without, it only logs in.

    `servers` are those through which volumes are opened, where the settings say so.
    Nothing is asked of the cloud yet. Vendor libraries are imported only when they are needed.
    """
    if kind == "vsphere":
        from longshore.providers.vsphere import VsphereSettings, VsphereSource

        return VsphereSource(form(VsphereSettings).validate_python(dict(settings)), secrets["password"])
    if kind == "openstack":
        from longshore.providers.openstack import OpenstackSettings, OpenstackSource, OpenstackTarget

        client = OpenstackSource if side == "source" else OpenstackTarget
        return client(form(OpenstackSettings).validate_python(dict(settings)), dict(secrets), servers)
    raise InvalidInput(f'There is no kind of provider called "{kind}".', advice="Known: vsphere, openstack.")


class _Asking:
    """A cloud's client that asks, right before each call, whether this process may still change anything.

    So no flow can forget it. A process that may not is ended on the spot.
    """

    def __init__(self, cloud: Provider) -> None:
        self._cloud = cloud

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cloud, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            check_deadline()
            return found(*args, **kwargs)

        return call


class Clouds:
    """Opens providers by name or id; each use has a session of its own, ended with the block."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def provider(self, name_or_id: str, side: Side | None = None) -> Iterator[Provider]:
        record = self._store.providers.get(name_or_id)
        secrets = self._store.providers.secrets(record.id)
        through_servers = uses_worker_servers(record.kind, record.settings)
        servers = worker_servers_of(self._store, record) if through_servers else None
        cloud = connect(record.kind, record.settings, secrets, side, servers)
        try:
            yield _Asking(cloud)
        finally:
            cloud.close()

    @contextmanager
    def source(self, name_or_id: str) -> Iterator[Source]:
        """Raises InvalidInput when machines can't be taken from this kind of cloud."""
        record = self._store.providers.get(name_or_id)
        if record.kind not in SIDES["source"]:
            raise _wrong_side(record, "taken from", "source")
        with self.provider(record.id, "source") as cloud:
            yield cloud  # type: ignore[misc]

    @contextmanager
    def target(self, name_or_id: str) -> Iterator[Target]:
        """Raises InvalidInput when machines can't be moved to this kind of cloud."""
        record = self._store.providers.get(name_or_id)
        if record.kind not in SIDES["target"]:
            raise _wrong_side(record, "moved to", "target")
        with self.provider(record.id, "target") as cloud:
            yield cloud  # type: ignore[misc]


def _wrong_side(record: ProviderRecord, verb: str, side: Side) -> InvalidInput:
    return InvalidInput(
        f"Provider {record.name} is {record.kind}: machines can't be {verb} it yet.",
        advice=f"Name one of the kind {' or '.join(SIDES[side])}.",
    )
