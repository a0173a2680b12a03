"""longshore machine …: what there is to be moved."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import Any

from longshore.cli.command import Lister, ShowOne
from longshore.cli.words import size


class ListMachines(Lister):
    """List the machines of a provider."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("provider", help="the provider's name")
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        readable = self.formatter.__class__.__name__ == "TableFormatter"
        rows = []
        for machine in sorted(self.client.machines(args.provider), key=lambda m: (m.folder, m.name)):
            total = sum(d.size for d in machine.disks)
            rows.append(
                (
                    machine.name,
                    machine.ref,
                    machine.power.value,
                    machine.cpus,
                    machine.memory_mib,
                    len(machine.disks),
                    size(total) if readable else total,
                    ", ".join(dict.fromkeys(n.network for n in machine.nics)),
                    machine.guest_name,
                    machine.folder,
                )
            )
        return ("Name", "Ref", "Power", "CPUs", "Memory MiB", "Disks", "Size", "Networks", "Guest", "Folder"), rows


class ShowMachine(ShowOne):
    """Show one machine with its disks and network adapters."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("machine", help="name, inventory path or reference")
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        machine = self.client.machine(args.provider, args.machine)
        fields = asdict(machine)
        if self.formatter.__class__.__name__ == "TableFormatter":
            fields["disks"] = "\n".join(
                f"{d.position}: {d.label}, {size(d.size)}, {d.controller}, {d.location}" for d in machine.disks
            )
            fields["nics"] = "\n".join(
                f"{n.label}, {n.mac}, {n.model}, {n.network}, {' '.join(n.addresses)}" for n in machine.nics
            )
            for name in ("tags", "snapshots"):
                fields[name] = ", ".join(fields[name])
            fields["extra"] = "\n".join(f"{name}: {value}" for name, value in machine.extra.items())
        return tuple(fields), tuple(fields.values())
