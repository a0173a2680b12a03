"""Where a machine lands: flavor, networks, addresses and volume types, decided from what the target has.

Pure functions: `land` takes the machine, what was asked and what the target has, and answers a landing and everything
that stands against it. Nothing is made when a blocker is among the concerns.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.errors import InvalidInput
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Disk, Firmware, Machine, Nic
from longshore.model.request import MigrationRequest
from longshore.model.target import Flavor, Network, QuotaRoom

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What the target has, as far as it matters to one machine."""

    networks: tuple[Network, ...]
    volume_types: tuple[str, ...]
    flavors: tuple[Flavor, ...]
    room: QuotaRoom
    macs_in_use: frozenset[tuple[str, str]] = frozenset()  # (network id, MAC)
    addresses_in_use: frozenset[tuple[str, str]] = frozenset()  # (network id, address)


@dataclass(frozen=True, slots=True)
class NicLanding:
    nic_key: str
    network_id: str
    mac: str | None  # None: the target chooses
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiskLanding:
    disk_key: str
    volume_type: str | None  # None: the target's default


@dataclass(frozen=True, slots=True)
class Landing:
    flavor_id: str
    flavor_name: str
    nics: tuple[NicLanding, ...]
    disks: tuple[DiskLanding, ...]


def find_network(networks: tuple[Network, ...], name_or_id: str) -> list[Network]:
    by_id = [n for n in networks if n.id == name_or_id]
    return by_id or [n for n in networks if n.name == name_or_id]


def land(machine: Machine, request: MigrationRequest, facts: TargetFacts) -> tuple[Landing | None, list[Concern]]:
    """A landing, unless a blocker prevents one, and all concerns: not the first, all of them."""
    concerns: list[Concern] = [*_machine_concerns(machine)]
    nics = [_land_nic(nic, request, facts, concerns) for nic in machine.nics]
    disks = [_land_disk(disk, request, facts, concerns) for disk in machine.disks]
    flavor = _choose_flavor(machine, request, facts, concerns)
    concerns.extend(_quota_concerns(machine, flavor, facts.room))
    concerns = list(dict.fromkeys(concerns))  # two disks on one datastore needn't say the same twice
    if flavor is None or any(c.severity is Severity.BLOCKER for c in concerns):
        return None, concerns
    return Landing(flavor.id, flavor.name, tuple(n for n in nics if n), tuple(d for d in disks if d)), concerns


def blocked(concerns: list[Concern]) -> InvalidInput:
    """All blockers in one error, each a sentence."""
    blockers = [c for c in concerns if c.severity is Severity.BLOCKER]
    code = blockers[0].code if len({c.code for c in blockers}) == 1 else "preflight-failed"
    return InvalidInput(" ".join(str(c) for c in blockers), code=code)


def _block(code: str, subject: str, text: str, advice: str = "") -> Concern:
    return Concern(code, Severity.BLOCKER, subject, text, advice)


def _warn(code: str, subject: str, text: str, advice: str = "") -> Concern:
    return Concern(code, Severity.WARNING, subject, text, advice)


def _machine_concerns(machine: Machine) -> Iterator[Concern]:
    name = machine.name
    if machine.template:
        yield _block("machine-is-template", name, f"{name} is a template.", "Deploy a machine from it and move that.")
    if machine.firmware is Firmware.UEFI:
        yield _block(
            "firmware-uefi", name, f"{name} boots by UEFI, which can't be carried over yet.", "Only BIOS machines can."
        )
    if not machine.disks:
        yield _block("machine-without-disks", name, f"{name} has no disk.")
    for disk in machine.disks:
        if disk.size <= 0:
            yield _block("disk-of-zero-size", disk.label, f"{disk.label} of {name} has no size.")
        if disk.raw_device:
            yield _block(
                "disk-raw-device",
                disk.label,
                f"{disk.label} of {name} is a raw device mapping.",
                "Copy it in the guest.",
            )
        if disk.mode.startswith("independent"):
            yield _block(
                "disk-independent",
                disk.label,
                f"{disk.label} of {name} is {disk.mode.replace('_', ' ')}: snapshots leave it out.",
                "Change its mode to dependent.",
            )
        if disk.shared:
            yield _block(
                "disk-shared", disk.label, f"{disk.label} of {name} is shared with other machines.", "Detach it first."
            )
    if machine.snapshots:
        yield Concern(
            "machine-has-snapshots",
            Severity.INFORMATION,
            name,
            f"{name} has {len(machine.snapshots)} snapshot(s): its present state is moved, they are not.",
        )


def _land_nic(nic: Nic, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]) -> NicLanding | None:
    wanted = request.networks.get(nic.network)
    if wanted is None:
        concerns.append(
            _block(
                "network-unmapped",
                nic.network,
                f'Network "{nic.network}" ({nic.label}) has no target.',
                f'Say which one: --network "{nic.network}=TARGET". The target has: {_names(facts.networks)}.',
            )
        )
        return None
    found = find_network(facts.networks, wanted)
    if len(found) != 1:
        text = f'The target has no network "{wanted}".' if not found else f'Several networks are called "{wanted}".'
        advice = f"It has: {_names(facts.networks)}." if not found else "Give its id instead."
        concerns.append(_block("network-not-found", wanted, text, advice))
        return None
    network = found[0]
    if not network.owned:
        concerns.append(
            _warn(
                "network-not-owned",
                network.name,
                f'Network "{network.name}" belongs to another project: a plain member may choose neither MAC nor '
                f"address there, so {nic.label} gets new ones.",
                "Map it to a network that belongs to the project, if it has to keep them.",
            )
        )
        return NicLanding(nic.key, network.id, None, ())
    if (network.id, nic.mac) in facts.macs_in_use:
        concerns.append(
            _block(
                "mac-in-use",
                nic.mac,
                f'MAC {nic.mac} of {nic.label} is in use on network "{network.name}" already.',
                "Remove the port that has it, if it is left from an earlier try.",
            )
        )
    return NicLanding(nic.key, network.id, nic.mac, tuple(_addresses(nic, network, facts, concerns)))


def _addresses(nic: Nic, network: Network, facts: TargetFacts, concerns: list[Concern]) -> Iterator[str]:
    for text in nic.addresses:
        address = ipaddress.ip_address(text)
        if address.is_link_local:
            continue
        if not any(address in ipaddress.ip_network(s.cidr) for s in network.subnets):
            concerns.append(
                _warn(
                    "address-outside-subnet",
                    text,
                    f'{text} of {nic.label} is in no subnet of "{network.name}": the target gives another address.',
                )
            )
        elif (network.id, text) in facts.addresses_in_use:
            concerns.append(
                _block(
                    "address-in-use",
                    text,
                    f'{text} of {nic.label} is taken on network "{network.name}".',
                    "Free it, or map the network to another one.",
                )
            )
        else:
            yield text


def _land_disk(
    disk: Disk, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]
) -> DiskLanding | None:
    wanted = request.storage.get(disk.storage)
    if wanted is not None and wanted not in facts.volume_types:
        concerns.append(
            _block(
                "volume-type-missing",
                wanted,
                f'The target has no volume type "{wanted}".',
                f"It has: {', '.join(sorted(facts.volume_types))}.",
            )
        )
        return None
    return DiskLanding(disk.key, wanted)


def _choose_flavor(
    machine: Machine, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]
) -> Flavor | None:
    need = f"{machine.cpus} CPU(s) and {machine.memory_mib} MiB"
    if request.flavor is not None:
        found = [f for f in facts.flavors if request.flavor in (f.id, f.name)]
        if not found:
            names = ", ".join(sorted(f.name for f in facts.flavors))
            concerns.append(
                _block(
                    "flavor-not-found",
                    request.flavor,
                    f'The target has no flavor "{request.flavor}".',
                    f"It has: {names}.",
                )
            )
            return None
        if found[0].memory_mib < machine.memory_mib or found[0].cpus < machine.cpus:
            concerns.append(
                _warn(
                    "flavor-smaller",
                    found[0].name,
                    f"Flavor {found[0].name} is smaller than {machine.name}, which has {need}.",
                )
            )
        return found[0]
    fitting = [f for f in facts.flavors if f.cpus >= machine.cpus and f.memory_mib >= machine.memory_mib]
    if not fitting:
        concerns.append(
            _block(
                "no-flavor-large-enough",
                machine.name,
                f"No flavor of the target has {need}, as {machine.name} has.",
                "Ask for a larger flavor, or name a smaller one with --flavor.",
            )
        )
        return None
    return min(fitting, key=lambda f: (f.memory_mib, f.cpus, f.disk_gib, f.name))


def _quota_concerns(machine: Machine, flavor: Flavor | None, room: QuotaRoom) -> Iterator[Concern]:
    gigabytes = sum(-(-disk.size // GIB) for disk in machine.disks)
    disks = len(machine.disks)
    needs: list[tuple[str, str, int, int | None]] = [
        ("instances", "server(s)", 1, room.instances),
        ("cores", "CPU(s)", flavor.cpus if flavor else 0, room.cores),
        ("memory", "MiB of memory", flavor.memory_mib if flavor else 0, room.memory_mib),
        ("volumes", "volume(s)", disks, room.volumes),
        # each volume's rollback point counts as much again while it is there
        ("gigabytes", "GiB of volumes and their snapshots", 2 * gigabytes, room.gigabytes),
        ("snapshots", "volume snapshot(s)", disks, room.snapshots),
        ("ports", "port(s)", len(machine.nics), room.ports),
    ]
    for what, unit, need, left in needs:
        if left is not None and need > left:
            yield _block(
                f"quota-{what}",
                what,
                f"The target project's quota has room for {max(left, 0)} {unit}, {machine.name} needs {need}.",
                "Ask for a larger quota, or free some.",
            )


def _names(networks: tuple[Network, ...]) -> str:
    return ", ".join(sorted(n.name for n in networks)) or "none"
