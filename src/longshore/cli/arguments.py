"""Words of the command line that are more than words."""

from argparse import ArgumentTypeError


def mapping(text: str) -> tuple[str, str]:
    """SOURCE=TARGET."""
    source, found, target = text.partition("=")
    if not found or not source.strip() or not target.strip():
        raise ArgumentTypeError(f'"{text}" isn\'t SOURCE=TARGET')
    return source.strip(), target.strip()


def rate(text: str) -> int:
    """50M, 800K: bytes per second."""
    from longshore.blocks.command import parse_size  # not at the start of every command

    try:
        count = parse_size(text)
    except ArgumentTypeError:
        count = 0
    if count <= 0:
        raise ArgumentTypeError(f'"{text}" isn\'t a rate: give bytes per second such as 800K, 50M or 1G')
    return count
