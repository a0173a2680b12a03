"""Finding what users name, among what they may see: providers, plans, channels. Names are unique in a project."""

from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.store.scope import Scope
from longshore.store.tables import BackupPolicyRow, ChannelRow, GroupRow, PlanRow, ProviderRow, WallLinkRow

Row = TypeVar("Row", PlanRow, ProviderRow, GroupRow, BackupPolicyRow, ChannelRow, WallLinkRow)
_KINDS: dict[type, tuple[str, str]] = {  # and how they are listed
    PlanRow: ("plan", "plan list"),
    ProviderRow: ("provider", "provider list"),
    GroupRow: ("group", "replica group list"),
    ChannelRow: ("channel", "channel list"),
    WallLinkRow: ("wall link", "wall link list"),
    BackupPolicyRow: ("backup policy", "backup policy list"),
}


def unique_name(scope: Scope, name: str) -> str:
    """Return PROJECT/NAME, which nothing else of its kind is called in any project."""
    return f"{scope.project_id}/{name}"


def find_named(session: Session, rows: type[Row], visible: ColumnElement[bool], scope: Scope, name_or_id: str) -> Row:
    """Find a row by id or name. The id goes first: another row may be called like it. Then the project's own go first.

    Raises NotFound, or Conflict when several of other projects are called so.
    """
    kind, listing = _KINDS[rows]
    for wanted in (rows.id == name_or_id, rows.unique_name == unique_name(scope, name_or_id), rows.name == name_or_id):
        found = session.scalars(select(rows).where(wanted, visible).limit(2)).all()
        if len(found) > 1:
            raise Conflict(f"Several {kind}s are called {name_or_id}.", advice="Say which one by its id.")
        if found:
            return found[0]
    raise NotFound(f"There is no {kind} named {name_or_id}.", advice=f"See: longshore {listing}.")
