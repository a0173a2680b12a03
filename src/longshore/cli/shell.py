"""The commands' frame."""

import logging
from argparse import ArgumentParser
from contextlib import ExitStack
from functools import partial
from importlib.metadata import distribution
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cliff.app import App
from cliff.commandmanager import CommandManager
from cliff.help import HelpExit

from longshore.cli.commands import GROUP, all_commands
from longshore.cli.complete import Complete
from longshore.cli.help import USAGE, Help, of_group, overview, unknown
from longshore.cli.usage import refusal
from longshore.errors import LongshoreError

if TYPE_CHECKING:
    from longshore.client import Client
    from longshore.configuration import Configuration


class Commands(CommandManager):  # type: ignore[misc]
    """The commands of Longshore's own group."""

    def load_commands(self, namespace: str) -> None:
        self.group_list.append(namespace)
        self.commands.update(all_commands())

    def find_command(self, argv: list[str]) -> tuple[Any, str, list[str]]:
        """Find a command by its whole words: the beginning of one might be meant for another, which deletes.

        Raises ValueError where there is none.
        """
        found: tuple[Any, str, list[str]] = super().find_command(argv)
        if " ".join(argv[: len(argv) - len(found[2])]) not in self.commands:
            raise ValueError(f"Unknown command {argv!r}")
        return found


class LongshoreApp(App):  # type: ignore[misc]
    CONSOLE_MESSAGE_FORMAT = "longshore: %(message)s"

    def __init__(self) -> None:
        super().__init__(
            description="Moves virtual machines into OpenStack: verified, bootable, as fast as the wire.",
            version=distribution("longshore").version,
            command_manager=Commands(GROUP),
            deferred_help=True,
        )
        self.command_manager.add_command("help", Help)
        self.command_manager.add_command("complete", Complete)
        self._client: Client | None = None
        self._at_the_end = ExitStack()

    def build_option_parser(self, description: str, version: str, argparse_kwargs: Any = None) -> Any:
        parser: ArgumentParser = super().build_option_parser(description, version, argparse_kwargs)
        parser.prog = self.NAME
        parser.error = partial(self._refuse, parser)  # type: ignore[method-assign]
        parser.add_argument(
            "--state",
            metavar="DIR",
            help="where providers and migrations are kept (default: $LONGSHORE_STATE, else ~/.local/state/longshore)",
        )
        parser.add_argument(
            "--server",
            metavar="URL",
            help="ask this server, with the credentials of OS_CLOUD or the OS_* variables; catalog: the one that the "
            "cloud's catalogue names (default: $LONGSHORE_URL, else no server is needed)",
        )
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="settings, as TOML (default: /etc/longshore/longshore.toml, if it is there)",
        )
        return parser

    @property
    def client(self) -> "Client":
        """Return the client, opened at first use: commands that need no state make none, and needn't wait for the
        service's imports."""
        if self._client is None:
            from longshore.client import Client, Embedded, to_server

            configuration = self.configured()
            url = self.options.server or configuration.url
            self._client = Client(
                to_server(url) if url else Embedded(configuration),
            )
        return self._client

    def expect_work(self) -> None:
        """An engine gets ready while the command does, which will ask for something that takes one."""
        configuration = self.configured()
        if not (self.options.server or configuration.url):
            from longshore.engine.embedded import dismiss, start_ahead
            from longshore.processes.installed import refuse_without_engine
            from longshore.state import StateDirectory

            refuse_without_engine()
            state = StateDirectory.configured(configuration)
            start_ahead(state)
            self._at_the_end.callback(dismiss, state)

    def configured(self, **given: Any) -> "Configuration":
        """Return what a command's own options give, else the environment or the file. Raises InvalidInput."""
        from longshore.configuration import read_configuration

        if self.options.state:
            given["state"] = Path(self.options.state).absolute()
        configuration = read_configuration(Path(self.options.config) if self.options.config else None, **given)
        configuration.name_converter_parts()
        return configuration

    @staticmethod
    def _refuse(parser: ArgumentParser, message: str) -> NoReturn:
        parser.exit(2, refusal(parser, message, how=USAGE))

    def initialize_app(self, argv: list[str]) -> None:
        """Leave only the command's own words to `help`, which --help has become by now: that may stand behind a command
        and options that somebody isn't sure of."""
        if argv[:1] == ["help"]:
            argv[1:] = takewhile(lambda word: not word.startswith("-"), argv[1:])

    def print_help_if_requested(self) -> None:
        if self.options.deferred_help:
            self.stdout.write(overview(self))
            raise HelpExit(0)

    def run_subcommand(self, argv: list[str]) -> int:
        """Says what there is when it is only the beginning of a command, or none."""
        try:
            self.command_manager.find_command(argv)
        except ValueError:
            self.stderr.write(of_group(self, argv) or unknown(self, argv))
            return 2
        return int(super().run_subcommand(argv))

    def configure_logging(self) -> None:
        """Keep what libraries have to say for --debug: a user's terminal shows Longshore's own words."""
        super().configure_logging()
        if not self.options.debug:
            for handler in logging.root.handlers:
                if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                    handler.addFilter(_is_own)

    def clean_up(self, cmd: Any, result: int, err: BaseException | None) -> None:
        """cliff has said what went wrong in one line; when that wasn't foreseen, say so too."""
        self._at_the_end.close()
        if self._client is not None:
            self._client.close()
            self._client = None
        if isinstance(err, BrokenPipeError):
            return
        if isinstance(err, Exception) and not isinstance(err, LongshoreError) and not self.options.debug:
            self.LOG.error(
                f"That was a {type(err).__name__}, which Longshore didn't foresee: a bug. "
                "The same command with --debug shows where it happened."
            )


def _is_own(record: logging.LogRecord) -> bool:
    """Tell whether Longshore says it: its modules, or cliff's frame in its name."""
    return record.name.partition(".")[0] in (LongshoreApp.LOG.name, "longshore", "cliff")
