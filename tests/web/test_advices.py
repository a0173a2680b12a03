"""What to do about something is said as a page has it, not as a command."""

import pytest
from browser import Browser
from filled import fill

from longshore.errors import BootError
from longshore.planning.catalogue import catalogue
from longshore.web.advices import _ON_PAGES, on_page, without_options


def test_no_advice_on_a_page_names_an_option_of_a_command():
    kinds = [kind for kinds in catalogue().values() for kind in kinds]
    for kind in kinds:
        said = on_page(kind.advice, kind.code)
        assert "--" not in said and "longshore " not in said, kind.code
    assert set(_ON_PAGES) - {kind.code for kind in kinds} == {BootError.code}


@pytest.mark.parametrize(
    ("advice", "code", "said"),
    [
        ("It was accepted.", "boot-proof-unsure", "It was accepted."),
        ('Say which one: --network "a=TARGET".', "network-unmapped", "Choose its network."),
        ("Name a flavor with as many CPUs (--flavor), if it must.", "", "Name a flavor with as many CPUs, if it must."),
        ("Use: longshore replica create.", "", ""),
        ("Only --force-power-off helps.", "", ""),
    ],
)
def test_advice_is_kept_reworded_or_left_out(advice, code, said):
    assert on_page(advice, code) == said


def test_a_machine_that_wasnt_seen_up_says_where_that_is_chosen(three_machines):
    ids = fill(three_machines)
    error = "It didn't show a login prompt. Say what its console shows (--boot-mark), or allow more (--boot-timeout)."
    three_machines.migrations.update(ids["db01"], error=error, error_code=BootError.code)
    page = Browser(three_machines).opened().get(f"/ui/migrations/{ids['db01']}")
    assert "It didn't show a login prompt. Say what its console shows, or allow more." in page.text
    assert "Say what its console shows when it is up. In a plan's mappings" in page.text
    assert page.links["Mappings of shop"] == "/ui/plans/shop/mappings"
    assert without_options(error) in page.text
