"""The abilities that a cloud needs to be a source or a target of machines, in roles: a module for each, of one subject.

A source or a target of today is the union of the roles that moving machines asks for. Work that needs less asks for the
roles that it needs. Optional roles have bodies: what is written there is the answer of a cloud that has nothing of the
kind, so it leaves them out, and whoever asks needn't know. What planning has to know of a cloud's machines is asked of
their platform's traits (`longshore.model.platform`), never of its name.

What holds for every method:

* Providers are plain synchronous code: flows call them in threads, several at once. They know nothing of workflows,
  databases or each other; all they take and return is from `longshore.model`, and exports from `longshore.blocks`.
* Whoever calls may have been killed in an earlier call, or never have heard its answer, and then calls again. So
  whatever is made carries its owner, the step that made it: a second call with the same owner answers what is there
  already, waiting for what is still being made. What removes or switches returns when it is so, and has nothing to do
  when it is so already. Questions change nothing, and are answered anew each time.
* Every call may raise Unreachable (the cloud doesn't answer: it is asked again later), AccessDenied (the credentials,
  or their rights, don't suffice) and ProviderError (what else the cloud says; code FAULT: it may pass). Each method
  names what it raises beside these. All are `longshore.errors`, with a text that a user can act on and that holds no
  secret.
"""

from typing import Protocol

from longshore.providers.contract.disks import Disks
from longshore.providers.contract.machines import LooseVolumes, Machines, Registered, SourceQuota, Tags, WholeDisks
from longshore.providers.contract.networks import FloatingAddresses, IsolatedNetworks, Ports, PortsOfServers
from longshore.providers.contract.offers import Flavors, Offers
from longshore.providers.contract.power import Power
from longshore.providers.contract.provider import KeptSecrets, Provider
from longshore.providers.contract.relays import AttachedDisks, RelayHost, RelayLedger, Relays
from longshore.providers.contract.servers import AsBuilt, GuestAgent, Servers
from longshore.providers.contract.snapshots import ChangeTracking, Snapshots
from longshore.providers.contract.source_marks import MarkedMachines
from longshore.providers.contract.vault_access import VaultAccess
from longshore.providers.contract.way_back import WayBack

__all__ = [
    "AsBuilt",
    "AttachedDisks",
    "ChangeTracking",
    "Disks",
    "Flavors",
    "FloatingAddresses",
    "GuestAgent",
    "IsolatedNetworks",
    "KeptSecrets",
    "LooseVolumes",
    "Machines",
    "MarkedMachines",
    "Offers",
    "Ports",
    "PortsOfServers",
    "Power",
    "Provider",
    "Registered",
    "RelayHost",
    "RelayLedger",
    "Relays",
    "Servers",
    "Snapshots",
    "Source",
    "SourceQuota",
    "Tags",
    "Target",
    "VaultAccess",
    "WayBack",
    "WholeDisks",
]


class Source(
    Machines,
    Registered,
    Snapshots,
    Power,
    ChangeTracking,
    Tags,
    LooseVolumes,
    WholeDisks,
    SourceQuota,
    MarkedMachines,
    AttachedDisks,
    WayBack,
    Provider,
    Protocol,
):
    """A source of machines. Machines, Snapshots and Power are what every source has."""


class Target(
    Offers,
    Flavors,
    Disks,
    Ports,
    PortsOfServers,
    IsolatedNetworks,
    FloatingAddresses,
    Servers,
    AsBuilt,
    GuestAgent,
    RelayHost,
    Provider,
    Protocol,
):
    """A target of machines."""
