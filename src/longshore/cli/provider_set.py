"""longshore provider set: what has changed of a cloud since it was added."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.command import ShowOne
from longshore.cli.provider_options import (
    asked_for,
    given,
    login_entry,
    prompted,
    said,
    secret,
    with_those_of_all,
)
from longshore.cli.providers import shown
from longshore.errors import InvalidInput
from longshore.providers import registry
from longshore.providers.declared import OptionKind, ProviderType
from longshore.providers.registry import provider_type


class SetProvider(ShowOne):
    """Change what a provider is reached by: it logs in first, and what doesn't work isn't kept.

    What isn't named stays. Migrations that are under way go on with it at their next connection.
    """

    examples = ("longshore provider set vc --username migration@vsphere.local --password-file password.txt",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the provider's name")
        parser.add_argument(
            "--label", action="append", metavar="LABEL", help="in the place of all that it has (may be repeated)"
        )
        parser.add_argument("--no-label", action="store_true", help="every worker can reach it")
        with_those_of_all(parser, registry.PROVIDERS, changing=True)

    def show(self, args: Namespace) -> dict[str, Any]:
        known = provider_type(self.client.provider(args.name).kind)
        _refuse_anothers(known, args)
        settings: dict[str, Any] = {}
        secrets: dict[str, str] = {}
        if known.read_login is not None and (entry := login_entry(known, args)):
            settings, secrets = known.read_login(entry)
        changed, files = said(known, args, changing=True)
        settings |= changed
        secrets |= files
        if args.label or args.no_label:
            settings["labels"] = args.label
        for option in asked_for(known, OptionKind.SECRET):
            if given(option, args):
                secrets[option.name] = secret(option, args, prompted(option, args.name, new=True))
        return shown(self.client.change_provider(args.name, settings, secrets))


def _refuse_anothers(known: ProviderType, args: Namespace) -> None:
    """Raise InvalidInput for options that only other kinds have."""
    own = {option.flags for option in known.options}
    for option in (option for other in registry.PROVIDERS for option in other.options):
        if option.flags not in own and (flag := given(option, args)):
            raise InvalidInput(f"Provider {args.name} is {known.kind}: it has no {flag}.")
