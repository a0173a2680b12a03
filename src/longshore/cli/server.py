"""longshore server …: the rules of the service for many users, and its place in the cloud's catalogue."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from longshore.cli.command import Command
from longshore.errors import InvalidInput


class ServerPolicy(Command):
    """Print the rules that say who may do what, for a policy file."""

    examples = ("longshore server policy > policy.yaml",)

    def take_action(self, _args: Namespace) -> None:
        from longshore.service.policy import sample

        print(sample())


class ServerRegister(Command):
    """Put the server into the cloud's catalogue, as its administrator. Once more changes only what is different."""

    examples = ("longshore server register --os-cloud admin --url https://longshore.example:9797",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--os-cloud", metavar="CLOUD", help="entry of clouds.yaml (default: $OS_CLOUD or OS_* variables)"
        )
        parser.add_argument("--url", help="where the server is reached (default: as its configuration says)")
        parser.add_argument("--internal-url", metavar="URL", help="by other services (default: the same)")
        parser.add_argument("--admin-url", metavar="URL", help="by administrators (default: the same)")
        parser.add_argument("--region", help="default: that of the entry of clouds.yaml")

    def take_action(self, args: Namespace) -> None:
        from longshore.client.wires import SERVICE_TYPE
        from longshore.providers.openstack.connection import connect, settings_from_cloud
        from longshore.providers.openstack.endpoints import register

        server = self.app.configured().server
        url = args.url or (server.url if server else None)
        if url is None:
            raise InvalidInput("The configuration has no server in it.", advice="Say where it is reached: --url.")
        settings, secrets = settings_from_cloud(args.os_cloud)
        region = args.region or settings.region
        if region is None:
            raise InvalidInput("The endpoints need a region.", advice="Name it: --region.")
        cloud = connect(settings, secrets)
        try:
            said = register(
                cloud,
                name="longshore",
                service_type=SERVICE_TYPE,
                description="Longshore moves virtual machines into OpenStack",
                urls={"public": url, "internal": args.internal_url or url, "admin": args.admin_url or url},
                region=region,
            )
        finally:
            cloud.close()
        for sentence in said or ["The catalogue says so already."]:
            self.say(sentence)
