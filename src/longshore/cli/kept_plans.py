"""longshore plan keep-in, longshore plan import: plans in a vault, for another installation."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.border.texts import some
from longshore.cli.command import Command, Lister
from longshore.cli.plans import with_plan
from longshore.wording.figures import moment

_NAMED = 10  # machines in a sentence


class KeepPlanIn(Command):
    """Keep a plan in a vault, from which another installation imports it. Once more keeps what has become of it.

    How far its machines are is kept with it. User data, scripts and keys of guests aren't: they may be secret.
    """

    examples = ("longshore plan keep-in weekend offsite",)
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("vault", help="the vault's name")

    def take_action(self, args: Namespace) -> None:
        kept = self.client.keep_plan_in(args.plan, args.vault)
        self.say(f"Plan {kept.name} is kept in {args.vault}.")
        if kept.left_out:
            self.say(f"Not kept, since it may be secret: {some(kept.left_out, _NAMED)}.")


class ListKeptPlans(Lister):
    """List the plans that are kept in a vault, as each was kept last."""

    examples = ("longshore plan import list offsite",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("vault", help="the vault's name")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        columns = ("Name", "ID", "Kept", "From", "To", "Machines", "Started", "Problem")
        rows = []
        for one in self.client.kept_plans(args.vault):
            started = ", ".join(f"{count} {status}" for status, count in sorted(one.states.items()))
            where = one.source, one.target, one.machines
            rows.append((one.name, one.id, moment(one.kept_at), *where, started, one.error))
        return columns, rows


class ImportPlan(Command):
    """Make a plan of one that is kept in a vault. Nothing is started, and machines that had moved are left out."""

    examples = (
        "longshore plan import create offsite weekend",
        "longshore plan import create offsite weekend --from vc2 --to cloud2 --name weekend-again",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("vault", help="the vault's name")
        parser.add_argument("plan", help="the plan's name or id, as the vault has it")
        parser.add_argument("--name", help="what to call it (default: as it was)")
        parser.add_argument("--from", dest="source", metavar="PROVIDER", help="its source (default: of the same name)")
        parser.add_argument("--to", dest="target", metavar="PROVIDER", help="its target (default: of the same name)")
        parser.add_argument("--with-moved", action="store_true", help="with the machines that had moved by then")

    def take_action(self, args: Namespace) -> None:
        from longshore.api.kept_plans import PlanImport

        said = {"name": args.name, "source": args.source, "target": args.target, "with_moved": args.with_moved}
        wanted = PlanImport.model_construct(**said)
        made = self.client.import_plan(args.vault, args.plan, wanted)
        name = made.plan["name"]
        self.say(f"Plan {name} is made, as it was kept at {moment(made.kept_at)}.")
        if made.moved:
            what = "Had moved, and are in it again" if args.with_moved else "Left out, since they had moved"
            self.say(f"{what}: {some(made.moved, _NAMED)}.")
        if made.under_way:
            self.say(
                f"Were under way when it was kept: {some(made.under_way, _NAMED)}. See to it that the installation "
                "that has kept it does nothing with them any more."
            )
        if made.left_out:
            self.say(f"To be said anew, since it may be secret and isn't kept: {some(made.left_out, _NAMED)}.")
        if made.playbooks:
            self.say(f"It runs playbooks of this machine; look at them: {', '.join(made.playbooks)}.")
        self.say(f"Look at it: longshore plan check {name}")
