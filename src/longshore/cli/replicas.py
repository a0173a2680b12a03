"""longshore replica …: machines that are copied again and again, to points that they can be made of."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any, ClassVar

from longshore.cli.arguments import rules_of, with_until
from longshore.cli.command import Delete, Lister, ShowOne
from longshore.cli.concerns import concern_table
from longshore.cli.migrate import asked_of, with_request
from longshore.cli.migrations import sync_line
from longshore.cli.providers import with_all_projects
from longshore.errors import InvalidInput
from longshore.model.durations import duration
from longshore.wording.figures import moment, size

if TYPE_CHECKING:
    from longshore.api.replicas import NewReplica, Replica


def _with_new(parser: ArgumentParser) -> None:
    parser.add_argument("machine", help="name, inventory path or reference of the machine")
    _with_seed(parser)
    _with_protection(parser)
    with_request(parser)


class CreateReplica(ShowOne):
    """Protect a machine by a replica: it is copied while it runs, again and again, to points on the target.

    Each point is one moment of all its disks, verified, and a machine can be made of it at any time, also when the
    source is gone: longshore replica test, longshore replica failover.
    """

    examples = (
        "longshore replica create web01 --from vc --to cloud --network LAN=private --every 15m --keep last=24,daily=7",
    )
    options = (_with_new,)

    def show(self, args: Namespace) -> dict[str, Any]:
        wanted = _wanted(args)
        replica = self.client.create_replica(wanted)
        what = "all of it" if wanted.seed is None else "what differs from the point"
        self.say(f"Its first sync copies {what}. See: longshore replica show {replica.id}")
        return shown(self, replica)


class CheckReplica(Lister):
    """Say what stands against protecting a machine so, or might: nothing is made."""

    examples = ('longshore replica check web01 --from vc --to cloud --network "VM Network=private"',)
    options = (_with_new,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return concern_table(self, args, self.client.check_replica(_wanted(args)))


class KeepAsReplica(ShowOne):
    """Make a replica of a warm migration that waits for its cutover: what it has copied isn't copied again.

    Its next sync makes the first point. It is cut over no more: see longshore replica migrate.
    """

    examples = ("longshore migration keep-as-replica 1f6e0c52 --every 15m --keep last=24",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("migration", help="its id, or the beginning of it")
        _with_protection(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.replicas import KeptMigration

        wanted = KeptMigration(
            schedule=_schedule(args) or "every 15m",
            retention=rules_of(args) or "last 24",
            rpo=args.rpo,
            prove=args.prove,
            audit=args.audit,
        )
        return shown(self, self.client.keep_as_replica(args.migration, wanted))


class ListReplicas(Lister):
    """List replicas, oldest first."""

    examples = ("longshore replica list",)
    nothing = "There is none. Make one: longshore replica create --help."
    options = (with_all_projects,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        columns = ("ID", "Machine", "From", "To", "Stage", "Points", "RPO now", "RPO", "Next sync", "Conditions")
        found = self.client.replicas(all_projects=args.all_projects)
        for id_ in self.client.left_out:
            self.say(f"Replica {id_} can't be read by this version, and isn't in the list. The log says why.")
        return columns, [self._row(replica) for replica in found]

    def _row(self, replica: Replica) -> tuple[Any, ...]:
        ages: list[Any] = [replica.rpo_now, replica.rpo]
        if self.for_people:
            ages = [duration(one) if one is not None else "" for one in ages]
        return (
            replica.id,
            replica.machine_name,
            replica.source,
            replica.target,
            replica.stage.value,
            replica.points,
            *ages,
            moment(replica.due_at),
            ", ".join(condition.code for condition in replica.conditions),
        )


def with_replica(parser: ArgumentParser) -> None:
    parser.add_argument("replica", help="its id, the beginning of it, or the name of its machine")


class ShowReplica(ShowOne):
    """Show a replica: how old its newest point is, and was, and what is to be said of it."""

    examples = ("longshore replica show web01",)
    options = (with_replica,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return shown(self, self.client.replica(args.replica))


class SetReplica(ShowOne):
    """Give a replica another schedule, retention or RPO, or other times of its tests and audits (never: none)."""

    examples = (
        "longshore replica set web01 --every 1h --keep last=48",
        'longshore replica set web01 --prove "weekly sunday 02:00 Europe/Berlin"',
    )
    options = (with_replica,)

    def add_options(self, parser: ArgumentParser) -> None:
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--every", metavar="TIME", help="a sync after each of these times")
        when.add_argument("--schedule", metavar="SCHEDULE", help="as for longshore replica create")
        _with_policy(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.replicas import ReplicaChange

        change = ReplicaChange(
            schedule=_schedule(args),
            retention=rules_of(args),
            rpo=args.rpo,
            prove=args.prove,
            audit=args.audit,
        )
        return shown(self, self.client.change_replica(args.replica, change))


class DeleteReplica(Delete):
    """Delete replicas, with their points and all else that was made for them. The machines stay as they are."""

    examples = ("longshore replica delete web01",)
    kind = "replica"
    named = "its id, the beginning of it, or the name of its machine"
    for_good = "All points of these replicas are deleted for good"

    def delete(self, name: str, args: Namespace) -> None:
        replica = self.client.delete_replica(name)
        self.say(f"The replica of {replica.machine_name} goes, with all its points: longshore replica show {name}")


class TellReplica(ShowOne):
    """The base of what tells a replica one thing."""

    options = (with_replica,)
    verb: ClassVar[str]

    def show(self, args: Namespace) -> dict[str, Any]:
        return shown(self, self.client.tell_replica(args.replica, self.verb))


class SyncReplica(TellReplica):
    """Make another point now, also while the replica is paused."""

    examples = ("longshore replica sync web01",)
    verb = "sync"


class AuditReplica(TellReplica):
    """Make another point now, for which everything is read on both sides and compared.

    It takes as long as the first sync. What had changed without the source telling is found and copied; the points that
    were made since the last audit are called suspect then.
    """

    examples = ("longshore replica audit web01",)
    verb = "audit"


class PauseReplica(ShowOne):
    """Begin no more syncs, until the replica is resumed or a time has come. Its points stay, and get older."""

    examples = ("longshore replica pause web01 --until 2026-12-01T06:00",)
    options = (with_replica, with_until)

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.replicas import Pause

        return shown(self, self.client.tell_replica(args.replica, "pause", Pause(until=args.until)))


class ResumeReplica(TellReplica):
    """Go on with a paused replica's syncs: with one at once, if any was missed."""

    examples = ("longshore replica resume web01",)
    verb = "resume"


def _with_protection(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("when, and for how long")
    when = group.add_mutually_exclusive_group()
    when.add_argument("--every", metavar="TIME", help="a sync after each of these times: 15m, 1h (default: 15m)")
    when.add_argument(
        "--schedule",
        metavar="SCHEDULE",
        help='"daily 02:00 Europe/Berlin", "cron 0 2 * * 1-5 UTC", "continuous" (with --rpo), …',
    )
    _with_policy(group)


def _with_policy(parser: Any) -> None:
    parser.add_argument(
        "--keep",
        metavar="RULES",
        help="which points stay: last=24,daily=14,zone=Europe/Berlin (default of a new one: last=24)",
    )
    parser.add_argument(
        "--prove",
        metavar="SCHEDULE",
        help='when the newest point is tried by itself: "weekly sunday 02:00 Europe/Berlin"; never: no more',
    )
    parser.add_argument("--rpo", metavar="TIME", help="how old the newest usable point may become: 15m, 1h")
    parser.add_argument(
        "--audit",
        metavar="SCHEDULE",
        help='when the next sync reads everything and compares it: "every 7d", "weekly sunday 03:00 Europe/Berlin" '
        "(default of a new one: only when you ask for it)",
    )


def _with_seed(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--seed-from",
        metavar="POINT",
        help="a backup of the machine, by which its volumes are written first: the first sync then copies what "
        "differs, which spares a slow line to the source where that can tell what has changed since",
    )
    parser.add_argument("--vault", help="where that backup is")


def _wanted(args: Namespace) -> NewReplica:
    """Return the replica that is wanted. Raises InvalidInput."""
    from longshore.api.replicas import NewReplica, NewSeed

    if (args.seed_from is None) != (args.vault is None):
        raise InvalidInput("A point is in a vault: --seed-from POINT and --vault VAULT go together.")
    return NewReplica(
        machine=args.machine,
        source=args.source,
        target=args.target,
        schedule=_schedule(args) or "every 15m",
        retention=rules_of(args) or "last 24",
        rpo=args.rpo,
        prove=args.prove,
        audit=args.audit,
        seed=NewSeed(vault=args.vault, point=args.seed_from) if args.seed_from is not None else None,
        request=asked_of(args),
    )


def _schedule(args: Namespace) -> str | None:
    return f"every {args.every}" if args.every else args.schedule


def shown(command: ShowOne, replica: Replica) -> dict[str, Any]:
    fields: dict[str, Any] = replica.model_dump(mode="json", exclude={"request", "syncs"})
    fields["syncs"] = replica.syncs
    if command.for_people:
        fields |= {
            name: duration(fields[name]) for name in ("rpo", "rpo_now", "next_takes") if fields[name] is not None
        }
        fields["figures"] = "\n".join(_span(one) for one in fields["figures"])
        fields["conditions"] = "\n".join(f"{one.code}: {one.text}" for one in replica.conditions)
        fields["tests"] = ", ".join(f"{name} {duration(took)}" for name, took in (replica.tests or {}).items())
        fields["seed"] = f"{replica.seed.point} in {replica.seed.vault}" if replica.seed else None
        fields["audits"] = "\n".join(_audit_line(audit) for audit in replica.audits[-5:])
        fields["syncs"] = "\n".join(sync_line(sync) for sync in replica.syncs[-5:])
        fields = {name: value for name, value in fields.items() if value not in (None, "", [], False)}
    return fields


def _audit_line(audit: dict[str, Any]) -> str:
    found = [f"{label}: {size(count)} hidden" for label, count in audit["hidden"].items()]
    found += [f"{label}: {count} range(s) repaired" for label, count in audit["repaired"].items()]
    return f"{audit['at'][:19]} point {audit['point']}, {duration(audit['seconds'])}: {', '.join(found) or 'good'}"


def _span(figures: dict[str, Any]) -> str:
    days, hours = divmod(figures["hours"], 24)
    window = f"{days} d" if not hours and days > 1 else f"{figures['hours']} h"
    worst = duration(figures["worst"]) if figures["worst"] is not None else "no point"
    share = f", kept {figures['kept']:.1%} of the time" if figures["kept"] is not None else ""
    return f"{window}: worst {worst}{share}"
