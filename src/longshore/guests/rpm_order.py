"""The order of versions that RPM has, and GRUB in its menu of RPM's kernels.

As rpmvercmp() of RPM's rpmio/rpmvercmp.c: letters and digits count, in runs of either, and what is between them
doesn't.
"""

import re
from collections.abc import Iterable
from functools import cmp_to_key
from itertools import zip_longest

_RUN = re.compile(r"[0-9]+|[A-Za-z]+|[~^]")


def compare(one: str, other: str) -> int:
    """Return 1 when `one` is newer, -1 when `other` is, 0 when neither is."""
    for a, b in zip_longest(_RUN.findall(one), _RUN.findall(other), fillvalue=""):
        if order := _order(a, b):
            return order
    return 0


def _order(a: str, b: str) -> int:
    """Compare two runs in the same place; "" is the end of a version."""
    if a == b:
        return 0
    for mark, at_the_end in (("~", 1), ("^", -1)):  # ~ is older than the end, ^ newer; both older than all else
        if mark in (a, b):
            other, sign = (b, -1) if a == mark else (a, 1)
            return sign * (1 if other else at_the_end)
    if not a or not b:
        return 1 if a else -1
    if a[0].isdigit() != b[0].isdigit():
        return 1 if a[0].isdigit() else -1
    if a[0].isdigit():
        a, b = a.lstrip("0"), b.lstrip("0")
        return _sign((len(a), a), (len(b), b))
    return _sign((0, a), (0, b))


def _sign(a: tuple[int, str], b: tuple[int, str]) -> int:
    return (a > b) - (a < b)


def newest_first(names: Iterable[str]) -> list[str]:
    """Sort names like a package's, with version and release behind the last two hyphens, as GRUB sorts its entries."""
    return sorted(names, key=cmp_to_key(_compare_names), reverse=True)


def _compare_names(one: str, other: str) -> int:
    pairs = zip(_parts(one), _parts(other), strict=True)
    return next((order for a, b in pairs if (order := compare(a, b))), 0)


def _parts(name: str) -> tuple[str, str, str]:
    """Split into (name, version, release). Of one hyphen there is no version, of none there is neither."""
    name, _, release = name.rpartition("-") if "-" in name else (name, "", "")
    name, _, version = name.rpartition("-") if "-" in name else (name, "", "")
    return name, version, release
