"""longshore machine inspect: what a machine's disks tell of how it would land."""

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.command import ShowOne
from longshore.cli.migrations import watched
from longshore.wording.guest import concern_lines, guest_rows


class InspectMachine(ShowOne):
    """Look into a machine's disks where it is: systems, drivers, room, and what stands against either way to land.

    A snapshot of the machine comes and goes; the machine itself goes on as it was. It takes a minute or two. Files that
    have a manifest are read whole, which takes longer.
    """

    examples = ("longshore machine inspect vc web01",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("machine", help="name, inventory path or reference")
        parser.add_argument("--plain", action="store_true", help="lines instead of bars")

    def show(self, args: Namespace) -> dict[str, Any]:
        begun = self.client.inspect(args.provider, args.machine)
        done = watched(self, begun, plain=args.plain)
        result = done.result or {}
        fields: dict[str, Any] = {"machine": done.machine_name, "ref": done.machine_ref, "inspection": done.id}
        if not self.for_people:
            fields |= {"guest": result.get("guest"), "concerns": result.get("concerns")}
        else:
            fields |= dict(guest_rows(result.get("guest")))
            for landing, concerns in result.get("concerns", {}).items():
                fields[f"landing {landing}"] = "\n".join(concern_lines(concerns)) or "nothing stands against it"
        return fields
