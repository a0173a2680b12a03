"""longshore migrate: one machine, with everything that can be asked for it."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from longshore.cli.adapters import with_adapters
from longshore.cli.arguments import (
    seconds,
    time_of,
    with_accept,
    with_guest_key,
    with_mapping,
    with_verify_and_rate,
)
from longshore.cli.command import ShowOne
from longshore.cli.given_files import bytes_of, key_in, playbook_of, text_of
from longshore.cli.migrations import follow, with_wait
from longshore.cli.source_marks import marks_of, with_source_marks
from longshore.cli.usage import Parser
from longshore.errors import InvalidInput
from longshore.model.agents import Agent
from longshore.model.request import (
    BootProof,
    Carry,
    Cutover,
    CutoverMode,
    FloatingMode,
    LandingMode,
    MachineWork,
    MigrationRequest,
    MigrationType,
    PowerAfter,
    Verify,
    WhenStuck,
)
from longshore.model.user_data import encode

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as ArgumentGroup

# Options that a request has as they are given
_AS_GIVEN = (
    *("flavor", "server_name", "server_group", "availability_zone", "key_name", "quiesce", "rate_limit"),
    *("shutdown_timeout", "force_power_off", "boot_timeout", "boot_mark"),
)


class Migrate(ShowOne):
    """Move one machine: copied, verified, made ready for its new hardware, booted on the target, seen on its console.

    Cold, it is shut down and copied. Warm, it is copied while it runs, again and again, and shut down only for the last
    changes: when you say so (longshore migration cutover), as soon as they are few (--cutover automatic), or at a time
    (--cutover-at). A dry run copies the running machine, boots the copy, and removes it again.
    """

    examples = (
        "longshore migrate web01 --from vc --to cloud --network LAN=private --wait",
        "longshore migrate web01 --from vc --to cloud --network LAN=private --type dry-run --wait",
        "longshore migrate db01 --from vc --to cloud --network LAN=private --type warm --cutover-at 2026-12-05T22:00",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        assert isinstance(parser, Parser)
        parser.if_incomplete = "To move a plan's machines: longshore plan start PLAN"
        parser.add_argument("machine", help="name, inventory path or reference of the machine")
        _with_type(_with_course(parser))
        _with_network(parser)
        _with_server(parser)
        _with_copy(parser)
        _with_cutover(parser)
        _with_power(parser)
        _with_guest(parser, playbooks=not self.is_plugin)
        _with_outcome(parser)
        with_source_marks(parser.add_argument_group("the machine at its source, once it has moved"))

    def show(self, args: Namespace) -> dict[str, Any]:
        request = replace(
            asked_of(args),
            type=cast(MachineWork, MigrationType(args.type)),
            cutover=_cutover(args),
            isolated=args.isolated,
            keep=args.keep,
            before=playbook_of(args.before),
            after=playbook_of(args.after),
            landing_else=LandingMode(second) if (second := args.landing.partition(",")[2]) else None,
            keep_copy=args.keep_copy,
            **marks_of(args),
        )
        migration = self.client.create_migration(args.machine, args.source, args.target, request)
        if not args.wait:  # who waits is shown all that happens
            for event in self.client.events(migration.id):
                if event.level == "warning":
                    self.say(f"Warning: {event.text}")
        return follow(self, migration, args)


def with_request(parser: ArgumentParser) -> None:
    """Add options that say what a machine is to become, whatever brings it there: see `asked_of`."""
    _with_course(parser)
    _with_network(parser)
    _with_server(parser)
    _with_copy(parser)
    _with_power(parser)
    _with_guest(parser, playbooks=False)


def with_restore(parser: ArgumentParser) -> None:
    """Add options that say what a point of a vault is to become: see `asked_of`."""
    group = parser.add_argument_group("where to, and how")
    group.add_argument("--target", required=True, metavar="PROVIDER", help="where it goes")
    with_landing(group)
    _with_network(parser)
    _with_server(parser)
    _with_copy(parser)
    _with_power(parser)
    _with_guest(parser, playbooks=False)


def asked_of(args: Namespace) -> MigrationRequest:
    """Return the request that those options make."""
    return MigrationRequest(
        **{name: getattr(args, name) for name in _AS_GIVEN},
        networks=dict(args.network),
        storage=dict(args.storage),
        floating=FloatingMode(args.floating),
        landing=LandingMode(args.landing.partition(",")[0]),
        power=PowerAfter(args.power),
        accept=tuple(args.accept),
        subnets=dict(args.subnet),
        ports=dict(args.port),
        adapters=dict(args.adapter),
        addresses=dict(args.address),
        readdress=dict(args.readdress),
        test_addresses=dict(args.test_address),
        test_readdress=dict(args.test_readdress),
        user_data=encode(bytes_of(args.user_data)) if args.user_data else None,
        first_boot=tuple(text_of(path) for path in args.first_boot),
        agents=tuple(Agent(agent) for agent in args.agent),
        guest_keys=tuple(key_in(path) for path in args.guest_key),
        metadata=dict(args.metadata),
        tags=tuple(args.tag),
        carry=_carry(args.carry),
        allowed_addresses=tuple(args.allowed_address),
        verify=Verify(args.verify),
        security_groups=tuple(args.security_group) if args.security_group else None,
        when_stuck=WhenStuck(args.when_stuck),
        boot_port=tuple(args.boot_port),
        boot_proof=BootProof(args.boot_proof),
    )


def _with_course(parser: ArgumentParser) -> ArgumentGroup:
    group = parser.add_argument_group("from where to where, and how")
    group.add_argument("--from", dest="source", required=True, metavar="PROVIDER", help="where it is")
    group.add_argument("--to", dest="target", required=True, metavar="PROVIDER", help="where it goes")
    with_landing(group, second=True)
    return group


def with_landing(group: ArgumentGroup, *, second: bool = False) -> None:
    """Add the option of landing. `second`: a way that is tried where the first one fails may be named, too."""
    other = "; WAY,WAY: where it doesn't land in the first way, the second one is tried at once" if second else ""
    group.add_argument(
        "--landing",
        **({"type": _landings, "metavar": "WAY"} if second else {"choices": [mode.value for mode in LandingMode]}),
        default=LandingMode.AUTO.value,
        help="convert: the guest gets the drivers of the target's hardware; as-is: it is not changed and boots on "
        "hardware it knows; unchanged: it is not changed and knows the target's hardware (default: auto, which is "
        f"unchanged from OpenStack, convert from elsewhere){other}",
    )
    with_accept(group)


def _landings(text: str) -> str:
    ways = text.split(",")
    known = [mode.value for mode in LandingMode]
    if not set(ways) <= set(known) or len(ways) > 2 or len(set(ways)) < len(ways):
        raise ArgumentTypeError(f'"{text}" is no way to land: one of {", ".join(known)}, or two such as convert,as-is')
    return text


def _with_type(group: ArgumentGroup) -> None:
    group.add_argument(
        "--type",
        choices=[MigrationType.DRY_RUN.value, MigrationType.COLD.value, MigrationType.WARM.value],
        default=MigrationType.COLD.value,
        help="cold: shut down, then copied; warm: copied while it runs, which a machine in files never does; dry-run: "
        "only tried (default: %(default)s)",
    )
    group.add_argument("--isolated", action="store_true", help="dry run: boot on networks of its own that lead nowhere")


def _with_network(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("network")
    with_mapping(
        group,
        "--network",
        "SOURCE=TARGET",
        "source network and target network (name or id); once for each network of the machine",
    )
    with_mapping(
        group,
        "--subnet",
        "SOURCE=SUBNET",
        "source network and the subnet (name, id or CIDR) of the target network for its addresses",
    )
    with_mapping(group, "--port", "MAC=ID", "use a port that an administrator has made for the adapter with this MAC")
    with_adapters(group)
    group.add_argument(
        "--allowed-address",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a further address (a cluster's, or a CIDR) that the server's ports may speak for",
    )
    group.add_argument(
        "--floating",
        choices=[mode.value for mode in FloatingMode],
        default=FloatingMode.AUTO.value,
        help="floating IPs: the same where the target project has it free, else a new one (auto, the default); a new "
        "one; the same or none (existing); none (skip)",
    )
    group.add_argument(
        "--security-group",
        action="append",
        metavar="GROUP",
        help="may be repeated (default: the project's default)",
    )


def _with_server(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the server that is made")
    group.add_argument("--name", dest="server_name", help="of the server (default: as the machine is called)")
    group.add_argument("--flavor", help="name or id (default: the smallest that fits)")
    group.add_argument("--availability-zone", metavar="ZONE", help="where it runs (default: the target's choice)")
    group.add_argument("--server-group", metavar="GROUP", help="name or id")
    group.add_argument("--key-name", metavar="NAME", help="key pair of the server")
    group.add_argument("--user-data", type=Path, metavar="FILE", help="for cloud-init in the guest; any bytes")
    with_mapping(group, "--metadata", "KEY=VALUE", "may be repeated")
    group.add_argument("--tag", action="append", default=[], metavar="TAG", help="may be repeated")
    group.add_argument(
        "--carry",
        action="append",
        type=_carried,
        metavar="WHAT",
        help="only this of what the machine has at its source goes along: annotation, tags, tags:CATEGORY, attributes, "
        "attributes:NAME, cpu-topology; or nothing (may be repeated; default: all of it)",
    )


def _with_copy(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("copying")
    with_mapping(group, "--storage", "DATASTORE=TYPE", "datastore and volume type; without, the target's default type")
    with_verify_and_rate(group)
    group.add_argument(
        "--quiesce",
        action="store_true",
        help="freeze the running guest's file systems for each snapshot, or fail",
    )


def _with_power(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("shutting down and booting")
    group.add_argument(
        "--shutdown-timeout",
        type=seconds,
        default=600.0,
        metavar="SECONDS",
        help="how long the guest may take to shut down (default: %(default).0f)",
    )
    group.add_argument(
        "--force-power-off", action="store_true", help="cut the power of a guest that doesn't shut down in time"
    )
    group.add_argument(
        "--when-stuck",
        choices=[rule.value for rule in WhenStuck],
        default=WhenStuck.PARK.value,
        help="what becomes of it where a cloud stays away, storage stalls or a quota is short, or something fails once "
        "the machine is copied: it keeps what it has, and goes on when that has passed or somebody says so; or all is "
        "taken back (default: %(default)s)",
    )
    with_boot_proof(group)
    group.add_argument(
        "--boot-port",
        type=int,
        action="append",
        default=[],
        metavar="PORT",
        help="a TCP port of the guest that takes connections once it is up (may be repeated: one of them is enough)",
    )
    group.add_argument(
        "--boot-timeout",
        type=seconds,
        default=900.0,
        metavar="SECONDS",
        help="how long that may take (default: %(default).0f)",
    )
    group.add_argument(
        "--power",
        choices=[power.value for power in PowerAfter],
        default=PowerAfter.AS_BEFORE.value,
        help="how the server is left once it was seen to boot: on, off, or as the machine was (default)",
    )


def with_boot_proof(group: ArgumentGroup) -> None:
    group.add_argument(
        "--boot-mark", metavar="REGEX", help="what the console shows once the guest is up (default: a login prompt)"
    )
    group.add_argument(
        "--boot-proof",
        choices=[proof.value for proof in BootProof],
        default=BootProof.AUTO.value,
        help="what shows that the guest is up: its console, its qemu-guest-agent, a port, nothing (none: it is taken "
        "for up), or the first of them that can be had (default: auto)",
    )


def _with_guest(parser: ArgumentParser, *, playbooks: bool) -> None:
    """Add the options of the guest. `playbooks`: whether they can be run at all; a server runs none for its callers."""
    group = parser.add_argument_group("what the guest is given, and what is run besides")
    group.add_argument(
        "--first-boot",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a script that a converted Linux guest runs once, at its first boot (may be repeated)",
    )
    group.add_argument(
        "--agent",
        choices=[agent.value for agent in Agent],
        action="append",
        default=[],
        help="installed in a converted guest, from packages that the operator has laid down; cloud-init is "
        "cloudbase-init in Windows (may be repeated)",
    )
    with_guest_key(group)
    parser.set_defaults(before=None, after=None)
    if not playbooks:
        return
    group.add_argument(
        "--before", type=Path, metavar="PLAYBOOK", help="Ansible playbook run before anything is done to the machine"
    )
    group.add_argument(
        "--after",
        type=Path,
        metavar="PLAYBOOK",
        help="and one run when the target is up; if it fails, the machine runs again where it was",
    )


def _with_outcome(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("waiting for it, and what stays")
    with_wait(group)
    group.add_argument(
        "--keep",
        action="store_true",
        help="until you clean it up, leave a dry run's server, or what a failed migration made on the target",
    )
    group.add_argument(
        "--keep-copy",
        type=seconds,
        metavar="TIME",
        help="how long a copy that waits for another try is kept if nobody asks for one (default: until a cancel)",
    )


def _with_cutover(parser: ArgumentParser) -> None:
    default = Cutover()
    group = parser.add_argument_group("warm migrations: when the machine is stopped")
    group.add_argument(
        "--cutover",
        choices=[CutoverMode.MANUAL.value, CutoverMode.AUTOMATIC.value],
        help="when you say so, or as soon as little is left to copy (default: manual, by longshore migration cutover)",
    )
    group.add_argument(
        "--cutover-at",
        type=time_of,
        metavar="TIME",
        help="at this time, 2026-11-21T22:00 (UTC unless it says so)",
    )
    group.add_argument(
        "--cutover-until", type=time_of, metavar="TIME", help="and not begun later than that: it then waits for you"
    )
    group.add_argument(
        "--downtime",
        type=seconds,
        default=default.downtime,
        metavar="SECONDS",
        help="automatic: what the last copy may take (default: %(default).0f)",
    )
    group.add_argument(
        "--sync-every",
        type=seconds,
        default=default.interval,
        metavar="SECONDS",
        help="between two syncs while it waits (default: %(default).0f)",
    )


def _cutover(args: Namespace) -> Cutover:
    """Return the cutover. Raises InvalidInput for what doesn't go together."""
    if args.cutover and args.cutover_at:
        raise InvalidInput("--cutover and --cutover-at exclude each other.", advice="Choose one.")
    if args.cutover_until and not args.cutover_at:
        raise InvalidInput("--cutover-until needs a --cutover-at.", advice="Say when the window opens, too.")
    mode = CutoverMode.SCHEDULED if args.cutover_at else CutoverMode(args.cutover or CutoverMode.MANUAL)
    return Cutover(
        mode=mode, downtime=args.downtime, interval=args.sync_every, at=args.cutover_at, until=args.cutover_until
    )


def _carried(text: str) -> tuple[str, str]:
    """Split into a kind, and of tags and attributes which ones; empty: all."""
    kind, colon, name = text.partition(":")
    alone = kind in ("annotation", "cpu-topology", "nothing") and not colon
    if not alone and not (kind in ("tags", "attributes") and bool(name) == bool(colon)):
        raise ArgumentTypeError(f'"{text}" is nothing that goes along')
    return kind, name


def _carry(words: list[tuple[str, str]] | None) -> Carry:
    if words is None:
        return Carry()

    def chosen(kind: str) -> bool | tuple[str, ...]:
        names = tuple(name for asked, name in words if asked == kind)
        return bool(names) if "" in names or not names else names

    kinds = {kind for kind, _ in words}
    return Carry("annotation" in kinds, chosen("tags"), chosen("attributes"), "cpu-topology" in kinds)
