"""Checks whether what is asked for a machine can be meant: each option by itself, then all of a request together.

The command line, plan files and the REST API all ask here, before anything is kept. Whether the clouds have what is
named is preflight's question. Limits on what Nova takes are those of its API.
"""

import ipaddress
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from longshore.errors import InvalidInput, LongshoreError
from longshore.model import user_data
from longshore.model.addresses import (
    DHCP,
    AdapterWishes,
    Addressing,
    addressing_fault,
    overlapping,
    renumbering_fault,
)
from longshore.model.expression import compile_expression
from longshore.model.request import (
    BootProof,
    Carry,
    CopyRequest,
    Cutover,
    CutoverMode,
    LandingMode,
    MigrationRequest,
    MigrationType,
    VolumeWishes,
)
from longshore.model.source_marks import SourceMarks
from longshore.planning.carried_over import LONGEST_TAG, MOST_METADATA, MOST_TAGS
from longshore.planning.faults import (
    LONGEST_NAME,
    LONGEST_PATH,
    Path,
    RequestFault,
    check_name,
    check_server_name,
    describe_path,
    quote_path,
)
from longshore.planning.server_settings import LARGEST_USER_DATA

_LONGEST_KEY = 4096
_LONGEST_TEXT = 1 << 20  # characters of a script
_LONGEST_WAIT = timedelta(days=7)
_FARTHEST = timedelta(days=366)  # that a cutover may be away
_LONGEST_KEPT = 3650 * 86400  # seconds
_MOST_SYNCS = 10_000
_MOST_NAMES = 10_000  # in a mapping
_MOST_BOOT_PORTS, _LAST_PORT = 10, 65535
_MOST_AGENTS = 10
LARGEST = (1 << 63) - 1  # a whole number, as databases keep it
_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")
_METADATA_KEY = re.compile(r"[a-zA-Z0-9_:. -]{1,255}")


def check_option(name: str, value: Any) -> None:
    """Check one option of a request, of the type that it has there or as JSON has it. Raises RequestFault."""
    if value is not None:
        _CHECKS[name]((name,), value)


def check_request(request: CopyRequest, now: datetime | None = None, *, within: Path = ()) -> None:
    """Check every option, and what they mean together. Raises InvalidInput.

    `within`: where the request lies in what was asked, for the error's field.
    """
    try:
        for option in fields(request):
            check_option(option.name, getattr(request, option.name))
        if isinstance(request, MigrationRequest):
            check_window(request.cutover)
            if request.type is MigrationType.WARM:
                check_ahead(request.cutover, now)
    except RequestFault as fault:
        raise InvalidInput(fault.text, field=describe_path((*within, *fault.path))) from None
    if not isinstance(request, MigrationRequest):
        return
    if request.first_boot and request.landing not in (LandingMode.AUTO, LandingMode.CONVERT):
        raise InvalidInput(
            "First-boot scripts are put into a guest when it is converted.", advice="Let it land by convert."
        )
    if request.agents and request.landing not in (LandingMode.AUTO, LandingMode.CONVERT):
        raise InvalidInput("Agents are installed in a guest when it is converted.", advice="Let it land by convert.")
    _refuse_adapters_twice(request)
    _refuse_proof_by_no_port(request)


def _refuse_adapters_twice(request: MigrationRequest) -> None:
    """Refuse one adapter of which two things are asked that exclude each other."""
    ports = {mac.lower() for mac in request.ports}
    addressed = {mac.lower() for mac in (*request.addresses, *request.test_addresses)}
    for mac, wishes in request.adapters.items():
        if mac.lower() in ports:
            raise InvalidInput(
                f"A port is named for the adapter {mac}, and it is to be otherwise than that as well.",
                advice="Leave out the one or the other: a port has its network, and whoever made it says if it is up.",
            )
        if wishes.plugged and wishes.unplugged:
            raise InvalidInput(f"The adapter {mac} can't be plugged in and unplugged.", advice="Choose one.")
        if wishes.leave_out and (
            wishes.network or wishes.subnet or wishes.unplugged or wishes.plugged or mac.lower() in addressed
        ):
            raise InvalidInput(
                f"The adapter {mac} is to be left out, and something else is asked for it.", advice="Choose one."
            )


def _refuse_proof_by_no_port(request: MigrationRequest) -> None:
    if request.boot_proof is not BootProof.PORT:
        return
    if not request.boot_ports:
        raise InvalidInput(
            "A port is to show that the guest is up, and none is named.", advice="Name it (boot_port, --boot-port)."
        )
    if request.isolated and request.type.rehearses:
        raise InvalidInput(
            "Nobody reaches a port of an isolated dry run's server: its networks lead nowhere.",
            advice="Choose another boot_proof, or don't isolate it.",
        )


def refuse_unfit(**options: Any) -> None:
    """Check options by themselves, where the others of their request were looked at before. Raises InvalidInput."""
    try:
        for name, value in options.items():
            check_option(name, value)
    except RequestFault as fault:
        raise InvalidInput(fault.text, field=describe_path(fault.path)) from None


def refuse_unreadable(**words: str) -> None:
    """Raise InvalidInput for words that can't name a thing that is there already."""
    try:
        for name, word in words.items():
            check_name((name,), word, LONGEST_PATH)
    except RequestFault as fault:
        raise InvalidInput(fault.text, field=describe_path(fault.path)) from None


def refuse_pointless(request: MigrationRequest) -> None:
    """Refuse what is asked for one machine and means nothing beside the rest. A plan may well hold both, for another
    start.

    Raises InvalidInput.
    """
    if request.clean_up_after is not None and request.type is not MigrationType.TEST:
        raise InvalidInput("Only a test of a replica is cleaned up after a time.", advice="Leave clean_up_after out.")
    if request.new_machine and request.type is not MigrationType.FAILBACK:
        raise InvalidInput("Only a failback is to a new machine.", advice="Leave new_machine out.")
    if request.new_server and request.type is not MigrationType.FAILBACK:
        raise InvalidInput("Only a failback asks for a new server.", advice="Leave new_server out.")
    if request.replaces is not None and request.type is not MigrationType.IN_PLACE:
        raise InvalidInput("Only a restore in place replaces a server.", advice="Leave replaces out.")
    if request.isolated and not request.type.rehearses:
        raise InvalidInput("Only a dry run can be isolated.", advice="Ask for the type dry-run.")
    cutover = request.cutover
    if request.type is not MigrationType.WARM and (cutover.mode is not CutoverMode.MANUAL or cutover.at):
        raise InvalidInput("Only a warm migration has a cutover.", advice="Ask for the type warm.")
    if cutover.mode is not CutoverMode.SCHEDULED and (cutover.at or cutover.until):
        raise InvalidInput("Only a scheduled cutover has times.", advice='Its "mode" is then scheduled.')
    proof = request.boot_proof
    if request.boot_mark is not None and proof not in (BootProof.AUTO, BootProof.CONSOLE):
        raise InvalidInput(
            f"A boot_mark shows on the console, and the boot_proof asked for is {proof.value}.", advice="Choose one."
        )
    if request.boot_ports and proof not in (BootProof.AUTO, BootProof.PORT):
        raise InvalidInput(
            f"A boot_port is named, and the boot_proof asked for is {proof.value}.", advice="Choose one."
        )


def check_window(cutover: Cutover) -> None:
    """Check that a scheduled cutover has a time, and time enough. Raises RequestFault."""
    if cutover.mode is CutoverMode.SCHEDULED and cutover.at is None:
        raise RequestFault(("cutover",), 'A scheduled cutover needs a time: "at".')
    if cutover.at is not None and cutover.until is not None and aware(cutover.until) <= aware(cutover.at):
        raise RequestFault(("cutover", "until"), "The window for the cutover closes before it opens.")


def check_ahead(cutover: Cutover, now: datetime | None = None) -> None:
    """Check that the times of a scheduled cutover are still to come, and not too far away. Raises RequestFault."""
    if cutover.mode is not CutoverMode.SCHEDULED:
        return
    now = (now or datetime.now(UTC)).astimezone(UTC)
    for name, moment in (("at", cutover.at), ("until", cutover.until)):
        if moment is not None and aware(moment) <= now:
            said = f'"cutover.{name}" is {_format_moment(moment)}, and that is past: it is {_format_moment(now)} now.'
            raise RequestFault(("cutover", name), said)
        if moment is not None and aware(moment) > now + _FARTHEST:
            far = f"{_format_moment(moment)}, which is more than a year away"
            said = f'"cutover.{name}" is {far}: it is {_format_moment(now)} now.'
            raise RequestFault(("cutover", name), said)


def aware(moment: datetime) -> datetime:
    """Return the moment with a zone: UTC where it doesn't say so."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _format_moment(moment: datetime) -> str:
    try:
        return f"{aware(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except OverflowError:  # in the first or last hours that there are
        return moment.isoformat()


# Words and numbers


def check_text(path: Path, text: str, longest: int) -> None:
    """Check a text of any number of lines. Raises RequestFault."""
    if len(text) > longest:
        raise RequestFault(path, f"{quote_path(path)} has at most {longest} characters, and this has {len(text)}.")
    if any(character == "\0" or unicodedata.category(character) == "Cs" for character in text):
        raise RequestFault(path, f"{quote_path(path)} isn't text.")


def check_whole(path: Path, number: int, least: int = 1, most: int = LARGEST) -> None:
    """Check that a number is from `least` to `most`. Raises RequestFault."""
    if not least <= number <= most:
        raise RequestFault(path, f"{quote_path(path)} has to be a whole number from {least} to {most}.")


def check_names(path: Path, names: Mapping[str, str]) -> None:
    """Check names that are mapped to others. Raises RequestFault."""
    _refuse_many(path, names, _MOST_NAMES)
    for source, target in names.items():
        check_name((*path, source), source)
        check_name((*path, source), target)


def _seconds(path: Path, seconds: float) -> None:
    most = _LONGEST_WAIT.total_seconds()
    if not (math.isfinite(seconds) and 0 < seconds <= most):
        said = f"{quote_path(path)} has to be a number of seconds, more than 0 and at most {most:.0f} (a week)."
        raise RequestFault(path, said)


def _refuse_many(path: Path, things: "Mapping[str, Any] | tuple[Any, ...] | list[Any]", most: int) -> None:
    if len(things) > most:
        raise RequestFault(path, f"{quote_path(path)} holds at most {most} entries, and this has {len(things)}.")


# The options


def _nothing(_path: Path, _value: Any) -> None:
    """Its type says all."""


def _each(check: Callable[[Path, str], None], most: int) -> Callable[[Path, Any], None]:
    def checked(path: Path, values: Any) -> None:
        _refuse_many(path, values, most)
        for number, value in enumerate(values):
            check((*path, number), value)

    return checked


def _macs(path: Path, adapters: Mapping[str, Any]) -> None:
    _refuse_many(path, adapters, _MOST_NAMES)
    for mac in adapters:
        if not _MAC.fullmatch(mac):
            raise RequestFault((*path, mac), f"{quote_path(path)}: {mac!r} isn't a MAC such as 00:50:56:01:02:03.")
    if len({mac.lower() for mac in adapters}) < len(adapters):
        raise RequestFault(path, f"{quote_path(path)} names an adapter twice.")


def _ports(path: Path, ports: Mapping[str, str]) -> None:
    _macs(path, ports)
    for mac, port in ports.items():
        check_name((*path, mac), port)


def _adapters(path: Path, adapters: Mapping[str, AdapterWishes]) -> None:
    _macs(path, adapters)
    for mac, wishes in adapters.items():
        for name in ("network", "subnet"):
            if (text := getattr(wishes, name)) is not None:
                check_name((*path, mac, name), text)


def _new_addresses(path: Path, addresses: Mapping[str, Addressing | str]) -> None:
    _macs(path, addresses)
    for mac, wanted in addresses.items():
        if isinstance(wanted, str):
            if wanted != DHCP:
                raise RequestFault((*path, mac), f"{quote_path((*path, mac))} is dhcp, or a table with the addresses.")
        elif (fault := addressing_fault(wanted)) is not None:
            raise RequestFault((*path, mac, fault[0]), f"{quote_path((*path, mac, fault[0]))}: {fault[1]}")


def _readdress(path: Path, networks: Mapping[str, str]) -> None:
    _refuse_many(path, networks, 1000)
    for before, after in networks.items():
        if (fault := renumbering_fault(before, after)) is not None:
            raise RequestFault((*path, before), f"{quote_path(path)}: {fault}")
    if (two := overlapping(networks)) is not None:
        raise RequestFault((*path, two[1]), f"{quote_path(path)}: {two[0]} and {two[1]} have addresses in common.")


def _metadata(path: Path, metadata: Mapping[str, str]) -> None:
    _refuse_many(path, metadata, MOST_METADATA)
    for key, value in metadata.items():
        if not _METADATA_KEY.fullmatch(key):
            raise RequestFault(
                (*path, key),
                f"{quote_path(path)}: a key has at most 255 characters: letters, digits, spaces and - _ : . only.",
            )
        check_text((*path, key), value, LONGEST_NAME)


def _carry(path: Path, carry: Carry) -> None:
    for name, chosen in (("tags", carry.tags), ("attributes", carry.attributes)):
        if not isinstance(chosen, bool):
            _each(check_name, 100)((*path, name), chosen)


def _image_properties(path: Path, properties: Mapping[str, str]) -> None:
    _refuse_many(path, properties, MOST_METADATA)
    for key, value in properties.items():
        check_name((*path, key), key)
        check_text((*path, key), value, LONGEST_NAME)


def _tag(path: Path, tag: str) -> None:
    check_name(path, tag, LONGEST_TAG)
    if "/" in tag or "," in tag:
        raise RequestFault(path, f"{quote_path(path)}: {tag} can't be a tag: Nova takes no slash and no comma in one.")


def _address(path: Path, address: str) -> None:
    try:
        ipaddress.ip_interface("" if "%" in address else address)  # of no network card of somebody's
    except ValueError:
        said = f"{quote_path(path)}: {address[:100]!r} is neither an address nor a range such as 10.0.0.0/24."
        raise RequestFault(path, said) from None


def _user_data(path: Path, text: str) -> None:
    try:
        size = len(user_data.decode(text))
    except (InvalidInput, UnicodeEncodeError) as error:
        said = error.message if isinstance(error, LongshoreError) else f"{quote_path(path)} isn't text."
        raise RequestFault(path, said) from None
    if size > LARGEST_USER_DATA:
        raise RequestFault(path, f"The user data has {size} bytes; Nova takes {LARGEST_USER_DATA}.")


def _script(path: Path, text: str) -> None:
    if not text.strip():
        raise RequestFault(path, f"{quote_path(path)}: a script is empty.")
    check_text(path, text, _LONGEST_TEXT)


def _agents(path: Path, agents: "tuple[str, ...] | list[str]") -> None:
    _refuse_many(path, agents, _MOST_AGENTS)


def _guest_key(path: Path, text: str) -> None:
    if not text:
        raise RequestFault(path, f"{quote_path(path)}: a key is empty.")
    check_text(path, text, _LONGEST_KEY)


def _playbook(path: Path, file: str) -> None:
    check_name(path, file, LONGEST_PATH)


def _volume(path: Path, wishes: VolumeWishes) -> None:
    if wishes.name is not None:
        check_text((*path, "name"), wishes.name, LONGEST_NAME)
    if wishes.description is not None:
        check_text((*path, "description"), wishes.description, LONGEST_NAME)
    if wishes.image_properties is not None:
        _image_properties((*path, "image_properties"), wishes.image_properties)


def _cutover(path: Path, cutover: Cutover) -> None:
    _seconds((*path, "downtime"), cutover.downtime)
    _seconds((*path, "interval"), cutover.interval)
    check_whole((*path, "syncs"), cutover.syncs, most=_MOST_SYNCS)


def _kept(path: Path, seconds: float) -> None:
    if not 0 <= seconds <= _LONGEST_KEPT:
        raise RequestFault(
            path, f"{quote_path(path)} has to be a number of seconds, at most {_LONGEST_KEPT} (ten years)."
        )


def _marks(path: Path, marks: SourceMarks) -> None:
    for kind, text in marks.each().items():
        if text:
            check_name((*path, kind.value), text, LONGEST_NAME)
    if marks.tag and "," in marks.tag:
        raise RequestFault((*path, "tag"), f"{quote_path((*path, 'tag'))} is one tag: it can't have a comma.")


def _codes(path: Path, codes: Iterable[str]) -> None:
    from longshore.planning.catalogue import refuse_unknown  # which knows all of planning

    try:
        refuse_unknown(codes)
    except InvalidInput as refused:
        raise RequestFault(path, str(refused)) from None


def _boot_mark(path: Path, mark: str) -> None:
    try:
        compile_expression(mark)
    except InvalidInput as refused:
        raise RequestFault(path, f"{quote_path(path)}: {refused}") from None


def _boot_ports(path: Path, ports: int | tuple[int, ...] | list[int]) -> None:
    if isinstance(ports, int):
        check_whole(path, ports, most=_LAST_PORT)
        return
    _refuse_many(path, ports, _MOST_BOOT_PORTS)
    for number, port in enumerate(ports):
        check_whole((*path, number), port, most=_LAST_PORT)


# Of these the type says all
_BY_TYPE = (
    *("type", "landing", "landing_else", "power", "quiesce"),
    *("isolated", "keep", "verify", "floating", "new_machine"),
    *("new_server", "when_stuck", "force_power_off", "boot_proof"),
)
_CHECKS: dict[str, Callable[[Path, Any], None]] = {
    **dict.fromkeys(("networks", "storage", "subnets"), check_names),
    "ports": _ports,
    "adapters": _adapters,
    **dict.fromkeys(("addresses", "test_addresses"), _new_addresses),
    **dict.fromkeys(("readdress", "test_readdress"), _readdress),
    **dict.fromkeys(("flavor", "availability_zone", "key_name", "server_group", "of", "replaces"), check_name),
    **dict.fromkeys(_BY_TYPE, _nothing),
    "cutover": _cutover,
    **dict.fromkeys(("clean_up_after", "shutdown_timeout", "boot_timeout"), _seconds),
    "server_name": check_server_name,
    "security_groups": _each(check_name, 100),
    "user_data": _user_data,
    "metadata": _metadata,
    "tags": _each(_tag, MOST_TAGS),
    "carry": _carry,
    "allowed_addresses": _each(_address, 100),
    "first_boot": _each(_script, 100),
    "agents": _agents,
    "guest_keys": _each(_guest_key, 100),
    **dict.fromkeys(("before", "after"), _playbook),
    "volume": _volume,
    **dict.fromkeys(("point", "rate_limit"), check_whole),
    **dict.fromkeys(("mark_source", "mark_source_later"), _marks),
    **dict.fromkeys(("grace", "keep_copy"), _kept),
    "accept": _codes,
    "boot_mark": _boot_mark,
    "boot_port": _boot_ports,
}
