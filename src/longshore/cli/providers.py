"""longshore provider …: the clouds that machines come from and go to."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Command, Delete, Lister, ShowOne
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.schemas import Provider, ProviderCheck


def with_all_projects(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--all-projects", action="store_true", help="those of all projects of a server, for administrators"
    )


def _with_project(parser: ArgumentParser) -> None:
    parser.add_argument("project", help="id of the project, or * for every project")


def _with_name(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="PROVIDER", help="the provider's name")


class ListProviders(Lister):
    """List the providers."""

    examples = ("longshore provider list", "longshore provider list --kind vault")
    nothing = "There is none. Add one: longshore provider add vsphere, openstack or files."
    options = (with_all_projects,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kind", metavar="KIND", help="only those of this kind: vsphere, openstack, files, vault")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = [
            (p.name, p.kind, "shared" if p.shared else _where(p), moment(p.created_at), *_checked(p))
            for p in self.client.providers(kind=args.kind, all_projects=args.all_projects)
        ]
        return ("Name", "Kind", "Where", "Added", "Checked", "Outcome"), rows


class ShowProvider(ShowOne):
    """Show a provider. Secrets are never shown."""

    examples = ("longshore provider show vc",)
    options = (_with_name,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return shown_whole(self.client.provider(args.name), for_people=self.for_people)


class CheckProvider(ShowOne):
    """Log in to a provider and say what is found there."""

    examples = ("longshore provider check vc",)
    options = (_with_name,)

    def show(self, args: Namespace) -> dict[str, Any]:
        return shown(self.client.check_provider(args.name))


class DeleteProvider(Delete):
    """Forget providers and their secrets. Nothing in the clouds is changed."""

    examples = ("longshore provider delete vc",)
    kind = "provider"

    def delete(self, name: str, args: Namespace) -> None:
        self.client.remove_provider(name)


class ShareProvider(Command):
    """Let another project of a server use a provider, without seeing where it is and by which account. For admins."""

    examples = ("longshore provider share vc shop",)
    options = (_with_name, _with_project)

    def take_action(self, args: Namespace) -> None:
        self.client.share_provider(args.name, args.project)


class UnshareProvider(Command):
    """Take a share back. What the project's jobs have under way there is parked, and keeps what it has.

    It goes on once the provider is shared again; cancelled, it takes away what it has made there. Policies and replicas
    that use it can be paused and deleted, and nothing else.
    """

    examples = ("longshore provider unshare vc shop",)
    options = (_with_name, _with_project)

    def take_action(self, args: Namespace) -> None:
        self.client.unshare_provider(args.name, args.project)


def shown_whole(provider: Provider, *, for_people: bool) -> dict[str, Any]:
    """Return all of a provider, with how machines can be moved from there."""
    fields: dict[str, Any] = {"name": provider.name, "kind": provider.kind, "id": provider.id}
    if provider.moves:
        fields["moves"] = ", ".join(provider.moves) if for_people else provider.moves
    fields |= provider.settings
    if provider.last_check is not None:
        fields["checked_at"], outcome = _checked(provider)
        fields["outcome"] = provider.last_check.error or outcome
    return fields


def shown(check: ProviderCheck) -> dict[str, Any]:
    return {"provider": check.provider.name, "type": check.provider.kind} | check.found


def _checked(provider: Provider) -> tuple[str | None, str | None]:
    """Return when it was checked last, and what that came to in a word."""
    check = provider.last_check
    return (None, None) if check is None else (moment(check.at), check.code or "answers")


def _where(provider: Provider) -> str:
    """Return where a provider is; empty for a kind that a newer server knows."""
    from longshore.providers.registry import PROVIDERS

    asks = next((known.where for known in PROVIDERS if known.kind == provider.kind), None)
    return str(asks(provider.settings) or "") if asks else ""
