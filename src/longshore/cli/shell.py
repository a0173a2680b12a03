"""The commands' frame: cliff finds them by their entry points (pyproject.toml, group longshore.cli)."""

import logging
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliff.app import App
from cliff.commandmanager import CommandManager

from longshore.errors import LongshoreError

if TYPE_CHECKING:
    from longshore.client import Client
    from longshore.configuration import Configuration


_LIBRARIES = ("alembic", "httpx", "httpcore", "urllib3", "keystoneauth", "openstack", "stevedore", "asyncio")


class LongshoreApp(App):  # type: ignore[misc]
    CONSOLE_MESSAGE_FORMAT = "longshore: %(message)s"

    def __init__(self) -> None:
        super().__init__(
            description="Moves virtual machines into OpenStack: verified, bootable, as fast as the wire.",
            version=version("longshore"),
            command_manager=CommandManager("longshore.cli"),
            deferred_help=True,
        )
        self._client: Client | None = None

    def build_option_parser(self, description: str, version: str, argparse_kwargs: Any = None) -> Any:
        parser = super().build_option_parser(description, version, argparse_kwargs)
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
        """Opened at first use: commands that need no state make none, and needn't wait for the service's imports."""
        if self._client is None:
            from longshore.client import Client, Embedded, to_server
            from longshore.store import StateDirectory

            configuration = self.configured()
            url = self.options.server or configuration.url
            self._client = Client(
                to_server(url) if url else Embedded(StateDirectory.configured(configuration)),
            )
        return self._client

    def configured(self, **given: Any) -> "Configuration":
        """What a command's own options give, else the environment or the file. Raises InvalidInput."""
        from longshore.configuration import read_configuration

        if self.options.state:
            given["state"] = Path(self.options.state).absolute()
        return read_configuration(Path(self.options.config) if self.options.config else None, **given)

    def configure_logging(self) -> None:
        """What libraries have to say is for --debug: a user's terminal shows Longshore's own words."""
        super().configure_logging()
        if not self.options.debug:
            for library in _LIBRARIES:
                logging.getLogger(library).setLevel(logging.WARNING)

    def clean_up(self, cmd: Any, result: int, err: BaseException | None) -> None:
        """cliff has said what went wrong in one line; when that wasn't foreseen, say so too."""
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
