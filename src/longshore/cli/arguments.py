"""Words of the command line that are more than words."""

from argparse import ArgumentTypeError


def mapping(text: str) -> tuple[str, str]:
    """SOURCE=TARGET."""
    source, found, target = text.partition("=")
    if not found or not source.strip() or not target.strip():
        raise ArgumentTypeError(f'"{text}" isn\'t SOURCE=TARGET')
    return source.strip(), target.strip()
