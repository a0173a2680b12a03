"""Makers of points, in a vault that several projects use.

A point's document names the project that has made it, sealed by the installation that has, together with the vault's
id, the point's name and all that the document says. So nothing that somebody else writes into a vault, copies into it,
or moves about in it counts as a project's: what isn't sealed, or by another installation, is the vault owner's alone.

Whoever opens a vault for somebody says for whom (`Vault.user`). Points are read by `read_point` alone, which asks
`sees`: what isn't that project's own isn't there for it, unless the vault is.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from longshore.errors import AccessDenied
from longshore.model.strict_reading import read_json

MAKER = "maker"  # in a point's document


@dataclass(frozen=True, slots=True)
class User:
    """The project for which a vault is opened: a request of it, or a job."""

    project_id: str  # empty: nobody's, as in an installation for one person
    owns: bool  # the vault is its own: it sees all that is in it, and may do everything with that
    seal: Callable[[str, str], str]  # a project's id, for what stands beside it
    unseal: Callable[[str, str], str | None]  # None: this installation hasn't sealed it, or for something else
    seen: dict[str, bool] = field(default_factory=dict)  # by point: a document never changes

    def sees(self, maker: str | None) -> bool:
        """Tell whether a point of that maker is there for it."""
        return self.owns or (maker is not None and maker == self.project_id)

    def refuse_unless_owner(self, what: str) -> None:
        """Raise AccessDenied unless the user owns the vault. `what`: what only the vault's owner does, as in "prunes
        it"."""
        if not self.owns:
            raise AccessDenied(
                f"The vault is another project's, which only shares it: that project alone {what}.",
                advice="Ask who shares it.",
            )


def sealed_maker(user: User, vault_id: str, place: str, document: Mapping[str, Any], maker: str | None) -> str | None:
    """Return what a new point's document says of its maker, if anything. `maker`: of the point that it is a copy of."""
    project_id = maker if user.owns and maker is not None else user.project_id
    return user.seal(project_id, _beside(vault_id, place, document)) if project_id else None


def maker_in(user: User, vault_id: str, place: str, document: Mapping[str, Any]) -> str | None:
    """Return the project that has made a point; None: this installation doesn't vouch for any."""
    sealed = document.get(MAKER)
    if not isinstance(sealed, str):
        return None
    said = {name: value for name, value in document.items() if name != MAKER}
    return user.unseal(sealed, _beside(vault_id, place, said))


def _beside(vault_id: str, place: str, document: Mapping[str, Any]) -> str:
    plain = read_json(json.dumps(document))  # as whoever reads it will have it
    said = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    return f"{vault_id}\n{place}\n{said}"
