"""The ports of a server whose place another one takes in the same cloud change hands: no MAC can be there twice.

They are freed while that server is off. In the ledger each is a `home-port`, whose removal is to give it back; what it
was is written down before it is touched, because Nova removes those that it has made itself.
"""

from dataclasses import dataclass, replace
from functools import partial

from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.target_side import Prepared, make_ports
from longshore.flows.undo import PORTS_AT_HOME
from longshore.model.forms import form
from longshore.model.machine import Machine
from longshore.model.target import Port, PortRequest, ServerPort
from longshore.planning import TargetFacts
from longshore.store import ThingKind


@dataclass(frozen=True, slots=True)
class Home:
    """The server whose place another one takes."""

    ref: str | None  # None: it is gone
    ports: dict[str, ServerPort]  # those that the new one gets, by what the ledger calls them


def note_ports(job: MoveContext, home: Machine, prepared: Prepared) -> Home:
    """Return the server and its ports, and write down in the record what they are before anything is done to them."""
    ports = _ports_of(home, prepared)
    kept = job.store.migrations.get(job.id).result or {}
    told = form(dict[str, ServerPort]).dump_python(ports, mode="json")
    job.store.migrations.update(job.id, result={**kept, PORTS_AT_HOME: told})
    return Home(home.ref, ports)


def take_ports(job: MoveContext, prepared: Prepared, home: Home) -> list[Port]:
    """Return the new server's ports: those of the one before, which has to be off, as far as that may
    give them away."""
    given: dict[str, str] = {}
    if home.ref is not None:
        job.phase("preparing", f"Freeing the ports that {prepared.machine.name} had.")
        with job.clouds.target(job.record.target_id) as target:
            for name, port in home.ports.items():
                freed = job.make_at_target(ThingKind.HOME_PORT, name, partial(target.free_port, port), home.ref)
                given[port.id] = freed.id
    nics = tuple(replace(nic, port_id=given.get(nic.nic_key)) for nic in prepared.landing.nics)
    return make_ports(job, replace(prepared, landing=replace(prepared.landing, nics=nics)), {})


def without_those_of(home: Machine, facts: TargetFacts) -> TargetFacts:
    """Return the facts without the server's own ports: they aren't in the way, since the new server gets them."""
    macs = {nic.mac for nic in home.nics}
    addresses = {address for nic in home.nics for address in nic.addresses}
    return replace(
        facts,
        macs_in_use=frozenset(one for one in facts.macs_in_use if one[1] not in macs),
        addresses_in_use=frozenset(one for one in facts.addresses_in_use if one[1] not in addresses),
    )


def _ports_of(home: Machine, prepared: Prepared) -> dict[str, ServerPort]:
    """Return the ports that can change hands, by what the ledger calls them.

    Those on another project's network can't: one that Nova removes couldn't be made again there as it was.
    """
    nics = {nic.key: nic for nic in home.nics}
    return {
        f"home-port-{nic.nic_key}": ServerPort(
            nic.nic_key,
            home.ref,
            PortRequest(
                name=f"{home.name}-{number}",
                network_id=nic.network_id,
                mac=nic.mac,
                fixed_addresses=nic.addresses,
                security_groups=nic.security_groups,
                allowed_addresses=nic.allowed_addresses,
            ),
            nics[nic.nic_key].floating_addresses,
        )
        for number, nic in enumerate(prepared.landing.nics)
        if nic.nic_key in nics and nic.mac is not None
    }
