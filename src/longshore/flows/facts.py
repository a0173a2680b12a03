"""Gathering what has to be known of machines and a target before migrations are decided."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from longshore.errors import NotFound
from longshore.guests.windows_parts import windows_parts
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.model.target import Port, SourceRoom
from longshore.model.windows import WindowsParts
from longshore.planning import TargetFacts, VolumeFacts, find_network, has_tpm, wants_choices
from longshore.planning.new_addresses import addresses_to_ask, network_of
from longshore.providers.contract import Offers, Ports, Target


def gather(
    target: Target,
    machine: Machine,
    request: MigrationRequest,
    source: SourceRoom | None,
    *,
    converts_here: bool,
) -> TargetFacts:
    """Return the facts of a target that decide how one machine lands. See `gather_for_plan`."""
    return gather_for_plan(target, [(machine, request)], source, converts_here=converts_here)


def gather_for_plan(
    target: Target,
    machines: Sequence[tuple[Machine, MigrationRequest]],
    source: SourceRoom | None,
    *,
    converts_here: bool,
    known: TargetFacts | None = None,
) -> TargetFacts:
    """Return the facts of a target that decide how these machines land.

    `source` is the room that the source has; `converts_here` says that guests would be converted on this machine.
    `known`: what was gathered for others a moment ago, so that the target isn't asked for the same lists again.

    The target is asked once for each list, and once a network for the MACs and addresses that are mapped to it.
    """
    base = known or _lists(target, source)
    wanted: dict[str, tuple[set[str], set[str]]] = {}
    for machine, request in machines:
        for nic in machine.nics:
            for network in find_network(base.networks, network_of(machine, nic, request) or ""):
                macs, addresses = wanted.setdefault(network.id, (set(), set()))
                macs.add(nic.mac)
                addresses.update(addresses_to_ask(nic, request))
    taken = {network: target.taken(network, macs, addresses) for network, (macs, addresses) in wanted.items()}
    chosen = {network for network, found in taken.items() if found.may_choose}
    if chosen:
        base = replace(base, networks=tuple(replace(n, owned=n.owned or n.id in chosen) for n in base.networks))
    named = {port for _, request in machines for port in request.ports.values()}
    if not base.external_networks and any(nic.floating_addresses for machine, _ in machines for nic in machine.nics):
        with suppress(NotFound):  # a cloud without routers
            floating, external = tuple(target.floating_addresses()), tuple(target.external_networks())
            base = replace(base, floating=floating, external_networks=external)
    if base.choices is None and any(wants_choices(*pair) for pair in machines):
        base = replace(base, choices=target.choices())
    if base.emulates_tpm is None and any(has_tpm(machine) for machine, _ in machines):
        base = replace(base, emulates_tpm=target.emulates_tpm())
    if base.windows is None and converts_here:
        base = replace(base, windows=_windows([machine for machine, _ in machines]))
    return replace(
        base,
        macs_in_use=frozenset((network, mac) for network, found in taken.items() for mac in found.macs),
        addresses_in_use=frozenset((network, one) for network, found in taken.items() for one in found.addresses),
        ports=_ports(target, named),
    )


def _lists(target: Target, source: SourceRoom | None) -> TargetFacts:
    """Return those facts that don't depend on which machines come."""
    return TargetFacts(
        networks=tuple(target.networks()),
        volume_types=tuple(target.volume_types()),
        flavors=tuple(target.flavors()),
        room=target.quota_room(),
        present=tuple(target.present()),
        source=source,
    )


def _windows(machines: Sequence[Machine]) -> WindowsParts | None:
    """Return what this machine has for converting Windows. It is looked for only if a source says that a guest is
    Windows."""
    return windows_parts() if any(machine.guest_id.lower().startswith("win") for machine in machines) else None


def gather_for_volume(target: Offers, source: SourceRoom | None) -> VolumeFacts:
    """Return the facts of a target that decide how a volume lands that no machine has."""
    return VolumeFacts(
        volume_types=tuple(target.volume_types()),
        room=target.quota_room(),
        zones=target.choices().volume_zones,
        present=tuple(target.present_volumes()),
        source=source,
    )


def _ports(target: Ports, ids: set[str]) -> dict[str, Port]:
    found = {}
    for port_id in sorted(ids):
        with suppress(NotFound):
            found[port_id] = target.port(port_id)
    return found
