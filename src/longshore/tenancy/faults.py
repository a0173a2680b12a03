"""Faults in files, each with the place where it is."""

from dataclasses import dataclass

from longshore.errors import InvalidInput


@dataclass(frozen=True, slots=True, order=True)
class FilePlace:
    file: str  # relative to the directory
    line: int  # from 1; 0: the file as a whole

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


NOWHERE = FilePlace("", 0)


@dataclass(frozen=True, slots=True, order=True)
class FileFault:
    place: FilePlace
    sentence: str
    warning: bool = False  # worth saying, but it may well work

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


def refusal(faults: list[FileFault], directory: object) -> InvalidInput:
    """Return one error for all of them: the first, and how many more there are."""
    serious = [fault for fault in faults if not fault.warning]
    more = f" And {len(serious) - 1} more." if len(serious) > 1 else ""
    return InvalidInput(
        f"{serious[0]}{more}",
        advice=f"`longshore tenant validate {directory}` lists all. Nothing was changed.",
        code="invalid-files",
    )
