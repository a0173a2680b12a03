"""longshore provider add KIND: a command for each kind of provider, made from what it declares."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

from longshore.cli.command import Create, ShowOne
from longshore.cli.provider_options import (
    asked_for,
    login_entry,
    prompted,
    said,
    secret,
    with_options,
    with_those_of_all,
)
from longshore.cli.providers import shown, shown_whole
from longshore.cli.terminal import can_ask
from longshore.errors import InvalidInput
from longshore.providers import registry
from longshore.providers.declared import OptionKind, ProviderType
from longshore.providers.registry import provider_type


class AddOfKind(Create):
    known: ClassVar[ProviderType]

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help=f"what to call {'them' if self.known.several else 'it'}")
        with_options(parser, self.known)

    def existing(self, args: Namespace) -> dict[str, Any]:
        return shown_whole(self.client.provider(args.name), for_people=self.for_people)

    def make(self, args: Namespace) -> dict[str, Any]:
        login, secrets = self._login(args)
        settings, files = said(self.known, args)
        settings = login | settings
        secrets |= files
        if self.known.refuse_incomplete is not None:
            self.known.refuse_incomplete(settings, secrets)
        for option in asked_for(self.known, OptionKind.CERTIFICATE):
            settings[option.name] = settings[option.name] or self._ask_fingerprint(settings["host"], settings["port"])
        for option in asked_for(self.known, OptionKind.SECRET):
            secrets[option.name] = secret(option, args, prompted(option, settings.get("username") or args.name))
        settings["labels"] = args.label
        return shown(self.client.add_provider(args.name, self.known.kind, settings, secrets))

    def _login(self, args: Namespace) -> tuple[dict[str, Any], dict[str, str]]:
        """Return where and as whom to log in, where an entry of clouds.yaml says so, with all that it says nothing
        of."""
        if self.known.read_login is None:
            return {}, {}
        named = login_entry(self.known, args)
        # The `openstack` command takes --os-cloud for itself, wherever it stands
        settings, secrets = self.known.read_login(named or (self.app.options.cloud if self.is_plugin else None))
        if self.client.remote and not named and "applicationcredential" not in settings["auth_type"]:
            # As whom the server is asked: it can act in that name by itself, and needs no password for it
            settings, secrets = {name: settings[name] for name in ("region", "interface")}, {}
        return asdict(self.known.settings()(**settings)), secrets

    def _ask_fingerprint(self, host: str, port: int) -> str:
        shown = self.client.fingerprint(host, port)
        print(f"The certificate of {host}:{port} has the SHA-256 fingerprint\n  {shown}", file=sys.stderr)
        if not can_ask():
            raise InvalidInput(
                "Its certificate has to be confirmed.",
                advice=f"Compare the fingerprint with the server's and run this again with --fingerprint {shown}.",
                code="fingerprint-unconfirmed",
            )
        if input("Is that the server's? [y/N] ").strip().lower() not in ("y", "yes"):
            raise InvalidInput("Not confirmed; nothing was added.")
        return shown


def adding(known: ProviderType) -> type[AddOfKind]:
    """Return the command that adds one of this kind."""
    named = {"__doc__": known.about, "known": known, "examples": known.examples}
    return type(f"Add{known.kind.title()}", (AddOfKind,), named)


class AddProvider(ShowOne):
    """Add a provider. Its kind comes first; the options of all kinds stand here, each below the kind that has it.

    What a kind can't do without is said when it is missing.
    """

    examples = tuple(example for known in registry.PROVIDERS for example in known.examples)
    # For `openstack`, whose commands are those that are written down when it is installed: the kind is a word apart
    _own: AddOfKind

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "kind", choices=[str(known.kind) for known in registry.PROVIDERS], help="which; it comes first"
        )
        parser.add_argument("name", help="what to call it")
        with_those_of_all(parser, registry.PROVIDERS)
        parser.parse_args = partial(self._parse, parser)  # type: ignore[method-assign, assignment]

    def show(self, args: Namespace) -> dict[str, Any]:
        self._own.formatter = self.formatter
        return self._own.show(args)

    def _parse(self, parser: ArgumentParser, words: Sequence[str]) -> Namespace:
        kinds = [known.kind for known in registry.PROVIDERS]
        if words and words[0] in kinds:
            self._own = adding(provider_type(words[0]))(self.app, self.app_args)
            return self._own.get_parser(f"{parser.prog} {words[0]}").parse_args(words[1:])
        if {"-h", "--help"} & set(words):
            parser.print_help()
            parser.exit()
        parser.error(f"the first word has to be the kind of provider: {', '.join(kinds)}")
