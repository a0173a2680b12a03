"""longshore machine …: what there is to be moved."""

import dataclasses
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Lister, ShowOne
from longshore.cli.counting import counting
from longshore.errors import InvalidInput
from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, Nic, PowerState
from longshore.model.selection import MachineFilter
from longshore.wording.figures import moment, size

if TYPE_CHECKING:
    from longshore.api.inventories import MachineConcern


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
        rows = [
            (
                *(machine.name, machine.ref, machine.power.value, machine.cpus, machine.memory_mib, len(machine.disks)),
                self.size_of(sum(disk.size for disk in machine.disks)),
                ", ".join(dict.fromkeys(nic.network for nic in machine.nics)),
                *(machine.guest_name, machine.folder),
            )
            for machine in sorted(machines, key=lambda m: (m.folder, m.name))
        ]
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
            machine, total = one.machine, self.size_of(sum(disk.size for disk in one.machine.disks))
            policies = ", ".join(f"{p.name} (paused)" if p.paused else p.name for p in one.policies)
            known = machine.name, machine.ref, machine.power.value, total
            rows.append((*known, moment(one.backed_up_at), policies, machine.folder))
        return ("Name", "Ref", "Power", "Size", "Backed up", "Policies", "Folder"), rows


class ShowMachine(ShowOne):
    """Show one machine with its disks and network adapters, and what of it stands against a move.

    What the target has to say comes with a plan's check, or with a migration.
    """

    examples = ("longshore machine show vc web01", "longshore machine show vc web01 -f json")

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("machine", help="name, inventory path or reference")

    def show(self, args: Namespace) -> dict[str, Any]:
        weighed = self.client.weighed_machine(args.provider, args.machine)
        machine, concerns = weighed.machine, weighed.concerns
        if not self.for_people:
            plain: dict[str, Any] = form(Machine).dump_python(machine, mode="json")
            plain["concerns"] = [one.model_dump(mode="json") for one in concerns]
            return plain
        self.parts = (
            ("Disks", ("Disk", "Size", "Storage", "Controller", "Location"), [_disk(disk) for disk in machine.disks]),
            ("Adapters", ("Adapter", "Network", "MAC", "Model", "Addresses"), [_adapter(nic) for nic in machine.nics]),
            ("Concerns", ("Severity", "What", "Code"), [_concern(one) for one in concerns]),
            ("Further details", ("Field", "Value"), list(_further(machine))),
        )
        return _facts(machine)


_IN_PARTS = ("disks", "nics", "file_doubts")


def _facts(machine: Machine) -> dict[str, Any]:
    """Return what matters about a machine, in people's words; empty where there is nothing to say."""
    return {
        "name": machine.name,
        "ref": machine.ref,
        "power": machine.power.value,
        "guest_name": machine.guest_name or machine.guest_id,
        "host_name": machine.host_name,
        "cpus": machine.cpus,
        "memory_mib": machine.memory_mib,
        "firmware": machine.firmware.value + (", secure boot" if machine.secure_boot else ""),
        "tools": machine.tools.value,
        "change_tracking": "on" if machine.change_tracking else "off",
        "snapshots": ", ".join(machine.snapshots),
        "folder": machine.folder,
        "cluster": machine.cluster,
        "host": machine.host,
        "tags": ", ".join(machine.tags),
        "annotation": machine.annotation,
        "as_of": machine.as_of and f"{moment(machine.as_of.moment)} ({machine.as_of.consistency})",
    }


def _disk(disk: Disk) -> tuple[Any, ...]:
    return disk.label, size(disk.size), disk.storage, disk.controller, disk.location


def _adapter(nic: Nic) -> tuple[Any, ...]:
    return nic.label, nic.network, nic.mac, nic.model, ", ".join(nic.addresses)


def _concern(one: "MachineConcern") -> tuple[str, str, str]:
    how = f"{one.severity.value} (warm)" if one.only_warm else one.severity.value
    return how, f"{one.text} {one.advice}".strip(), one.code


def _further(machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield the other fields that aren't as those of most machines are."""
    free = [f"{one.path}: {size(one.free)} of {size(one.size)} free" for one in machine.filesystems]
    plain = form(Machine).dump_python(machine, mode="json") | {"filesystems": free}
    usual = {one.name: one.default for one in dataclasses.fields(Machine)}
    shown = {*_facts(machine), "guest_id", "secure_boot", *_IN_PARTS}
    for name, value in plain.items():
        if name not in shown and value != usual[name] and (said := _in_lines(value) if value else ""):
            yield name, said


def _in_lines(value: Any) -> str:
    """Return a value in people's words, with a line for each part that there is something to say of."""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_in_words(part)}" for name, part in value.items() if part)
    return "\n".join(value) if isinstance(value, list) else _in_words(value)


def _in_words(part: Any) -> str:
    return ", ".join(map(str, part)) if isinstance(part, list) else "yes" if part is True else str(part)
