"""longshore machine …: what there is to be moved."""

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.command import Lister, ShowOne
from longshore.cli.counting import counting
from longshore.errors import InvalidInput
from longshore.model.forms import form
from longshore.model.machine import Machine, PowerState
from longshore.model.selection import MachineFilter
from longshore.wording.figures import moment, size


class ListMachines(Lister):
    """List the machines of a provider."""

    examples = ("longshore machine list vc", "longshore machine list vc --folder Shop --power on -f json")

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("--folder", metavar="PATH", help="only machines in this folder and below")
        parser.add_argument("--cluster", metavar="NAME", help="only machines of this cluster")
        parser.add_argument("--tag", metavar="TAG", help="only machines with this tag: NAME or CATEGORY/NAME")
        parser.add_argument("--power", choices=[state.value for state in PowerState], help="only machines that are so")
        parser.add_argument("--name", metavar="PATTERN", help="only machines that are called so: 'web-*'")
        parser.add_argument(
            "--search", metavar="WORDS", help="only machines that have all of it, instead: 'web folder:Prod power:on'"
        )

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        power = PowerState(args.power) if args.power else None
        wanted = MachineFilter(args.folder, args.cluster, args.tag, power, args.name)
        if args.search is not None and wanted:
            raise InvalidInput("A search goes without other filters.", advice="Say all of it in --search.")
        with counting(f"Reading the machines of {args.provider}") as told:
            if args.search is not None:
                machines = self.client.search(args.provider, args.search)
            else:
                machines = self.client.machines(args.provider, wanted, told)
        rows = []
        for machine in sorted(machines, key=lambda m: (m.folder, m.name)):
            total = sum(d.size for d in machine.disks)
            rows.append(
                (
                    machine.name,
                    machine.ref,
                    machine.power.value,
                    machine.cpus,
                    machine.memory_mib,
                    len(machine.disks),
                    size(total) if self.for_people else total,
                    ", ".join(dict.fromkeys(n.network for n in machine.nics)),
                    machine.guest_name,
                    machine.folder,
                )
            )
        return ("Name", "Ref", "Power", "CPUs", "Memory MiB", "Disks", "Size", "Networks", "Guest", "Folder"), rows


class ListUnprotected(Lister):
    """List the machines of a provider without protection: no replica, and no good backup by a policy that runs.

    One that was backed up by hand alone is among them, with when; one that a policy hasn't backed up yet, with that.
    """

    examples = (
        "longshore machine unprotected vc",
        'longshore machine unprotected vc --search "folder:Prod power:on" -f csv',
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("--search", metavar="WORDS", default="", help="only machines that have all of it")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = []
        for one in self.client.unprotected(args.provider, args.search):
            machine, total = one.machine, sum(disk.size for disk in one.machine.disks)
            policies = ", ".join(f"{p.name} (paused)" if p.paused else p.name for p in one.policies)
            shown = size(total) if self.for_people else total
            rows.append(
                (
                    machine.name,
                    machine.ref,
                    machine.power.value,
                    shown,
                    moment(one.backed_up_at),
                    policies,
                    machine.folder,
                )
            )
        return ("Name", "Ref", "Power", "Size", "Backed up", "Policies", "Folder"), rows


class ShowMachine(ShowOne):
    """Show one machine with its disks and network adapters."""

    examples = ("longshore machine show vc web01",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("machine", help="name, inventory path or reference")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        machine = self.client.machine(args.provider, args.machine)
        fields: dict[str, Any] = form(Machine).dump_python(machine, mode="json")
        if self.for_people:
            fields["disks"] = "\n".join(
                f"{d.position}: {d.label}, {size(d.size)}, {d.controller}, {d.location}" for d in machine.disks
            )
            fields["nics"] = "\n".join(
                f"{n.label}, {n.mac}, {n.model}, {n.network}, {' '.join(n.addresses)}" for n in machine.nics
            )
            for name in ("tags", "snapshots"):
                fields[name] = ", ".join(fields[name])
            fields["filesystems"] = "\n".join(
                f"{f.path}: {size(f.free)} of {size(f.size)} free" for f in machine.filesystems
            )
            for name in ("attributes", "server_settings", "server", "loose_volume", "devices", "host_features"):
                fields[name] = _lines(fields[name])
            fields["file_doubts"] = "\n".join(doubt.text for doubt in machine.file_doubts)
            fields["as_of"] = machine.as_of and f"{moment(machine.as_of.moment)} ({machine.as_of.consistency})"
        return tuple(fields), tuple(fields.values())


def _lines(values: dict[str, Any]) -> str:
    """Return one line for each that there is something to say of."""
    words = {key: ", ".join(value) if isinstance(value, list) else value for key, value in values.items() if value}
    return "\n".join(f"{key}: {'yes' if value is True else value}" for key, value in words.items())
