"""From a provider's record to the cloud itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import TypeAdapter

from longshore.errors import InvalidInput
from longshore.providers.contract import Provider, Source, Target
from longshore.store import ProviderRecord, Store

Kind = Literal["vsphere", "openstack"]


def connect(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Provider:
    """A cloud's client. Nothing is asked of the cloud yet. Vendor libraries are imported only when they are needed."""
    if kind == "vsphere":
        from longshore.providers.vsphere import VsphereSettings, VsphereSource

        return VsphereSource(TypeAdapter(VsphereSettings).validate_python(dict(settings)), secrets["password"])
    if kind == "openstack":
        from longshore.providers.openstack import OpenstackSettings, OpenstackTarget

        return OpenstackTarget(TypeAdapter(OpenstackSettings).validate_python(dict(settings)), dict(secrets))
    raise InvalidInput(f'There is no kind of provider called "{kind}".', advice="Known: vsphere, openstack.")


class Clouds:
    """Opens providers by name or id; each use has a session of its own, ended with the block."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def provider(self, name_or_id: str) -> Iterator[Provider]:
        record = self._store.providers.get(name_or_id)
        cloud = connect(record.kind, record.settings, self._store.providers.secrets(record.id))
        try:
            yield cloud
        finally:
            cloud.close()

    @contextmanager
    def source(self, name_or_id: str) -> Iterator[Source]:
        """Raises InvalidInput when machines can't be taken from this kind of cloud."""
        record = self._store.providers.get(name_or_id)
        if record.kind != "vsphere":
            raise _wrong_side(record, "taken from", "vsphere")
        with self.provider(record.id) as cloud:
            yield cloud  # type: ignore[misc]

    @contextmanager
    def target(self, name_or_id: str) -> Iterator[Target]:
        """Raises InvalidInput when machines can't be moved to this kind of cloud."""
        record = self._store.providers.get(name_or_id)
        if record.kind != "openstack":
            raise _wrong_side(record, "moved to", "openstack")
        with self.provider(record.id) as cloud:
            yield cloud  # type: ignore[misc]


def _wrong_side(record: ProviderRecord, verb: str, kind: str) -> InvalidInput:
    return InvalidInput(
        f"Provider {record.name} is {record.kind}: machines can't be {verb} it yet.", advice=f"Name a {kind} provider."
    )
