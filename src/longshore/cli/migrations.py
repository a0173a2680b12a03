"""longshore migrate, and longshore migration …"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import mapping
from longshore.cli.command import Command, Lister, ShowOne
from longshore.cli.progress import downtime, moves, sentence, status_of, watch
from longshore.cli.words import duration, moment, size
from longshore.errors import InvalidInput, LongshoreError
from longshore.model.request import (
    Cutover,
    CutoverMode,
    LandingMode,
    MigrationRequest,
    MigrationType,
    PowerAfter,
    Verify,
)

if TYPE_CHECKING:
    from longshore.service.schemas import DiskProgress, Migration
from longshore.store import Status


class Migrate(ShowOne):
    """Move one machine: copied, verified, made ready for its new hardware, booted on the target, seen on its console.

    Cold, it is shut down and copied. Warm, it is copied while it runs, again and again, and shut down only for the last
    changes: when you say so (longshore migration cutover), as soon as they are few (--cutover automatic), or at a time
    (--cutover-at). A dry run copies the running machine, boots the copy, and removes it again.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("machine", help="name, inventory path or reference of the machine")
        parser.add_argument("--from", dest="source", required=True, metavar="PROVIDER", help="where it is")
        parser.add_argument("--to", dest="target", required=True, metavar="PROVIDER", help="where it goes")
        parser.add_argument(
            "--network",
            action="append",
            default=[],
            type=mapping,
            metavar="SOURCE=TARGET",
            help="source network and target network (name or id); once for each network of the machine",
        )
        parser.add_argument(
            "--storage",
            action="append",
            default=[],
            type=mapping,
            metavar="DATASTORE=TYPE",
            help="datastore and volume type; without, the target's default type",
        )
        parser.add_argument("--flavor", help="default: the smallest that fits")
        parser.add_argument("--name", dest="server_name", help="of the server (default: as the machine is called)")
        parser.add_argument(
            "--type",
            choices=[t.value for t in MigrationType if t is not MigrationType.CONVERSION],
            default=MigrationType.COLD.value,
        )
        parser.add_argument(
            "--security-group",
            action="append",
            metavar="GROUP",
            help="may be repeated (default: the project's default)",
        )
        parser.add_argument("--availability-zone", metavar="ZONE")
        parser.add_argument("--key-name", metavar="NAME", help="key pair of the server")
        _with_extras(parser)
        parser.add_argument(
            "--landing",
            choices=[mode.value for mode in LandingMode],
            default=LandingMode.CONVERT.value,
            help="convert: the guest gets the drivers of the target's hardware; as-is: it is not changed and boots on "
            "hardware it knows; unchanged: it is not changed and knows the target's hardware (default: %(default)s)",
        )
        _with_cutover(parser)
        parser.add_argument(
            "--power",
            choices=[power.value for power in PowerAfter],
            default=PowerAfter.AS_BEFORE.value,
            help="how the server is left once it was seen to boot: on, off, or as the machine was (default)",
        )
        parser.add_argument(
            "--quiesce",
            action="store_true",
            help="freeze the running guest's file systems for each snapshot, or fail",
        )
        parser.add_argument(
            "--isolated", action="store_true", help="dry run: boot on networks of its own that lead nowhere"
        )
        parser.add_argument(
            "--keep",
            action="store_true",
            help="until you clean it up, leave a dry run's server, or what a failed migration made on the target",
        )
        parser.add_argument(
            "--accept",
            action="append",
            default=[],
            metavar="CODE",
            help="go on in spite of this concern (may be repeated)",
        )
        parser.add_argument(
            "--verify",
            choices=[v.value for v in Verify],
            default=Verify.FULL.value,
            help="what is read back from the target and compared (default: %(default)s)",
        )
        parser.add_argument("--limit", type=_rate, metavar="RATE", help="bytes per second and disk: 50M, 1G")
        parser.add_argument("--shutdown-timeout", type=_seconds, default=600.0, metavar="SECONDS")
        parser.add_argument(
            "--force-power-off", action="store_true", help="cut the power of a guest that doesn't shut down in time"
        )
        parser.add_argument(
            "--boot-mark", metavar="REGEX", help="what the console shows once the guest is up (default: a login prompt)"
        )
        parser.add_argument("--boot-timeout", type=_seconds, default=900.0, metavar="SECONDS")
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        if args.type != MigrationType.DRY_RUN.value and args.isolated:
            raise InvalidInput("--isolated is for dry runs.", advice="Add --type dry-run.")
        if args.first_boot and args.landing != LandingMode.CONVERT.value:
            raise InvalidInput(
                "First-boot scripts are put into a guest when it is converted.", advice="Use --landing convert."
            )
        request = MigrationRequest(
            networks=dict(args.network),
            storage=dict(args.storage),
            flavor=args.flavor,
            type=MigrationType(args.type),
            landing=LandingMode(args.landing),
            cutover=_cutover(args),
            power=PowerAfter(args.power),
            quiesce=args.quiesce,
            isolated=args.isolated,
            keep=args.keep,
            accept=tuple(args.accept),
            subnets=dict(args.subnet),
            ports=dict(args.port),
            server_group=args.server_group,
            user_data=_text_of(args.user_data) if args.user_data else None,
            first_boot=tuple(_text_of(path) for path in args.first_boot),
            metadata=dict(args.metadata),
            tags=tuple(args.tag),
            allowed_addresses=tuple(args.allowed_address),
            verify=Verify(args.verify),
            server_name=args.server_name,
            security_groups=tuple(args.security_group) if args.security_group else None,
            availability_zone=args.availability_zone,
            key_name=args.key_name,
            shutdown_timeout=args.shutdown_timeout,
            force_power_off=args.force_power_off,
            boot_timeout=args.boot_timeout,
            boot_mark=args.boot_mark,
            rate_limit=args.limit,
        )
        return _follow(self, self.client.create_migration(args.machine, args.source, args.target, request), args)


class ListMigrations(Lister):
    """List migrations, oldest first."""

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        rows = [
            (m.id, m.machine_name, m.source, m.target, status_of(m), m.phase, moment(m.created_at))
            for m in self.client.migrations()
        ]
        return ("ID", "Machine", "From", "To", "Status", "Phase", "Created"), rows


class ShowMigration(ShowOne):
    """Show a migration: where it is, how far its disks are, what came of it."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _fields(self, self.client.migration(args.migration))


class MigrationEvents(Lister):
    """List what happened in a migration."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        events = self.client.events(args.migration)
        return ("At", "Level", "Phase", "What"), [(moment(e.at), e.level, e.phase, e.text) for e in events]


class MigrationLedger(Lister):
    """List everything a migration made on either side, and what became of it."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        entries = self.client.ledger(args.migration)
        return ("Kind", "Step", "Id", "State", "Note"), [(e.kind, e.step, e.ref, e.state, e.note) for e in entries]


class WaitForMigration(ShowOne):
    """Watch a migration until it has ended."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        parser.add_argument("--plain", action="store_true", help="lines instead of bars")
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        args.wait = True
        return _follow(self, self.client.migration(args.migration), args)


class ResumeMigration(ShowOne):
    """Go on with a migration that was broken off, from the last checkpoint of its copies."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, self.client.resume(args.migration), args)


class CutOver(ShowOne):
    """Stop the machine of a warm migration, copy its last changes and boot it on the target."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, self.client.cut_over(args.migration), args)


class ConvertMigration(ShowOne):
    """Convert a machine that landed as it was: its server is stopped, converted and made anew on virtio hardware."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, self.client.convert(args.migration), args)


class CancelMigration(ShowOne):
    """Stop a migration, take back everything it made, and power the source on again if it was on."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_id(super().get_parser(prog_name))
        _with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, self.client.cancel(args.migration), args, cancelling=True)


class CleanUpMigration(Command):
    """Try once more to remove what an ended migration left behind."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> int:
        left = self.client.clean_up(args.migration).left
        for said in left:
            print(said, file=sys.stderr)
        return 1 if left else 0


class DeleteMigration(Command):
    """Forget a migration that has ended. What was moved stays as it is."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _with_id(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> None:
        self.client.remove_migration(args.migration)


def _with_id(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("migration", help="its id, or the beginning of it")
    return parser


def _with_wait(parser: ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="watch until it has ended; the exit code tells how")
    parser.add_argument("--plain", action="store_true", help="lines instead of bars")


def _with_extras(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--subnet",
        action="append",
        default=[],
        type=mapping,
        metavar="SOURCE=SUBNET",
        help="source network and the subnet (name, id or CIDR) of the target network for its addresses",
    )
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        type=mapping,
        metavar="MAC=ID",
        help="use a port that an administrator has made for the adapter with this MAC",
    )
    parser.add_argument(
        "--allowed-address",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a further address (a cluster's, or a CIDR) that the server's ports may speak for",
    )
    parser.add_argument("--server-group", metavar="GROUP", help="name or id")
    parser.add_argument("--user-data", type=Path, metavar="FILE", help="for cloud-init in the guest")
    parser.add_argument(
        "--first-boot",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a script that a converted Linux guest runs once, at its first boot (may be repeated)",
    )
    parser.add_argument("--metadata", action="append", default=[], type=mapping, metavar="KEY=VALUE")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG")


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't text"
        raise InvalidInput(f"{path} can't be read: {reason}.") from error


def _with_cutover(parser: ArgumentParser) -> None:
    default = Cutover()
    parser.add_argument(
        "--cutover",
        choices=[CutoverMode.MANUAL.value, CutoverMode.AUTOMATIC.value],
        help="warm: when the machine is shut down (default: manual, by longshore migration cutover)",
    )
    parser.add_argument(
        "--cutover-at",
        type=_moment,
        metavar="TIME",
        help="warm: at this time, 2026-11-21T22:00 (UTC unless it says so)",
    )
    parser.add_argument(
        "--cutover-until", type=_moment, metavar="TIME", help="and not begun later than that: it then waits for you"
    )
    parser.add_argument(
        "--downtime",
        type=_seconds,
        default=default.downtime,
        metavar="SECONDS",
        help="warm, automatic: what the last copy may take (default: %(default).0f)",
    )
    parser.add_argument(
        "--sync-every",
        type=_seconds,
        default=default.interval,
        metavar="SECONDS",
        help="warm: between two syncs while it waits (default: %(default).0f)",
    )


def _cutover(args: Namespace) -> Cutover:
    """Raises InvalidInput for what doesn't go together."""
    wishes = args.cutover or args.cutover_at or args.cutover_until
    if wishes and args.type != MigrationType.WARM.value:
        raise InvalidInput("Only a warm migration has a cutover.", advice="Add --type warm.")
    if args.cutover and args.cutover_at:
        raise InvalidInput("--cutover and --cutover-at exclude each other.", advice="Choose one.")
    if args.cutover_until and not args.cutover_at:
        raise InvalidInput("--cutover-until needs a --cutover-at.", advice="Say when the window opens, too.")
    if args.cutover_until and args.cutover_until <= args.cutover_at:
        raise InvalidInput("The window for the cutover closes before it opens.")
    mode = CutoverMode.SCHEDULED if args.cutover_at else CutoverMode(args.cutover or CutoverMode.MANUAL)
    return Cutover(
        mode=mode, downtime=args.downtime, interval=args.sync_every, at=args.cutover_at, until=args.cutover_until
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f'"{text}" isn\'t a time such as 2026-11-21T22:00 or 2026-11-21T22:00+01:00') from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ArgumentTypeError(f'"{text}" isn\'t a number of seconds')
    return seconds


def _rate(text: str) -> int:
    factors = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, factor = (text[:-1], factors[text[-1].upper()]) if text[-1:].upper() in factors else (text, 1)
    try:
        rate = int(float(number) * factor)
    except (ValueError, OverflowError):
        rate = 0
    if rate <= 0:
        raise ArgumentTypeError(f'"{text}" isn\'t a rate: give bytes per second such as 800K, 50M or 1G')
    return rate


def _follow(command: ShowOne, migration: Migration, args: Namespace, *, cancelling: bool = False) -> tuple[Any, Any]:
    """Watch it when asked to. Raises when it didn't end as the command meant it to."""
    if not args.wait:
        print(f"Migration {migration.id} goes on in the background.", file=sys.stderr)
        print(f"Watch it: longshore migration wait {migration.id}", file=sys.stderr)
        return _fields(command, migration)
    try:
        migration = watch(command.client, migration.id, plain=args.plain)
    except KeyboardInterrupt:
        print(f"\nMigration {migration.id} goes on in the background.", file=sys.stderr)
        print(f"Come back with: longshore migration wait {migration.id}", file=sys.stderr)
        raise
    if migration.error and not (cancelling and migration.error_code == "cancelled"):
        raise LongshoreError(
            f"Migration {migration.id} {migration.status}: {migration.error}", code=migration.error_code or "error"
        )
    if cancelling and migration.status is Status.DONE:
        raise LongshoreError(f"The cancel came too late: migration {migration.id} is done.", code="too-late-to-cancel")
    if migration.interrupted:
        raise LongshoreError(
            f"Migration {migration.id} was broken off: the process that ran it has ended.",
            advice=f"Go on with: longshore migration resume {migration.id} --wait.",
            code="interrupted",
        )
    return _fields(command, migration)


def _fields(command: ShowOne, m: Migration) -> tuple[Any, Any]:
    readable = command.formatter.__class__.__name__ == "TableFormatter"
    off = downtime(m)
    fields: dict[str, Any] = {
        "id": m.id,
        "machine": m.machine_name,
        "from": m.source,
        "to": m.target,
        "plan": m.plan,
        "wave": m.wave,
        "status": status_of(m),
        "phase": m.phase,
        "created_at": moment(m.created_at),
        "finished_at": moment(m.finished_at),
        "downtime_seconds": off,
        "server_id": m.server_id,
        "syncs": m.syncs,
        "error": m.error,
        "error_code": m.error_code,
        "disks": [d.model_dump() for d in m.disks],
        "result": m.result,
    }
    if readable:
        del fields["downtime_seconds"]
        fields["downtime"] = duration(off) if off is not None else None
        fields["syncs"] = "\n".join(sync_line(sync) for sync in m.syncs)
        fields["disks"] = "\n".join(_disk_line(m, d) for d in m.disks)
        fields["result"] = _summary(m.result) if m.result else None
        fields = {name: value for name, value in fields.items() if value not in (None, "")}
    return tuple(fields), tuple(fields.values())


def _disk_line(m: Migration, disk: DiskProgress) -> str:
    if moves(m, disk):
        return f"{sentence(disk)}: {disk.state}"
    digest = f", digest {disk.root_digest[:16]}…" if disk.root_digest else ""
    return f"{disk.label}, {size(disk.size)}: {disk.state}{digest}"


def sync_line(sync: dict[str, Any]) -> str:
    changed = sync["bytes_changed"]
    what = "all" if sync["number"] == 0 else "compared" if changed is None else f"{size(changed)} changed"
    last = ", the machine off" if sync["final"] else ""
    return f"{sync['at'][:19]} {what}, {size(sync['bytes_written'])} written in {duration(sync['seconds'])}{last}"


def _summary(result: dict[str, Any]) -> str:
    lines = [
        f"{size(result['bytes_read'])} read, {size(result['bytes_written'])} written, "
        f"{size(result['bytes_verified'])} verified",
    ]
    if result["rate"]:
        lines.append(f"copied in {duration(result['copy_seconds'])}, {size(result['rate'])}/s")
    lines.extend(f"{p['mac']} {' '.join(p['addresses'])}" for p in result["ports"])
    return "\n".join(lines)
