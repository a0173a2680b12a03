"""The client of the REST API."""

from longshore.client.installation import Installation
from longshore.client.migrations import Migrations
from longshore.client.plans import Plans
from longshore.client.providers import Providers
from longshore.client.replicas import Replicas
from longshore.client.vaults import Vaults


class Client(Providers, Plans, Migrations, Replicas, Vaults, Installation):
    """Every call raises LongshoreError with the service's own sentence and code when it is refused."""
