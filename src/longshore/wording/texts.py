"""Texts of pages in the viewer's language: English as they are written, others from the catalogues in `locale/`.

What the API says in sentences of errors stays English, and codes are those that commands have. Its words for phases,
states and kinds are translated where pages show them (`words.py`, `states.py`), concerns by their codes
(`meanings.py`).
"""

import gettext
from functools import cache
from pathlib import Path

from longshore.wording.language import language

LANGUAGES = {"en": "English", "de": "Deutsch"}
_CATALOGUES = Path(__file__).parent / "locale"


def _(text: str) -> str:
    """Translate a text into the language of the request that is being answered."""
    return _catalogue(language(), "longshore").gettext(text) if text else ""


def of_concerns(text: str) -> str:
    """Translate the code of a kind of concern, which becomes its meaning, or what one advises."""
    return _catalogue(language(), "concerns").gettext(text) if text else ""


def marked(text: str) -> str:
    """Mark a text for the catalogues; it is translated where it is shown."""
    return text


@cache
def _catalogue(wanted: str, name: str) -> gettext.NullTranslations:
    if wanted == "en":
        return gettext.NullTranslations()
    return gettext.translation(name, _CATALOGUES, [wanted])
