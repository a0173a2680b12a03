"""longshore wall link …: the project's overview on a screen where nobody logs in."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta
from typing import Any

from longshore.cli.arguments import seconds
from longshore.cli.command import Delete, Lister, ShowOne
from longshore.cli.providers import with_all_projects
from longshore.wording.figures import moment

_LASTS = 8 * 3600.0  # seconds


class CreateWallLink(ShowOne):
    """Make a link that shows the project's overview to whoever has it, until it ends. It is shown this once."""

    examples = ("longshore wall link create operations-room --lasts 7d",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("link", help="its name")
        parser.add_argument(
            "--lasts", type=seconds, default=_LASTS, metavar="TIME", help="until it ends: 31d at most (default: 8h)"
        )

    def show(self, args: Namespace) -> dict[str, Any]:
        made = self.client.add_wall_link(args.link, datetime.now(UTC) + timedelta(seconds=args.lasts))
        return {"name": made.name, "ends_at": moment(made.ends_at), "address": f"{self.client.address}{made.path}"}


class ListWallLinks(Lister):
    """List the links that haven't ended."""

    examples = ("longshore wall link list",)
    options = (with_all_projects,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.client.wall_links(all_projects=args.all_projects)
        columns = ("Name", "Made by", "Made", "Ends", "ID")
        return columns, [(one.name, one.user_id, moment(one.created_at), moment(one.ends_at), one.id) for one in found]


class DeleteWallLink(Delete):
    """Take links back. What they show stands still at once."""

    examples = ("longshore wall link delete operations-room",)
    kind = "link"

    def delete(self, name: str, args: Namespace) -> None:
        self.client.remove_wall_link(name)
