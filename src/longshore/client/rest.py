"""The client of the REST API."""

from longshore.client.installation import InstallationCalls
from longshore.client.migrations import MigrationCalls
from longshore.client.plans import PlanCalls
from longshore.client.providers import ProviderCalls
from longshore.client.replicas import ReplicaCalls
from longshore.client.vaults import VaultCalls


class Client(ProviderCalls, PlanCalls, MigrationCalls, ReplicaCalls, VaultCalls, InstallationCalls):
    """Every call raises LongshoreError with the service's own sentence and code when it is refused."""
