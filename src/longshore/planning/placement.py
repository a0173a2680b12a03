"""Names that a server is to be given: availability zone, key pair, server group, security groups."""

from collections.abc import Iterable, Iterator

from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.target import Choices, Named, Present
from longshore.planning.kinds import ConcernKind, blocker, warning

ZONE_MISSING = blocker(
    "availability-zone-missing", "The target has no such availability zone for servers.", "Name one that it has."
)
VOLUME_ZONE_MISSING = warning(
    "volume-zone-missing",
    "The target has that availability zone for servers but not for volumes, which are made in its default one.",
    "Ask the operator whether servers in that zone can use volumes of another (cross_az_attach).",
)
KEY_PAIR_MISSING = blocker("key-pair-missing", "The user has no key pair of that name.", "Name one that is there.")
SERVER_GROUP_MISSING = blocker(
    "server-group-missing", "The project has no server group of that name or id.", "Name one that it has."
)
SECURITY_GROUP_MISSING = blocker(
    "security-group-missing", "The project has no security group of that name or id.", "Name one that it has."
)
NAME_AMBIGUOUS = blocker(
    "name-ambiguous",
    "Several server groups or security groups of the project have that name, or one has it and another has it for its "
    "id.",
    "Give the id of the one that is meant.",
)


SERVER_THERE = blocker(
    "server-there-already",
    "The target project has a server that Longshore made from this machine.",
    "Nothing is left to do, unless it is wanted a second time: then remove that server, or accept this.",
    acceptable=True,
)
SERVER_NAME_TAKEN = warning(
    "server-name-taken",
    "The target project has a server of that name. Nova allows several, but people confuse them.",
    "Give the new one another name (--name).",
)


def presence_concerns(machine: Machine, request: MigrationRequest, present: Iterable[Present]) -> Iterator[Concern]:
    """Yield what is there of it already. A dry run's copy goes again, so nothing is in its way."""
    if request.type is MigrationType.DRY_RUN:
        return
    name = request.server_name or machine.name
    others = [server for server in present if server.id != machine.ref]
    if made := next((server for server in others if server.source == machine.mark), None):
        yield SERVER_THERE(machine.name, f"{machine.name} is there already, as server {made.name} ({made.id}).")
    elif any(server.name == name for server in others):
        yield SERVER_NAME_TAKEN(name, f'The target project has a server called "{name}" already.')


def wants_choices(machine: Machine, request: MigrationRequest) -> bool:
    """Tell whether the target's choices have to be known to check this request, or to keep what the machine has."""
    if machine.platform.traits.as_server:
        return True
    return bool(request.availability_zone or request.key_name or request.server_group or request.security_groups)


def volume_zone(request: MigrationRequest, choices: Choices | None) -> str | None:
    """Return the availability zone of the machine's volumes; None: the target's default one."""
    zones = choices.volume_zones if choices else ()
    return request.availability_zone if request.availability_zone in zones else None


def placement_concerns(request: MigrationRequest, choices: Choices | None) -> Iterator[Concern]:
    if choices is None:
        return
    zone, key = request.availability_zone, request.key_name
    if zone and zone not in choices.zones:
        yield ZONE_MISSING(zone, f'The target has no availability zone "{zone}".', _has(choices.zones))
    elif zone and zone not in choices.volume_zones:
        yield VOLUME_ZONE_MISSING(
            zone, f'Availability zone "{zone}" has no volumes: they are made in the default zone.'
        )
    if key and key not in choices.key_pairs:
        yield KEY_PAIR_MISSING(key, f'The user has no key pair "{key}".', _has(choices.key_pairs))
    if request.server_group:
        yield from _named("server group", request.server_group, choices.server_groups, SERVER_GROUP_MISSING)
    for name in request.security_groups or ():
        yield from _named("security group", name, choices.security_groups, SECURITY_GROUP_MISSING)


def _named(what: str, word: str, things: tuple[Named, ...], missing: ConcernKind) -> Iterator[Concern]:
    found = [thing for thing in things if word in (thing.id, thing.name)]
    if not found:
        yield missing(word, f'The project has no {what} "{word}".', _has(thing.name for thing in things))
    if len(found) > 1:
        listed = ", ".join(f"{thing.name} ({thing.id})" for thing in found)
        yield NAME_AMBIGUOUS(word, f"Several {what}s can be meant: {listed}.")


def _has(names: Iterable[str]) -> str:
    return f"It has: {', '.join(sorted(names)) or 'none'}."
