"""Texts that may hold passwords, kept like secrets: user data for cloud-init, scripts of a first boot, guests' keys.

In plans and migrations stands a mark in their place, which says how long the text is, unless it is a key, and is all
that is ever shown. A plan that comes back with marks in it means the texts it has. What a migration is started with
from a plan's mark, or that of the migration it goes back to, becomes its own.
"""

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from longshore.errors import InvalidInput
from longshore.store.secrets import SecretBox
from longshore.store.tables import TextRow

_MARK = re.compile(r"\((?:\d+ characters|a key), kept encrypted: ([0-9a-f]{32})\)")
_WITH_TEXTS = ("user_data", "first_boot", "guest_keys")  # options of a migration


class Texts:
    """Encrypted texts of plans and migrations. Don't keep an instance's texts during a change of the key."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def of(self, session: Session, owner_id: str, *lenders: "OwnTexts") -> "OwnTexts":
        """Return the texts of a plan or a migration, in somebody's transaction.

        The marks of `lenders` are understood, too.
        """
        return OwnTexts(self._box, session, owner_id, lenders)

    def seal_again(self, session: Session) -> int:
        """Seal all texts with the key that is first now, and return how many there are."""
        rows = session.scalars(select(TextRow)).all()
        for row in rows:
            row.sealed = self._box.seal(_opened(self._box, row), owner=_sealed_for(row))
        return len(rows)


@dataclass(slots=True)
class OwnTexts:
    _box: SecretBox
    _session: Session
    _owner_id: str
    _lenders: Sequence["OwnTexts"]
    _rows: dict[str, TextRow] | None = None
    _marks: dict[str, str] = field(default_factory=dict)  # by text

    def kept(self, text: str) -> str:
        """Keep a text and return the mark that stands in its place. The same text has the same mark.

        A mark of the owner's own stays; that of a lender becomes one of its own. Raises InvalidInput for any other.
        """
        if found := _MARK.fullmatch(text):
            if found[1] in self._known():
                return text
            text = self.opened(text)
        if not self._marks:
            self._marks = {(clear := _opened(self._box, row)): _mark(row, clear) for row in self._known().values()}
        if text not in self._marks:
            row = TextRow(id=uuid.uuid4().hex, owner_id=self._owner_id)
            row.sealed = self._box.seal(text, owner=_sealed_for(row))
            self._session.add(row)
            self._known()[row.id] = row
            self._marks[text] = _mark(row, text)
        return self._marks[text]

    def opened(self, mark: str) -> str:
        """Return the text that a mark stands for, in clear; what is no mark is a text already, as a file may hold it.

        Raises InvalidInput for a mark of others.
        """
        found = _MARK.fullmatch(mark)
        if found is None:
            return mark
        for texts in (self, *self._lenders):
            if found[1] in texts._known():
                return _opened(self._box, texts._known()[found[1]])
        raise InvalidInput(
            f'"{mark}" only stands for a text, and the text isn\'t kept here.',
            advice="Give the text itself: Longshore never shows one that it has.",
        )

    def forget(self, but: Any = None) -> None:
        """Delete the owner's texts, except those whose mark is in `but`, which is left of the owner's content."""
        still = set(_MARK.findall(repr(but)))
        gone = [id_ for id_ in self._known() if id_ not in still]
        self._session.execute(delete(TextRow).where(TextRow.id.in_(gone)))

    def _known(self) -> dict[str, TextRow]:
        if self._rows is None:
            rows = self._session.scalars(select(TextRow).where(TextRow.owner_id == self._owner_id))
            self._rows = {row.id: row for row in rows}
        return self._rows


def in_options(options: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return options of a migration with each text in them changed."""
    changed = dict(options)
    if changed.get("user_data"):
        changed["user_data"] = change(changed["user_data"])
    if changed.get("first_boot"):
        changed["first_boot"] = [change(script) for script in changed["first_boot"]]
    if changed.get("guest_keys"):
        changed["guest_keys"] = [_without_length(change(key)) for key in changed["guest_keys"]]
    return changed


def without_texts(content: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a plan, as its file has it, without the options that hold texts, and where those stood."""
    left_out: list[str] = []

    def without(options: dict[str, Any], where: str) -> dict[str, Any]:
        left_out.extend(f"{where}: {name}" for name in _WITH_TEXTS if options.get(name))
        return {name: value for name, value in options.items() if name not in _WITH_TEXTS}

    kept = dict(content)
    if kept.get("defaults"):
        kept["defaults"] = without(kept["defaults"], "defaults")
    if kept.get("machines"):
        kept["machines"] = [without(one, str(one.get("machine"))) for one in kept["machines"]]
    return kept, tuple(left_out)


def _without_length(key: str) -> str:
    """Return a mark as it is shown for a key, whose length it doesn't tell; what isn't a mark stays."""
    found = _MARK.fullmatch(key)
    return f"(a key, kept encrypted: {found[1]})" if found else key


def in_plan(content: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return a plan, as its file has it, with each text in it changed."""
    changed = dict(content)
    if changed.get("defaults"):
        changed["defaults"] = in_options(changed["defaults"], change)
    if changed.get("machines"):
        changed["machines"] = [in_options(machine, change) for machine in changed["machines"]]
    return changed


def _opened(box: SecretBox, row: TextRow) -> str:
    return box.open(row.sealed, owner=_sealed_for(row))


def _mark(row: TextRow, text: str) -> str:
    return f"({len(text)} characters, kept encrypted: {row.id})"


def _sealed_for(row: TextRow) -> str:
    return f"{row.owner_id}/text/{row.id}"
