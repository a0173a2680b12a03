"""The kinds of concern: each is declared once, beside the check that raises it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from longshore.model.concern import Concern, Severity


@dataclass(frozen=True, slots=True)
class ConcernKind:
    """Calling it makes a concern of this kind."""

    code: str  # stable: scripts match on it
    severity: Severity
    meaning: str  # when it is raised, for the reference
    advice: str  # what to do about it, unless a concern knows better
    acceptable: bool = False  # a blocker that may turn out all right: the user may accept it

    def __call__(self, subject: str, text: str, advice: str | None = None) -> Concern:
        return Concern(
            code=self.code,
            severity=self.severity,
            subject=subject,
            text=text,
            advice=self.advice if advice is None else advice,
            acceptable=self.acceptable,
        )


def blocker(code: str, meaning: str, advice: str, *, acceptable: bool = False) -> ConcernKind:
    return ConcernKind(code, Severity.BLOCKER, meaning, advice, acceptable)


def warning(code: str, meaning: str, advice: str) -> ConcernKind:
    return ConcernKind(code, Severity.WARNING, meaning, advice)


def information(code: str, meaning: str, advice: str = "") -> ConcernKind:
    return ConcernKind(code, Severity.INFORMATION, meaning, advice)


def accept_blockers(concerns: Iterable[Concern], codes: Iterable[str]) -> list[Concern]:
    """Return the concerns with the blockers of these codes as warnings, but for those with which no move is
    possible."""
    codes = set(codes)
    return [_accept(concern) if concern.code in codes else concern for concern in concerns]


def _accept(concern: Concern) -> Concern:
    if concern.severity is not Severity.BLOCKER:
        return concern
    if not concern.acceptable:
        return replace(concern, advice=f"{concern.advice} It can't be accepted: nothing can be moved with it.".strip())
    return replace(concern, severity=Severity.WARNING, advice="It was accepted.")
