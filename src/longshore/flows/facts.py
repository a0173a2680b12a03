"""What has to be known of a machine and a target before a migration is decided."""

from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.planning import TargetFacts, find_network
from longshore.providers.contract import Target


def gather(target: Target, machine: Machine, request: MigrationRequest) -> TargetFacts:
    """Asks the target once for each list, and for the machine's MACs and addresses on the networks it is mapped to."""
    networks = tuple(target.networks())
    macs: set[tuple[str, str]] = set()
    addresses: set[tuple[str, str]] = set()
    for nic in machine.nics:
        for network in find_network(networks, request.networks.get(nic.network, "")):
            if target.mac_in_use(network.id, nic.mac):
                macs.add((network.id, nic.mac))
            addresses.update((network.id, a) for a in nic.addresses if target.address_in_use(network.id, a))
    return TargetFacts(
        networks=networks,
        volume_types=tuple(target.volume_types()),
        flavors=tuple(target.flavors()),
        room=target.quota_room(),
        macs_in_use=frozenset(macs),
        addresses_in_use=frozenset(addresses),
    )
