"""longshore plan …: plans made, looked at, edited, kept in files."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from longshore.border.documents import as_yaml
from longshore.cli.arguments import with_mapping
from longshore.cli.command import Command, Delete, Lister, ShowOne
from longshore.cli.concerns import concern_table
from longshore.cli.given_files import put_text, text_or_input
from longshore.errors import InvalidInput, LongshoreError
from longshore.model.machine import VOLUME
from longshore.model.strict_reading import Misread
from longshore.model.strict_yaml import plain, read_yaml
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.schemas import PlanSummary, PlanView


class CreatePlan(Lister):
    """Propose a plan for machines: mappings by name, VLAN and addresses, the smallest flavors that fit.

    Answers what it could not decide. Look at the plan with `plan export`, edit it, `plan apply` it.
    """

    examples = (
        'longshore plan create weekend web01 db01 --from vc --to cloud --network "VM Network=private"',
        'longshore plan create shop --from vc --to cloud --folder Shop --network "VM Network=private"',
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("plan", metavar="NAME", help="what to call the plan")
        parser.add_argument("machine", nargs="*", help="name, inventory path or reference of a machine")
        parser.add_argument("--from", dest="source", required=True, metavar="PROVIDER", help="where they are")
        parser.add_argument("--to", dest="target", required=True, metavar="PROVIDER", help="where they go")
        parser.add_argument("--folder", metavar="PATH", help="all machines in this folder and below")
        parser.add_argument("--cluster", metavar="NAME", help="all machines in this cluster")
        parser.add_argument("--tag", metavar="TAG", help="all machines with this tag")
        parser.add_argument(
            "--name", dest="match", metavar="PATTERN", help="all machines called like this: web-*; filters narrow down"
        )
        parser.add_argument(
            "--from-workloads", metavar="FILE", help="all servers of OS-Migrate's workloads.yml, as it wants them to be"
        )
        parser.add_argument(
            "--volume",
            action="append",
            default=[],
            metavar="VOLUME",
            help="a volume without a server of an OpenStack source: id, name or pattern; may be repeated: 'db-*'",
        )
        parser.add_argument("--description", default="", metavar="TEXT", help="what it is for")
        parser.add_argument(
            "--create-flavors",
            action="store_true",
            help="make flavors for sizes that none is large enough for (the target's provider has to be an admin's)",
        )
        parser.add_argument(
            "--draft",
            action="store_true",
            help="propose only: it may be proposed again under its name, and goes after a month unless it is kept or "
            "started",
        )
        _with_settings(parser)
        # Machines may come after options: argparse by itself takes all positional words from one place
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        from longshore.api.schemas import NewPlan

        servers = []
        if args.from_workloads:
            from longshore.api.schemas import Workload
            from longshore.tenancy import read_workloads

            found = read_workloads(Path(args.from_workloads))
            servers = [Workload(params=dict(s.params), info=dict(s.info), how=dict(s.how)) for s in found]
        wanted = {name: getattr(args, name) for name in ("source", "target", "description", "folder", "cluster", "tag")}
        answer = self.client.create_plan(
            NewPlan.model_construct(
                **wanted,
                name=args.plan,
                match=args.match,
                machines=args.machine,
                networks=dict(args.network),
                storage=dict(args.storage),
                defaults=dict(args.option),
                workloads=servers,
                volumes=args.volume,
                create_flavors=args.create_flavors,
                draft=self._draft(args.plan) if args.draft else None,
            )
        )
        counts = [(len(answer.plan.get(f"{what}s", ())), what) for what in ("machine", "volume")]
        has = " and ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in counts if n)
        print(f"{'Draft' if args.draft else 'Plan'} {args.plan} is made, with {has}.", file=sys.stderr)
        self.say(f"Look at it: longshore plan export {args.plan}; then: longshore plan check {args.plan}")
        if answer.open:
            print("For you to decide or to know:", file=sys.stderr)
        return concern_table(self, args, answer.open)

    def _draft(self, name: str) -> str:
        """Return the word of the draft that is there, or a new one."""
        return next((plan.draft for plan in self.client.plans() if plan.name == name and plan.draft), str(uuid4()))


def with_plan(parser: ArgumentParser) -> None:
    parser.add_argument("plan", help="the plan's name")


def with_machines(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--machine",
        action="append",
        default=[],
        metavar="MACHINE",
        help="only this one, as the plan calls it; may be repeated",
    )


class KeepPlan(Command):
    """Make a draft a plan that stays. Starting it does that, too."""

    examples = ("longshore plan keep weekend",)
    options = (with_plan,)

    def take_action(self, args: Namespace) -> None:
        answer = self.client.keep_plan(args.plan)
        print(f"Plan {args.plan} is kept{'' if answer.changed else ' already'}.", file=sys.stderr)


class ListPlans(Lister):
    """List the plans."""

    examples = ("longshore plan list", "longshore plan list --provider vc")
    nothing = "There is none. Make one: longshore plan create --help."

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--provider", metavar="PROVIDER", help="only those from or to this provider")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _summaries(self, self.client.plans(provider=args.provider))


class FindPlan(Lister):
    """List the plans that a machine is in."""

    examples = ("longshore plan find --machine web01",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--machine", required=True, metavar="MACHINE", help="its name, inventory path or reference")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _summaries(self, self.client.plans(args.machine))


class ShowPlan(ShowOne):
    """Show a plan: what it says, and how far each machine is."""

    examples = ("longshore plan show weekend",)
    options = (with_plan,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return _fields(self, self.client.plan(args.plan))


class DeletePlan(Delete):
    """Forget plans. The records of their migrations stay, what was moved, and flavors that were made for them."""

    examples = ("longshore plan delete weekend",)
    kind = "plan"

    def delete(self, name: str, args: Namespace) -> None:
        view = self.client.plan(name)
        self.client.remove_plan(name)
        if view.flavors:
            self.say(f"Made for it and left at {view.plan.get('target')}: flavor {', '.join(view.flavors)}.")


class DiscoverMachines(Lister):
    """List the machines of a plan as the source has them now."""

    examples = ("longshore plan discover weekend",)
    options = (with_plan,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found: list[tuple[Any, ...]] = []
        for one in self.client.plan_machines(args.plan):
            m = one.machine
            if m is None:
                found.append((one.entry, None, one.wave, None, None, None, None, None, one.error))
                continue
            total = self.size_of(sum(d.size for d in m.disks))
            networks = ", ".join(dict.fromkeys(n.network for n in m.nics))
            found.append((one.entry, m.ref, one.wave, m.power.value, m.cpus, m.memory_mib, total, networks, None))
        return ("Machine", "Ref", "Wave", "Power", "CPUs", "Memory MiB", "Size", "Networks", "Error"), found


class SetPlan(ShowOne):
    """Change some of a plan. For more, export it, edit it and apply it."""

    examples = (
        "longshore plan set weekend --add web02 --wave db01=2",
        "longshore plan set weekend --option type=warm",
    )
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--description", metavar="TEXT", help="what it is for")
        parser.add_argument("--add", action="append", default=[], metavar="MACHINE", help="name, path or reference")
        parser.add_argument("--remove", action="append", default=[], metavar="MACHINE", help="as the plan calls it")
        with_mapping(parser, "--wave", "MACHINE=NUMBER", "put a machine into another wave")
        _with_settings(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        view = self.client.plan(args.plan)
        plan = view.plan
        if args.description is not None:
            plan["description"] = args.description
        _refuse_unknown(args.plan, args.remove, plan)
        for what in ("machines", "volumes"):
            plan[what] = [entry for entry in plan.get(what, ()) if not _names(entry) & set(args.remove)]
        plan["machines"] += [{"machine": name} for name in args.add]
        _refuse_unknown(args.plan, [name for name, _ in args.wave], plan)
        for name, number in args.wave:
            for entry in [*plan["machines"], *plan["volumes"]]:
                if name in _names(entry):
                    entry["wave"] = _number(number)
        for kind, said in (("networks", args.network), ("storage", args.storage)):
            if said:
                plan.setdefault("mappings", {}).setdefault(kind, {}).update(dict(said))
        if args.option:
            plan.setdefault("defaults", {}).update(dict(args.option))
        self.client.apply_plan(plan, view.version)
        return _fields(self, self.client.plan(args.plan))


class DuplicatePlan(Command):
    """Make a new plan that says the same as another, with nothing started yet."""

    examples = ("longshore plan duplicate weekend next-weekend",)
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NEW-NAME", help="what to call the new one")
        parser.add_argument("--description", metavar="TEXT", help="default: the same")

    def take_action(self, args: Namespace) -> None:
        from longshore.api.schemas import PlanCopy

        copy = PlanCopy.model_construct(name=args.name, description=args.description)
        answer = self.client.duplicate_plan(args.plan, copy)
        print(f"Plan {answer.plan['name']} is made.", file=sys.stderr)


class ExportPlan(Command):
    """Write a plan as YAML, to a file or to standard output."""

    examples = ("longshore plan export weekend weekend.yaml",)
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", help="default: standard output")

    def take_action(self, args: Namespace) -> None:
        from longshore.planning import planfile, written

        content = self.client.plan(args.plan).plan
        try:
            text = planfile.write(planfile.from_store(content))
        except InvalidInput as fault:
            text = written.write(content)  # to be mended
            self.say(f"This can't be applied as it is: {fault.message}")
        put_text(args.file, text)


class ApplyPlan(Command):
    """Keep the plans that files hold, each as a new one or in the place of the one of its name.

    All files are read first: when one has a fault, none is applied.
    """

    examples = ("longshore plan apply weekend.yaml",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", nargs="+", help="YAML, a plan in each; of a directory all *.yaml and *.yml; - is standard input"
        )

    def take_action(self, args: Namespace) -> None:
        from longshore.planning import planfile

        plans: dict[str, tuple[str, dict[str, Any]]] = {}
        for file in dict.fromkeys(name for word in args.file for name in _files(word)):
            called = "standard input" if file == "-" else file
            plan = planfile.read(text_or_input(file), called)
            if plan.name in plans:
                raise InvalidInput(
                    f"{plans[plan.name][0]} and {called} both hold a plan {plan.name}.",
                    advice="Give one of them another name, or leave it out. Nothing was applied.",
                )
            plans[plan.name] = called, planfile.plain(plan)
        for name, (called, content) in plans.items():
            try:
                answer = self.client.apply_plan(content)
            except LongshoreError as error:
                if len(plans) == 1:
                    raise
                raise LongshoreError(f"{called}: {error.message}", advice=error.advice, code=error.code) from None
            print(f"Plan {name} is {'applied' if answer.changed else 'as it was'}.", file=sys.stderr)


# Parts


def _with_settings(parser: ArgumentParser) -> None:
    with_mapping(
        parser,
        "--network",
        "SOURCE=TARGET",
        "source network (name, DATACENTER/NAME or reference) and target network (name or id)",
    )
    with_mapping(parser, "--storage", "DATASTORE=TYPE", "datastore and volume type")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="what is asked for all machines, as under defaults in the plan's file: type=warm, boot_timeout=300",
    )


def _option(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name.strip():
        raise ArgumentTypeError(f'"{text}" isn\'t NAME=VALUE')
    try:
        return name.strip(), plain(read_yaml(value))
    except Misread as error:
        raise ArgumentTypeError(f"{name.strip()}: {error}") from None


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f'A wave is a number, not "{text}".') from None


def _names(entry: dict[str, Any]) -> set[str]:
    """Return the names that an entry of a plan's file goes by; a volume as tables call it."""
    called = entry["machine"] if "machine" in entry else f"{VOLUME}{entry['volume']}"
    return {called, entry["ref"]} if "ref" in entry else {called}


def _refuse_unknown(plan: str, names: list[str], content: dict[str, Any]) -> None:
    known = {name for what in ("machines", "volumes") for entry in content.get(what, ()) for name in _names(entry)}
    for name in names:
        if name not in known:
            raise InvalidInput(f"Plan {plan} has no machine {name}.", advice=f"See: longshore plan show {plan}.")


def _files(word: str) -> list[str]:
    """Return the file itself, or those of a directory that may be plans. Raises InvalidInput when that has none."""
    if word == "-" or not Path(word).is_dir():
        return [word]
    found = sorted(str(path) for path in Path(word).iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
    if not found:
        raise InvalidInput(f"There are no plans in {word}.", advice="Their files are called *.yaml or *.yml.")
    return found


def _summaries(command: Lister, plans: Sequence[PlanSummary]) -> tuple[Any, Any]:
    found = [
        (p.name, p.source, p.target, p.machines, p.volumes, p.waves, _state(p), moment(p.changed_at), p.description)
        for p in plans
    ]
    return ("Name", "From", "To", "Machines", "Volumes", "Waves", "State", "Changed", "Description"), found


def _state(plan: PlanSummary) -> str:
    if plan.unreadable:
        return f"can't be read: {plan.unreadable}"
    return "draft" if plan.draft else ", ".join(f"{count} {status}" for status, count in plan.states.items())


def _fields(command: ShowOne, view: PlanView) -> dict[str, Any]:
    plan = view.plan
    fields: dict[str, Any] = {
        "name": plan.get("name"),
        "description": plan.get("description", ""),
        **({"cant_be_read": view.unreadable} if view.unreadable else {}),
        "from": plan.get("source"),
        "to": plan.get("target"),
        "mappings": plan.get("mappings", {}),
        "defaults": plan.get("defaults", {}),
        "limits": plan.get("limits", {}),
        "changed_at": moment(view.changed_at),
        "draft": view.draft is not None,
        "made_flavors": view.flavors,
        "machines": [state.model_dump() for state in view.machines],
    }
    if command.for_people:
        for name in ("mappings", "defaults", "limits"):
            fields[name] = as_yaml(fields[name]).strip() if fields[name] else ""
        fields["made_flavors"] = ", ".join(view.flavors)
        fields["machines"] = "\n".join(
            f"wave {s.wave}: {s.machine}{f' ({s.ref})' if s.ref else ''}: {s.status}"
            + (f", {s.type} {s.migration[:8]}" if s.migration else "")
            + (f". {s.stranded}" if s.stranded else "")
            for s in view.machines
        )
        fields = {name: value for name, value in fields.items() if value}
    return fields
