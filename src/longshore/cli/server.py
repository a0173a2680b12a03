"""longshore server …: the service for many users, on the network."""

from __future__ import annotations

from argparse import Namespace

from longshore.cli.command import Command


class Server(Command):
    """Serve the REST API on the network, for users whom Keystone knows. It ends with Ctrl-C; migrations go on."""

    def take_action(self, _args: Namespace) -> None:
        from longshore.service.server import serve

        serve(self.app.configured())


class ServerPolicy(Command):
    """Print the rules that say who may do what, for a policy file."""

    def take_action(self, _args: Namespace) -> None:
        from longshore.service.policy import sample

        print(sample())
