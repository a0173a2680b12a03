"""Marks of a machine at its source once it has moved, so that nobody starts it a second time."""

from dataclasses import dataclass
from enum import StrEnum


class MarkKind(StrEnum):
    NOTE = "note"
    SUFFIX = "suffix"
    TAG = "tag"
    FOLDER = "folder"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class SourceMarks:
    """The marks that are wanted. A source that hasn't what one of them needs says so when it is made."""

    note: bool = False  # a line in its notes (OpenStack: its description) that says where it is now
    suffix: str = ""  # of its name
    tag: str = ""  # vSphere: CATEGORY/NAME, which has to be there
    folder: str = ""  # vSphere: path below its datacenter, which has to be there
    disconnect: bool = False  # vSphere: no adapter is connected when it is started; OpenStack: the server is locked

    def each(self) -> dict[MarkKind, str]:
        """Return the marks that are wanted, and the text of each, which is empty where there is none to choose."""
        texts = {MarkKind.SUFFIX: self.suffix, MarkKind.TAG: self.tag, MarkKind.FOLDER: self.folder}
        found = {kind: text for kind, text in texts.items() if text}
        if self.note:
            found[MarkKind.NOTE] = ""
        if self.disconnect:
            found[MarkKind.DISCONNECT] = ""
        return found
