"""longshore web and longshore server: the commands that serve pages, for one person and for many."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from longshore.cli.command import Command
from longshore.errors import InvalidInput


class Web(Command):
    """Serve web pages on this machine's loopback, for you alone. It ends with Ctrl-C; migrations go on.

    It prints a link that opens them in a browser once, and another when that was used.
    """

    examples = ("longshore web --port 8765",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=0, metavar="PORT", help="default: any that is free")

    def take_action(self, args: Namespace) -> None:
        from longshore.web.alone import serve_alone

        configuration = self.app.configured()
        if self.app.options.server or configuration.url:
            raise InvalidInput(
                "The pages are of your own state directory; a server's aren't shown yet.",
                advice="Leave --server and LONGSHORE_URL out.",
            )
        first = True

        def told(address: str) -> None:
            nonlocal first
            begin = "Open in a browser, on this machine:" if first else "It is open. For another browser:"
            self.say(f"{begin}\n  {address}")
            first = False

        serve_alone(configuration, args.port, told)


class Server(Command):
    """Serve the REST API and its pages, for users whom Keystone knows. It ends with Ctrl-C; migrations go on."""

    examples = ("longshore server",)

    def take_action(self, _args: Namespace) -> None:
        from longshore.web.many import serve_many

        serve_many(self.app.configured())
