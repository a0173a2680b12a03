"""Lengths of time as people read them, in sentences, on pages and in answers of commands."""


def duration(seconds: float) -> str:
    """Write a length of time: 45 s, 3 min 5 s, 2 h 10 min, 3 d 4 h. What is whole stands alone: 15 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _of_two(whole, (60, "min"), (1, "s"))
    if whole < 48 * 3600:
        return _of_two(whole, (3600, "h"), (60, "min"))
    return _of_two(whole, (86_400, "d"), (3600, "h"))


def _of_two(whole: int, first: tuple[int, str], second: tuple[int, str]) -> str:
    count, rest = divmod(whole, first[0])
    said = f"{count} {first[1]}"
    return f"{said} {rest // second[0]} {second[1]}" if rest // second[0] else said
