"""The landing of a volume that no machine has, and what stands against moving it."""

from collections.abc import Iterator
from dataclasses import dataclass

from longshore.model.concern import Concern, Severity
from longshore.model.machine import VOLUME, Machine
from longshore.model.request import MigrationRequest
from longshore.model.target import Present, QuotaRoom, SourceRoom
from longshore.planning import openstack_checks
from longshore.planning.disks import land_disk
from longshore.planning.kinds import accept_blockers, blocker, information
from longshore.planning.quota import Needs, volume_needs
from longshore.planning.source_quota import quotas

VOLUME_STATE = blocker(
    "volume-state",
    "The volume is in a state in which it can't be moved: being made, restored or extended, reserved, in error.",
    "Bring it to available.",
)
VOLUME_AT_HOME = blocker(
    "volume-at-home",
    "The target is the project that the volume is in.",
    "Name another provider with --to. To change its type within a project, Cinder has retype.",
)
VOLUME_THERE = blocker(
    "volume-there-already",
    "The target project has a volume that Longshore made from this one.",
    "Nothing is left to do, unless it is wanted a second time: then remove that volume, or accept this.",
    acceptable=True,
)
VOLUME_ZONE_UNKNOWN = blocker(
    "volume-zone-unknown", "The target has no such availability zone for volumes.", "Name one that it has."
)
VOLUME_ZONE_LEFT = information(
    "volume-zone-left", "The target has no availability zone of the name of the volume's, and chooses one."
)


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """The facts about the target, as far as they matter to a volume."""

    volume_types: tuple[str, ...]
    room: QuotaRoom
    zones: tuple[str, ...]  # availability zones for volumes
    present: tuple[Present, ...]  # the project's volumes
    source: SourceRoom | None = None  # at the source; None: nothing is counted there


@dataclass(frozen=True, slots=True)
class VolumeLanding:
    volume_type: str | None  # None: the target's default
    zone: str | None  # None: the target's default one


@dataclass(frozen=True, slots=True)
class VolumeDecision:
    """The decision where a volume lands, and what was found on the way, quotas left out."""

    machine: Machine  # of this one disk
    request: MigrationRequest
    landing: VolumeLanding
    concerns: tuple[Concern, ...]

    @property
    def needs(self) -> Needs:
        (disk,) = self.machine.disks
        return Needs(volume_needs(disk.size, self.landing.volume_type))


def land_volume(
    volume: Machine, request: MigrationRequest, facts: VolumeFacts
) -> tuple[VolumeLanding | None, list[Concern]]:
    """Return a landing, unless a blocker prevents one, and all concerns. `volume` is a machine of one disk."""
    decision = decide_volume(volume, request, facts)
    quota = quotas([decision], facts.room, facts.source, f"{volume.name} needs")
    concerns = [*decision.concerns, *accept_blockers(quota, request.accept)]
    if any(concern.severity is Severity.BLOCKER for concern in concerns):
        return None, concerns
    return decision.landing, concerns


def decide_volume(volume: Machine, request: MigrationRequest, facts: VolumeFacts) -> VolumeDecision:
    """Decide what can be said of one volume without what moves with it."""
    concerns = list(_concerns(volume, facts))
    (disk,) = volume.disks
    landed = land_disk(volume, disk, request, facts.volume_types, facts.room.largest_volume, concerns)
    landing = VolumeLanding(landed.volume_type, _zone(volume, request, facts, concerns))
    return VolumeDecision(volume, request, landing, tuple(accept_blockers(concerns, request.accept)))


def _concerns(volume: Machine, facts: VolumeFacts) -> Iterator[Concern]:
    name, status = volume.name, volume.loose_volume.status
    (disk,) = volume.disks
    if status != "available":
        yield VOLUME_STATE(name, f"{name} is in state {status}.")
    if disk.encrypted:
        yield openstack_checks.VOLUMES_ENCRYPTED(name, f"{name} is encrypted.")
    if any(volume.ref == f"{VOLUME}{there.id}" for there in facts.present):
        yield VOLUME_AT_HOME(name, f"{name} is in the target's own project.")
    if made := next((there for there in facts.present if there.source == volume.ref), None):
        yield VOLUME_THERE(name, f"{name} is there already, as volume {made.name} ({made.id}).")


def _zone(volume: Machine, request: MigrationRequest, facts: VolumeFacts, concerns: list[Concern]) -> str | None:
    asked, own = request.availability_zone, volume.server_settings.availability_zone
    if asked is not None:
        if asked not in facts.zones:
            has = f"It has: {', '.join(sorted(facts.zones)) or 'none'}."
            text = f'The target has no availability zone "{asked}" for volumes.'
            concerns.append(VOLUME_ZONE_UNKNOWN(asked, text, has))
        return asked
    if own is None or own in facts.zones:
        return own if len(facts.zones) > 1 else None  # with only one, nothing has to be named
    concerns.append(VOLUME_ZONE_LEFT(own, f'The target has no availability zone "{own}", which {volume.name} is in.'))
    return None
