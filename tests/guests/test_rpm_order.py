"""RPM's order of versions, by the table of its own test suite (tests/rpmvercmp.at), and GRUB's of kernels by it."""

import pytest

from longshore.guests.rpm_order import compare, newest_first

SAME = """
1.0 1.0 | 2.0.1 2.0.1 | 2.0.1a 2.0.1a | 5.5p1 5.5p1 | 5.5p10 5.5p10 | xyz10 xyz10 | xyz.4 xyz.4 | 1.0aa 1.0aa
10.0001 10.0001 | 10.0001 10.1 | 20101121 20101121 | 2_0 2_0 | 2.0 2_0 | a a | a+ a+ | a+ a_ | +a +a | +a _a | +_ +_
_+ +_ | _+ _+ | + _ | 1.0~rc1 1.0~rc1 | 1.0~rc1~git123 1.0~rc1~git123 | 1.0^ 1.0^ | 1.0^git1 1.0^git1
1.0^20160101 1.0^20160101 | 1.0^20160101^git1 1.0^20160101^git1 | 1.0~rc1^git1 1.0~rc1^git1
1.0^git1~pre 1.0^git1~pre | 1.1.α 1.1.β | 1.1.αα 1.1.α
"""
OLDER = """
1.0 2.0 | 2.0 2.0.1 | 2.0.1 2.0.1a | 5.5p1 5.5p2 | 5.5p1 5.5p10 | 10xyz 10.1xyz | xyz10 xyz10.1 | xyz.4 8 | xyz.4 2
5.5p2 5.6p1 | 5.6p1 6.5p1 | 6.0 6.0.rc1 | 10a1 10b2 | 10a2 10b2 | 1.0a 1.0aa | 10.0001 10.0039 | 4.999.9 5.0
20101121 20101122 | 1.0~rc1 1.0 | 1.0~rc1 1.0~rc2 | 1.0~rc1~git123 1.0~rc1 | 1.0 1.0^ | 1.0 1.0^git1
1.0^git1 1.0^git2 | 1.0^git1 1.01 | 1.0^20160101 1.0.1 | 1.0^20160101^git1 1.0^20160102 | 1.0~rc1 1.0~rc1^git1
1.0^git1~pre 1.0^git1 | 1b.fc17 1.fc17 | 1.fc17 1g.fc17
"""


def pairs(table):
    return [tuple(pair.split()) for pair in table.replace("\n", "|").split("|") if pair.strip()]


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_neither_is_newer(one, other):
    assert compare(one, other) == compare(other, one) == 0


@pytest.mark.parametrize(("older", "newer"), pairs(OLDER))
def test_the_newer_one(older, newer):
    assert compare(older, newer) == -1
    assert compare(newer, older) == 1


def test_kernels_as_grub_lists_them():
    # RedHatInsights/insights-core#3237: a release and its update
    listed = [
        "abc-6.12.0-55.el10.x86_64",
        "abc-5.14.0-427.13.1.el9_4.x86_64",
        "abc-5.14.0-427.el9.x86_64",
        "abc-5.14.0-70.el9.x86_64",
        "abc-0-rescue",
    ]
    assert newest_first(reversed(listed)) == listed
