"""Talking to Longshore's REST API, over the network or, through `service.mount`, in this process.

For the commands, the pages and other people's programs: it knows the shapes of api, and nothing of how they come about.
"""

from longshore.client.installation import InstallationCalls
from longshore.client.migrations import MigrationCalls
from longshore.client.plans import PlanCalls
from longshore.client.providers import ProviderCalls
from longshore.client.replicas import ReplicaCalls
from longshore.client.vaults import VaultCalls
from longshore.client.wires import Embedded, Remote, to_server

__all__ = ["Client", "Embedded", "Remote", "to_server"]


class Client(ProviderCalls, PlanCalls, MigrationCalls, ReplicaCalls, VaultCalls, InstallationCalls):
    """Every call raises LongshoreError with the service's own sentence and code when it is refused."""
