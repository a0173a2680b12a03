"""What to do about something is said as a page has it, not as a command."""

import pytest
from browser import Browser

from filled import fill
from longshore.errors import BootError
from longshore.planning.catalogue import catalogue
from longshore.web.advices import _ITS_PAGE, _ON_PAGES, _PRESSED, on_page
from longshore.web.rendering import STATIC

ID = "ba55ef43-05fb-470c-a208-d415a361a529"


def press(path, label):
    return f'<a class="ls-press" href="/ui/{path}">{label}</a>'


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
        (f"Undo it first: longshore replica undo {ID}.", "", f"Undo it first: {press('replicas/' + ID, 'Undo …')}."),
        ("See: longshore plan show shop.", "", f"See: {press('plans/shop', 'its page')}."),
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
    assert "--boot" not in page.text


def test_a_machine_that_cant_be_converted_says_what_to_choose_and_no_option_of_a_command(three_machines):
    ids = fill(three_machines)
    why = "db01 can't be converted: No operating system was found on its disks."
    advice = "If it boots all the same, let it land as it is: --landing as-is. To go on all the same: --accept it."
    three_machines.migrations.update(ids["db01"], error=f"{why} {advice}", error_code="guest-not-inspected")
    three_machines.events.say(ids["db01"], None, f"{why} {advice}", "error")
    browser = Browser(three_machines).opened()
    page = browser.get(f"/ui/migrations/{ids['db01']}")
    assert page.text.count(why) == 2, "in the heading, and in what happened"
    assert "Choose another way for the guest: unchanged" in page.text
    for path in ("/ui/", "/ui/plans/shop", f"/ui/migrations/{ids['db01']}"):
        shown = browser.get(path).text
        assert why in shown and "--" not in shown, path


def test_what_happened_says_what_to_press_where_a_command_stood(three_machines):
    ids = fill(three_machines)
    moved, replica = ids["web01"], ids["replica"]
    for text in (
        f"It is in its place. For good: longshore restore commit {moved}; back: longshore restore undo {moved}.",
        f"It broke off. Run: longshore migration cleanup {moved}.",
        "Waiting: longshore migration cutover stops the machine and ends the migration.",
        f"It runs. For good: longshore replica commit {replica}; back: longshore replica undo {replica}.",
        "All were seen up. For good: longshore replica group commit rack-1.a; back: undo.",
        "<b>longshore tenant import</b>",
    ):
        three_machines.events.say(moved, None, text)
    page = Browser(three_machines).opened().get(f"/ui/migrations/{moved}")
    for said in (
        "It is in its place. For good: Keep it …; back: Go back ….",
        "It broke off. Remove what is left.",
        "Waiting: Cut over … stops the machine and ends the migration.",
        "For good: Commit …; back: Undo ….",
        "For good: Commit …; back: undo.",
        "<b>longshore tenant import</b>",
    ):
        assert said in page.text, page.text
    assert page.links["Keep it …"] == f"/ui/migrations/{moved}"
    assert page.links["Undo …"] == f"/ui/replicas/{replica}"
    assert 'href="/ui/replicas/groups/rack-1.a"' in page.source


def test_whatever_is_to_be_pressed_is_there_to_be_pressed():
    """Each label is that of a link or button of a page."""
    pages = "".join(path.read_text() for path in (STATIC.parent / "templates").rglob("*.html"))
    assert [label for label in _PRESSED.values() if f'_("{label}")' not in pages and label != _ITS_PAGE] == []
