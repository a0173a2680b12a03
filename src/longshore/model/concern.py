"""Concerns: something worth saying about a migration before a byte moves."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    BLOCKER = "blocker"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Concern:
    """`code` is stable: scripts match on it. `text` is a sentence; `advice` says what to do."""

    code: str
    severity: Severity
    subject: str  # the thing that it is about: a disk, a network, a quota, …
    text: str
    advice: str = ""
    machine: str = ""  # reference of the machine that it concerns; empty: several, or the plan as a whole
    acceptable: bool = False  # a blocker that the user may accept by naming its code

    def __str__(self) -> str:
        return f"{self.text} {self.advice}".strip()
