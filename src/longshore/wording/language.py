"""The language of the request that is answered; a command's is English."""

from contextvars import ContextVar

_language: ContextVar[str] = ContextVar("language", default="en")
_DECIMAL_MARKS = {"de": ","}  # of the others it is a point


def language() -> str:
    return _language.get()


def answer_in(wanted: str) -> None:
    """Everything from here on, of this request alone."""
    _language.set(wanted)


def decimal(number: float) -> str:
    """The number with one digit after the mark of that language."""
    return f"{number:.1f}".replace(".", _DECIMAL_MARKS.get(language(), "."))
