"""longshore inventory …: what machines are in, on and attached to."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from longshore.cli.command import Lister
from longshore.model.inventory import Inventory
from longshore.wording.figures import size

_Row = tuple[str, str, str, str, str]
KINDS = ("datacenter", "cluster", "host", "folder", "pool", "datastore", "network")


class ListInventory(Lister):
    """List the clusters, hosts, folders, resource pools, datastores and networks of a provider."""

    examples = ("longshore inventory list vc", "longshore inventory list vc --kind network")

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("--kind", choices=KINDS, help="only these")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = _rows(self.client.inventory(args.provider))
        found = sorted((row for row in rows if args.kind in (None, row[0])), key=lambda row: (KINDS.index(row[0]), row))
        return ("Kind", "Name", "Ref", "In", "About"), found


def _rows(inventory: Inventory) -> Iterator[_Row]:
    for name in inventory.datacenters:
        yield "datacenter", name, "", "", ""
    for cluster in inventory.clusters:
        yield "cluster", cluster.name, cluster.ref, cluster.datacenter, ""
    for host in inventory.hosts:
        about = f"{host.cores} cores, {size(host.memory)}, ESXi {host.version}"
        state = "" if host.connected else ", disconnected"
        state += ", in maintenance" if host.maintenance else ""
        yield "host", host.name, host.ref, host.cluster or host.datacenter, about + state
    for folder in inventory.folders:
        yield "folder", folder.path, folder.ref, folder.datacenter, ""
    for pool in inventory.pools:
        yield "pool", pool.path, pool.ref, pool.cluster, ""
    for store in inventory.datastores:
        about = f"{store.kind}, {size(store.free)} of {size(store.capacity)} free"
        state = "" if store.accessible else ", not accessible"
        state += ", in maintenance" if store.maintenance else ""
        yield "datastore", store.name, store.ref, store.datacenter, about + state
    for network in inventory.networks:
        parts = [network.kind.value, f"VLAN {network.vlan}" if network.vlan else "", network.switch]
        yield "network", network.name, network.ref, network.datacenter, ", ".join(part for part in parts if part)
