"""Something worth saying about a migration before a byte moves."""

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
    subject: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.advice}".strip()
