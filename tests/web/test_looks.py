"""What every page looks like in a real browser: in each width and theme looked through for whatever axe finds, for what
is wider than the screen, and for what the console complains of. `make screenshots` photographs them, too, for a person
to look at."""

import os
import re
from itertools import product
from pathlib import Path

import pytest
from every_address import DOOR, EMPTY, NO_PAGES, addresses
from filled import encrypted_vault, limit, workers_and_left_overs
from looking import ALL_RULES, IN_BROWSER, SIZES, Looking, listening_at, serving
from many import Many

from longshore.web.app import SUBJECTS

pytestmark = IN_BROWSER
SCREENSHOTS = Path(os.environ["LONGSHORE_SCREENSHOTS"]) if "LONGSHORE_SCREENSHOTS" in os.environ else None
# Each theme and each width once; and all of them together, which takes twice as long and has shown nothing more
EACH = [("light", "wide"), ("dark", "narrow")]
ALL_LOOKS = list(product(("light", "dark"), SIZES))
NARROWEST = {"width": 320, "height": 640}  # what is left of 1,280 pixels at 400 %
ALL = ("app01", "app02", "db01", "web01", "replica", "point", "limit", "key")  # ids that addresses have
ABOUT = tuple(addresses(dict.fromkeys(ALL, "x")))


@pytest.fixture(scope="module")
def served(everything):
    """Where pages of everything are, who may open them, and their addresses."""
    store, ids = everything
    workers_and_left_overs(store)
    ids |= {"limit": limit(store), "key": encrypted_vault(store)}
    with serving(store) as (address, person):
        yield address, person, addresses(ids)


def opened(chromium, address, link, language="en-GB"):
    across, down = SIZES["wide"]
    viewport = {"width": across, "height": down}
    return Looking(chromium, address, link, viewport=viewport, reduced_motion="reduce", locale=language)


def looked_at(tab, pages, looks=ALL_LOOKS if SCREENSHOTS else EACH, rules=ALL_RULES, pictures="{theme}-{width}"):
    """What is wrong with them, by their names; each is loaded once. An address that is empty is where the tab is."""
    found = {}
    for name, path in pages.items():
        if path:
            tab.open(path)
        for theme, width in looks if SCREENSHOTS else ():
            tab.look(theme, width)
            into = SCREENSHOTS / pictures.format(theme=theme, width=width)
            tab.page.screenshot(path=into / f"{name}.png", full_page=True)
        wrong = found[name] = []
        tab.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        for theme, width in looks:
            tab.look(theme, width)
            wrong += [(theme, width, *one) for one in (tab.findings(rules) if rules else ())]
            if (over := tab.too_wide()) > 0:
                wrong.append((theme, width, f"{over} pixels too wide"))
            wrong += [(theme, width, f"{text} spills over") for text in tab.spilt()]
        tab.page.set_viewport_size(NARROWEST)
        if (over := tab.too_wide()) > 0:
            wrong.append(f"{over} pixels too wide at {NARROWEST['width']}")
    return {name: wrong for name, wrong in found.items() if wrong}


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("looks", [EACH, pytest.param(ALL_LOOKS, marks=pytest.mark.soak)], ids=["each", "all"])
def test_pages_look_well_and_nothing_complains(served, chromium, looks, about):
    address, person, pages = served
    tab = opened(chromium, address, person.link)
    found = looked_at(tab, pages[about], looks)
    tab.close()
    assert found == {}


def test_no_page_is_forgotten():
    """Each that can be asked for is among those that are looked at."""
    known = [path.partition("?")[0] for of in addresses(dict.fromkeys(ALL, "x")).values() for path in of.values()]
    for page in [page for subject in SUBJECTS for page in subject.ROUTES if page.method == "GET"]:
        pattern = re.sub(r"{\w+(?::path)?}", "[^/]+", f"/ui{page.path}")
        assert page.path.endswith(NO_PAGES) or [one for one in known if re.fullmatch(pattern, one)], page.path


def test_empty_pages_say_what_to_do_next(store, chromium):
    with serving(store) as (address, person):
        tab = opened(chromium, address, person.link)
        found = looked_at(tab, EMPTY)
        for path in EMPTY.values():
            tab.page.goto(tab.address + path)
            assert tab.page.locator("main").locator("a, button, code").count() > 0, path
        tab.close()
    assert found == {}


@pytest.mark.parametrize("about", ABOUT)
def test_german_fits_too(served, chromium, about):
    address, person, pages = served
    tab = opened(chromium, address, person.link, "de-DE")
    found = looked_at(tab, pages[about], [("light", width) for width in SIZES], [], "german-{width}")
    assert tab.page.locator("html").get_attribute("lang") == "de"
    tab.close()
    assert found == {}


def test_what_is_refused_looks_well(served, chromium):
    """An address that leads nowhere, a form whose fields say what is wrong with them, a browser that wasn't let in."""
    address, person, _pages = served
    tab = opened(chromium, address, person.link)
    found = looked_at(tab, {"no-such-page": "/ui/nowhere"})
    tab.open("/ui/backups/new-policy")
    tab.page.get_by_label("What to call it here").fill("weekly")
    tab.page.get_by_label("Schedule").fill("now and then")
    tab.page.get_by_role("button", name="Make the policy").click()
    tab.page.get_by_text("now and then", exact=False).first.wait_for()
    found |= looked_at(tab, {"refused-policy": ""})
    stranger = opened(chromium, address, "/ui/plans")
    found |= looked_at(stranger, {"not-open": ""})
    assert [said for said in tab.wrong + stranger.wrong if "40" not in said] == []
    tab.context.close()
    stranger.context.close()
    assert found == {}


def test_the_way_in_looks_well(many_filled, chromium):
    def make(port):
        return Many(many_filled.store, many_filled.keystone, f"http://127.0.0.1:{port}").app

    with listening_at(make) as address:
        tab = opened(chromium, address, "/ui/login")
        page = tab.page
        found = looked_at(tab, DOOR)
        page.goto(f"{address}/ui/login")
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("guess")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("alert").wait_for()
        found |= looked_at(tab, {"log-in-refused": ""})
        assert [said for said in tab.wrong if "40" not in said] == []  # a wrong password is answered by 401
        tab.wrong.clear()
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("ann's secret")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/ui/project?**")
        found |= looked_at(tab, {"project": ""})
        page.get_by_role("button", name="red").click()
        page.wait_for_url(f"{address}/ui/")
        found |= looked_at(tab, {"overview-of-many": "", "provider-of-many": "/ui/providers/vc"})
        page.get_by_role("button", name="Log out").click()
        page.get_by_text("You have logged out.").wait_for()
        found |= looked_at(tab, {"logged-out": ""})
        tab.close()
    assert found == {}
