"""longshore replica group …: replicas that are tried, and fail over, together and in order."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Any, ClassVar

from longshore.cli.arguments import time_of, with_mapping
from longshore.cli.command import Create, Delete, Lister, ShowOne
from longshore.cli.migrations import follow, with_wait
from longshore.cli.providers import with_all_projects
from longshore.model.durations import duration
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.groups import Group, NewGate


def _with_group(parser: ArgumentParser) -> None:
    parser.add_argument("group", help="its name")


def _with_landing(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--at",
        type=time_of,
        metavar="TIME",
        help="of each machine the newest point that isn't later: 2026-11-21T22:00 (UTC unless it says so; default: the "
        "newest)",
    )
    with_mapping(
        parser,
        "--network",
        "SOURCE=TARGET",
        "another target network than the replicas' mappings have (may be repeated)",
    )


class CreateGroup(Create):
    """Put replicas into a group: they are tried, and fail over, together, one tier after another.

    A tier begins when all machines of the one before were seen up, and its gate is passed: a pause, a command of
    yours, or both.
    """

    examples = ("longshore replica group create shop --member db01 --member app01=2 --member web01=3",)
    options = (_with_group,)

    def add_options(self, parser: ArgumentParser) -> None:
        _with_members(parser, required=True)
        _with_gates(parser, commands=not self.is_plugin)

    def existing(self, args: Namespace) -> dict[str, Any]:
        return _shown(self, self.client.group(args.group))

    def make(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.groups import NewGroup

        members = {name: tier if tier is not None else 1 for name, tier in args.member}
        wanted = NewGroup(name=args.group, members=members, gates=_gates(args))
        return _shown(self, self.client.create_group(wanted))


class ListGroups(Lister):
    """List groups of replicas."""

    examples = ("longshore replica group list",)
    options = (with_all_projects,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = [
            (
                group.id,
                group.name,
                len({member.tier for member in group.members}),
                ", ".join(member.machine_name for member in group.members),
                f"{group.run.type} {group.run.status.value}" if group.run else None,
            )
            for group in self.client.groups(all_projects=args.all_projects)
        ]
        return ("ID", "Name", "Tiers", "Machines", "Last run"), rows


class ShowGroup(ShowOne):
    """Show a group: its machines in their order, its gates, and where its last run stands."""

    examples = ("longshore replica group show shop",)
    options = (_with_group,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _shown(self, self.client.group(args.group))


class SetGroup(ShowOne):
    """Put replicas into a group or into another tier of it, take them out, or change its gates."""

    examples = ("longshore replica group set shop --member web02=3 --remove app02",)
    options = (_with_group,)

    def add_options(self, parser: ArgumentParser) -> None:
        _with_members(parser, required=False)
        parser.add_argument(
            "--remove", action="append", default=[], metavar="REPLICA", help="take it out (may be repeated)"
        )
        _with_gates(parser, commands=not self.is_plugin)
        parser.add_argument(
            "--no-gate",
            action="append",
            default=[],
            type=int,
            metavar="TIER",
            help="nothing but its machines being up is waited for after this tier (may be repeated)",
        )

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.groups import GroupChange

        members = {name: tier if tier is not None else 1 for name, tier in args.member}
        change = GroupChange(
            members={**members, **dict.fromkeys(args.remove)},
            gates={**_gates(args), **dict.fromkeys(args.no_gate)},
        )
        return _shown(self, self.client.change_group(args.group, change))


class DeleteGroup(Delete):
    """Delete groups. Their replicas stay."""

    examples = ("longshore replica group delete shop",)
    kind = "group"

    def delete(self, name: str, args: Namespace) -> None:
        self.client.delete_group(name)


class TestGroup(ShowOne):
    """Make machines of points of all replicas of a group, in order, and remove them again. Syncs go on meanwhile.

    By default each is on networks of its own that lead nowhere; with --network they are together on those that are
    named, with other MACs and addresses.
    """

    examples = ('longshore replica group test shop --network "VM Network=rehearsal" --wait',)
    options = (_with_group, _with_landing)

    __test__ = False  # pytest's collectors take it for one of theirs

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--clean-up-after", metavar="TIME", help="let all stay for so long once all are up: 30m, 2h"
        )
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.groups import GroupTest

        networks = dict(args.network)
        wanted = GroupTest(at=args.at, networks=networks, isolated=not networks, clean_up_after=args.clean_up_after)
        return follow(self, self.client.run_group(args.group, "test", wanted), args)


class FailGroupOver(ShowOne):
    """Let machines made of points take the place of all machines of a group, one tier after another.

    Where a machine isn't seen up, or a gate isn't passed, it stops: what is up stays, and can be undone. Called again,
    it goes on with those that haven't failed over.
    """

    examples = ("longshore replica group failover shop --at 2026-12-01T02:00",)
    options = (_with_group, _with_landing)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--planned",
            action="store_true",
            help="shut the machines down, the last tier's first, and copy their last changes",
        )
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.groups import GroupFailover

        wanted = GroupFailover(at=args.at, networks=dict(args.network), planned=args.planned)
        return follow(self, self.client.run_group(args.group, "failover", wanted), args)


class _TellGroup(ShowOne):
    options = (_with_group,)
    verb: ClassVar[str]

    def show(self, args: Namespace) -> dict[str, Any]:
        return _shown(self, self.client.tell_group(args.group, self.verb))


class UndoGroup(_TellGroup):
    """Stop a group's test or failover, or take back what its failover has made. Machines shut down for it run again.

    What its servers have written is lost.
    """

    examples = ("longshore replica group undo shop",)
    verb = "undo"


class CommitGroup(_TellGroup):
    """Take all servers of a group's failover for good. It can't be undone any more."""

    examples = ("longshore replica group commit shop",)
    verb = "commit"


def _with_members(parser: ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--member",
        action="append",
        default=[],
        required=required,
        type=_member,
        metavar="REPLICA[=TIER]",
        help="a replica and the number of its tier, lower ones begin first (default: 1; may be repeated)",
    )


def _with_gates(parser: ArgumentParser, *, commands: bool) -> None:
    group = parser.add_argument_group("gates, each after a tier; the tier's machines being up is always waited for")
    group.add_argument(
        "--pause",
        action="append",
        default=[],
        type=_of_tier,
        metavar="TIER=TIME",
        help="how long the next tier waits: 1=2m (may be repeated)",
    )
    if commands:
        group.add_argument(
            "--command",
            dest="gate_command",
            action="append",
            default=[],
            type=_of_tier,
            metavar='TIER="COMMAND"',
            help="a program on this machine that has to succeed; it is told of the tier's machines in JSON on its "
            "standard input (may be repeated)",
        )


def _member(text: str) -> tuple[str, int | None]:
    name, _, tier = text.rpartition("=") if "=" in text else (text, "", "")
    if tier and not tier.isdecimal():
        raise ArgumentTypeError(f'"{text}" isn\'t REPLICA=TIER')
    return name, int(tier) if tier else None


def _of_tier(text: str) -> tuple[int, str]:
    tier, _, rest = text.partition("=")
    if not tier.strip().isdecimal() or not rest.strip():
        raise ArgumentTypeError(f'"{text}" has to be the number of a tier, =, and what is after that tier')
    return int(tier), rest.strip()


def _gates(args: Namespace) -> dict[int, NewGate]:
    from longshore.api.groups import NewGate

    pauses = dict(args.pause)
    commands = {tier: shlex.split(command) for tier, command in getattr(args, "gate_command", ())}
    return {
        tier: NewGate(pause=pauses.get(tier), command=commands.get(tier, [])) for tier in sorted({*pauses, *commands})
    }


def _shown(command: ShowOne, group: Group) -> dict[str, Any]:
    fields: dict[str, Any] = group.model_dump(mode="json")
    if command.for_people:
        fields["members"] = "\n".join(
            f"{one.tier}: {one.machine_name}, {one.stage.value}"
            + (f", newest point {moment(one.newest)}" if one.newest else ", no point")
            + (f", RPO {duration(one.rpo_now)}" if one.rpo_now is not None else "")
            + (f" of {duration(one.rpo)}" if one.rpo_now is not None and one.rpo else "")
            + "".join(f"; {said.code}" for said in one.conditions)
            + (f"; {one.phase}" if one.phase else "")
            + (f"; {one.error}" if one.error else "")
            for one in group.members
        )
        fields["gates"] = "\n".join(
            f"after {tier}: "
            + ", ".join(
                [*([duration(gate.pause)] if gate.pause else []), *([shlex.join(gate.command)] if gate.command else [])]
            )
            for tier, gate in sorted(group.gates.items())
        )
        run = group.run
        fields["run"] = f"{run.type} {run.id}: {run.status.value}, {run.phase}" if run else None
        fields["tiers"] = "\n".join(
            f"{one.tier}: {one.state}" + (f", gate {one.gate}" if one.gate else "")
            for one in (run.tiers if run else ())
        )
        fields["error"] = run.error if run else None
    return fields
