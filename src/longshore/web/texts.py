"""Texts of pages that aren't in a template: marked for translation, as those are. There is no translation yet."""


def _(text: str) -> str:
    return text
