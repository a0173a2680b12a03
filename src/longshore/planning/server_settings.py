"""Settings of a machine beside its hardware, which it is to have at the target too, unless the user says otherwise.

A machine from OpenStack has a key pair, groups, metadata and the like. Each is asked for like a wish of the user's
where the target has its counterpart of the same name; where it hasn't, that is said and it is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from longshore.errors import InvalidInput
from longshore.model import user_data
from longshore.model.concern import Concern
from longshore.model.machine import Machine, Nic
from longshore.model.request import LandingMode, MigrationRequest
from longshore.model.target import Choices, Named
from longshore.planning.carried_over import carry_along
from longshore.planning.kinds import blocker, information, warning

KEY_PAIR_LEFT = warning(
    "key-pair-left",
    "The machine's key pair isn't among those of the target's user, so the server has none. Its guest has the key "
    "already.",
    "Import it (longshore tenant import), or name another (--key-name), if the guest is to get it from the target.",
)
KEY_PAIR_DIFFERS = warning(
    "key-pair-differs",
    "The key pair of the target's user that is called as the machine's has another key, so the server has none. Its "
    "guest has the machine's key already.",
    "Name it (--key-name), if that key is meant, or another one, if the guest is to get it from the target.",
)
SERVER_GROUP_LEFT = warning(
    "server-group-left",
    "The target project has no server group, or several, of the name of the machine's: the server is in none.",
    "Import it (longshore tenant import), or name another (--server-group).",
)
ZONE_LEFT = information(
    "availability-zone-left", "The target has no availability zone of the name of the machine's, and chooses one."
)
SECURITY_GROUP_LEFT = blocker(
    "security-group-left",
    "The target project has no security group, or several, of the name of one of the machine's.",
    "Import it (longshore tenant import), name others (--security-group), or accept that it is left out; a port "
    "without any gets the project's default.",
    acceptable=True,
)

USER_DATA_INVALID = blocker(
    "user-data-invalid",
    "The user data says that it is base64 and isn't, or is larger than Nova takes: 65,535 characters in base64.",
    "Give other user data (--user-data).",
)
LARGEST_USER_DATA = 65535 // 4 * 3  # bytes


def complete_request(
    machine: Machine, request: MigrationRequest, choices: Choices | None
) -> tuple[MigrationRequest, list[Concern]]:
    """Return the request with what it left open filled in from the machine; its security groups are its adapters'
    own."""
    concerns: list[Concern] = []
    has, name = machine.server_settings, machine.name
    key, group, zone = request.key_name, request.server_group, request.availability_zone
    if choices is not None:
        if key is None and has.key_name:
            key = has.key_name if has.key_name in choices.key_pairs else None
            if key is None:
                text = f'The user at the target has no key pair "{has.key_name}", which {name} has.'
                concerns.append(KEY_PAIR_LEFT(has.key_name, text))
            elif has.key_fingerprint not in (None, choices.fingerprints.get(key, has.key_fingerprint)):
                text = f'The key pair "{key}" of the user at the target has another key than the one of {name}.'
                concerns.append(KEY_PAIR_DIFFERS(key, text))
                key = None
        if group is None and has.server_group:
            group = _only(has.server_group, choices.server_groups)
            if group is None:
                text = f'The target has no one server group "{has.server_group}", which {name} is in.'
                concerns.append(SERVER_GROUP_LEFT(has.server_group, text))
        if zone is None and has.availability_zone:
            if has.availability_zone not in choices.zones:
                text = f'The target has no availability zone "{has.availability_zone}", which {name} is in.'
                concerns.append(ZONE_LEFT(has.availability_zone, text))
            elif len(choices.zones) > 1:  # with only one, naming it would tie the server to it for nothing
                zone = has.availability_zone
    carries, shortened = carry_along(machine, request)
    concerns.extend(shortened)
    kept = replace(
        request,
        landing=_landing(machine, request),
        key_name=key,
        server_group=group,
        availability_zone=zone,
        user_data=request.user_data if request.user_data is not None else has.user_data,
        metadata=carries.metadata,
        tags=carries.tags,
    )
    return kept, concerns


def user_data_concerns(request: MigrationRequest) -> Iterator[Concern]:
    """Yield concerns about the user data that the server will be given, whoever asks for it."""
    try:
        size = len(user_data.decode(request.user_data or ""))
    except InvalidInput as fault:
        yield USER_DATA_INVALID("user data", fault.message)
        return
    if size > LARGEST_USER_DATA:
        yield USER_DATA_INVALID("user data", f"The user data has {size} bytes; Nova takes {LARGEST_USER_DATA}.")


def security_groups(
    nic: Nic, request: MigrationRequest, choices: Choices | None, concerns: list[Concern]
) -> tuple[str, ...] | None:
    """Return the security groups of an adapter's port, names or ids; None: the project's default."""
    if request.security_groups is not None or nic.security_groups is None or choices is None:
        return request.security_groups
    found = []
    for name in nic.security_groups:
        group = _only(name, choices.security_groups)
        if group is None:
            text = f'The target project has no one security group "{name}", which {nic.label} has.'
            concerns.append(SECURITY_GROUP_LEFT(name, text))
        else:
            found.append(group)
    return tuple(found) if found or not nic.security_groups else None


def _landing(machine: Machine, request: MigrationRequest) -> LandingMode:
    if request.landing is not LandingMode.AUTO:
        return request.landing
    # First-boot scripts and agents are put into a guest by its conversion
    same = machine.platform.traits.on_kvm and not request.first_boot and not request.agents
    return LandingMode.UNCHANGED if same else LandingMode.CONVERT


def _only(name: str, things: Sequence[Named]) -> str | None:
    """Return the id of the one that is called like this."""
    found = [thing.id for thing in things if thing.name == name]
    return found[0] if len(found) == 1 else None
