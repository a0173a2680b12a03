"""The language of the request that is answered; a command's is English."""

from contextvars import ContextVar

_language: ContextVar[str] = ContextVar("language", default="en")
_DECIMAL_MARKS = {"de": ","}  # of the others it is a point


def language() -> str:
    return _language.get()


def answer_in(wanted: str) -> None:
    """Answer in the wanted language from here on, in this request alone."""
    _language.set(wanted)


def decimal(number: float) -> str:
    """Write the number with one digit after the language's decimal mark."""
    return f"{number:.1f}".replace(".", _DECIMAL_MARKS.get(language(), "."))
