"""Declarations of kinds of clouds: their settings as one gives them, what a server's callers may give, how they are
opened.

Plain data, for others to make commands and checks from. Each kind's is `declaration.py` in its folder, which imports
nothing but this and the model: a command line that is only looked at loads all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from longshore.model.platform import Platform, Side

if TYPE_CHECKING:
    from longshore.providers.contract import KeptSecrets, Provider, RelayLedger, Relays
    from longshore.providers.grounds import Grounds


class OptionKind(StrEnum):
    """The kind of an option: what one gives, and what becomes of it."""

    TEXT = "text"
    NUMBER = "number"  # a whole one
    DECIMAL = "decimal"
    FLAG = "flag"
    REPEATED = "repeated"  # a list of texts
    PATH = "path"  # made absolute
    LINES = "lines"  # of files, which may be several: without comments and empty ones
    SECRET = "secret"  # noqa: S105 from a file, the environment, or asked for
    SECRET_FILE = "secret-file"  # noqa: S105 the whole text of a file
    CERTIFICATE = "certificate"  # SHA-256 of that at `host` and `port`; without, it is shown and asked about
    LOCATION = "location"  # a URL; of a path on this machine that of its file
    LOGIN = "login"  # an entry of clouds.yaml, which says where and as whom to log in


@dataclass(frozen=True, slots=True)
class Option:
    """A setting or a secret as one gives it."""

    name: str  # the setting's, or the secret's
    help: str = ""
    kind: OptionKind = OptionKind.TEXT
    to_change: str | None = None  # what helps whoever changes it; None: the same
    flag: str = ""  # empty: as its name is
    metavar: str | None = None  # FILE and DIR are completed by the shell
    choices: tuple[str, ...] | None = None
    default: Any = None
    required: bool = False
    group: str = ""  # the title that it stands below
    only_if_said: bool = False  # left out of the settings unless somebody says it; else it is sent with its default
    called: str = ""  # what a file holds, for whoever gave one that can't be read
    line: str = ""  # what each line of it is

    @property
    def flags(self) -> tuple[str, ...]:
        """The second one, of a secret, is for whoever changes it."""
        flag = self.flag or f"--{self.name.replace('_', '-')}"
        return (f"{flag}-file", f"{flag}-prompt") if self.kind is OptionKind.SECRET else (flag,)


LABELS = Option(
    "labels",
    "only workers that carry this label can reach it (may be given more than once)",
    OptionKind.REPEATED,
    flag="--label",
    metavar="LABEL",
)  # which every kind has


@dataclass(frozen=True, slots=True)
class ProviderType:
    """The declaration of one kind of cloud. Names are those of its settings."""

    kind: Platform  # with the traits of its machines
    sides: frozenset[Side]  # what machines can be taken from, and moved to
    about: str  # what adding one does, as the command's help: a line, and paragraphs after it
    examples: tuple[str, ...]  # of adding one, as they are typed
    heading: str  # above its options where others stand, too: "of a vCenter"
    options: tuple[Option, ...]  # but for labels
    safe: frozenset[str]  # which settings a server's callers may give, besides labels: nothing of its own machine
    # What callers have said, with what the operator provides for it. Raises InvalidInput, AccessDenied
    on_server: Callable[[dict[str, Any], Grounds], dict[str, Any]]
    where: Callable[[Mapping[str, Any]], Any]  # it is, of the settings: host, address
    settings: Callable[[], type[Any]]  # their shape
    # By settings of that shape, with what only some ask for
    open: Callable[[Any, Mapping[str, str], Side | None, Relays | None, KeptSecrets | None], Provider]
    sent_to: frozenset[str]  # where secrets are sent: whoever changes that has to say the secrets anew
    tells_which: frozenset[str]  # which cloud it is: what was made there is nowhere else
    several: bool = False  # one speaks of "them"
    address: str = ""  # the setting that is wrong where nothing answers, as "auth.auth_url"
    keystone: bool = False  # one logs in at a Keystone, to a project that has resources of its own
    # By the name of an entry, or None for the usual one: settings and secrets
    read_login: Callable[[str | None], tuple[dict[str, Any], dict[str, str]]] | None = None
    # Raises InvalidInput for settings and secrets that lack something, before anybody is asked for more
    refuse_incomplete: Callable[[Mapping[str, Any], Mapping[str, str]], None] | None = None
    refuse_missing_library: Callable[[Mapping[str, Any]], None] = lambda _settings: None
    # Whether volumes are reached through relays
    asks_relays: Callable[[Mapping[str, Any]], bool] = lambda _settings: False
    open_relays: Callable[[Any, Mapping[str, str], RelayLedger], Relays] | None = None
    # Whether disks are read as a whole each time
    reads_whole: Callable[[Mapping[str, Any]], bool] = lambda _settings: False
    attaches: bool = False  # relays aren't servers that are made, but disks attached to one that is there
    # Secrets that open nothing by these settings, and aren't kept with them
    unneeded: Callable[[Mapping[str, Any]], frozenset[str]] = lambda _settings: frozenset()
    # What is kept with the secrets of one that let us in, so that nobody has to work it out again
    derived: Callable[[Any], dict[str, str]] | None = None
    # Secrets that nobody is asked for, by the settings and secrets that there are: made when it is added
    made: Callable[[Mapping[str, Any], Mapping[str, str]], dict[str, str]] | None = None
    kept_by: str = ""  # the setting that names the provider whose key manager is asked for secrets; empty: none does
