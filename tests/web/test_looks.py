"""What every page looks like in a real browser: in each width and theme looked through for whatever axe finds, for what
is wider than the screen, and for what the console complains of. `make screenshots` photographs them, too, for a person
to look at."""

import os
import re
from itertools import product
from pathlib import Path

import pytest
from every_address import DOOR, EMPTY, NO_PAGES, addresses
from looking import ALL_RULES, AXE, IN_BROWSER, SIZES, Looking, expect, listening_at, serving
from many import Many

from filled import encrypted_vault, limit, workers_and_left_overs
from longshore.planning import planfile
from longshore.store import NewMigration
from longshore.web.app import SUBJECTS

pytestmark = IN_BROWSER
SCREENSHOTS = Path(os.environ["LONGSHORE_SCREENSHOTS"]) if "LONGSHORE_SCREENSHOTS" in os.environ else None
# Each page in one of these by turns: each theme, the widest and the narrowest, and German, which has the longest words.
# They are how a tab is opened, since to change that takes as long as to load a page anew; and to open one takes as long
# as some pages. `make soak-web` looks at each page in all of them, which takes too long for every day
TURNS = [("en-GB", "light", "wide"), ("de-DE", "dark", "narrowest")]
ALL_LOOKS = list(product(("light", "dark"), ("wide", "narrow")))
ALL = ("app01", "app02", "db01", "web01", "replica", "point", "limit", "channel", "key")  # ids that addresses have
ABOUT = tuple(addresses(dict.fromkeys(ALL, "x")))


@pytest.fixture(scope="module")
def served(everything):
    """Where pages of everything are, who may open them, and their addresses."""
    store, ids = everything
    workers_and_left_overs(store)
    ids |= {"limit": limit(store), "key": encrypted_vault(store)}
    with serving(store) as (address, person):
        yield address, person, addresses(ids)


def opened(chromium, address, link, language="en-GB", theme="light", size="wide"):
    across, down = SIZES[size]
    how = {"viewport": {"width": across, "height": down}, "color_scheme": theme, "locale": language}
    tab = Looking(chromium, address, link, reduced_motion="reduce", **how)
    tab.context.add_init_script(AXE)  # is quicker than to ask for it in each page
    return tab


@pytest.fixture(scope="module")
def tabs(served, chromium):
    """That of each turn, which is opened once."""
    address, person, _pages = served
    there = {}

    def tab(turn):
        if turn not in there:
            there[turn] = opened(chromium, address, person.link, *TURNS[turn])
        return there[turn]

    yield tab
    for one in there.values():
        one.close()


def looked_at(tab, pages, looks=ALL_LOOKS if SCREENSHOTS else (), rules=ALL_RULES, pictures="{theme}-{width}"):
    """What is wrong with them, by their names; each is loaded once. An address that is empty is where the tab is.
    `looks`: those in which each is looked at; none: the one that it has."""
    found = {}
    for name, path in pages.items():
        if path:
            tab.open(path)
        for theme, width in looks if SCREENSHOTS else ():
            tab.look(theme, width)
            into = SCREENSHOTS / pictures.format(theme=theme, width=width)
            tab.page.screenshot(path=into / f"{name}.png", full_page=True)
        wrong = found[name] = []
        for look in looks:
            tab.look(*look)
            wrong += [(*look, said) for said in tab.wrong_with_page(rules)]
        if looks:
            across, down = SIZES["narrowest"]
            tab.page.set_viewport_size({"width": across, "height": down})
        wrong += tab.wrong_with_page([] if looks else rules)
    return {name: wrong for name, wrong in found.items() if wrong}


@pytest.mark.parametrize("turn", range(len(TURNS)), ids=["each", "each-narrow"])
@pytest.mark.parametrize("about", ABOUT)
def test_pages_look_well_and_nothing_complains(served, tabs, about, turn):
    _address, _person, pages = served
    tab = tabs(turn)
    found = looked_at(tab, dict(list(pages[about].items())[turn :: len(TURNS)]), ())
    assert tab.page.evaluate("document.documentElement.lang") == TURNS[turn][0][:2]
    complaints, tab.wrong = tab.wrong, []
    assert (found, complaints) == ({}, [])


@pytest.mark.soak
@pytest.mark.parametrize("about", ABOUT)
def test_pages_look_well_in_all_looks(served, chromium, about):
    address, person, pages = served
    tab = opened(chromium, address, person.link)
    found = looked_at(tab, pages[about], ALL_LOOKS)
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
        tab = opened(chromium, address, person.link, theme="dark", size="narrowest")
        found = {}
        for name, path in EMPTY.items():
            found |= looked_at(tab, {name: path})
            assert tab.page.locator("main").locator("a, button, code").count() > 0, path
        tab.close()
    assert found == {}


@pytest.mark.soak
@pytest.mark.parametrize("about", ABOUT)
def test_german_fits_too(served, chromium, about):
    address, person, pages = served
    tab = opened(chromium, address, person.link, "de-DE")
    found = looked_at(tab, pages[about], [("light", width) for width in ("wide", "narrow")], [], "german-{width}")
    assert tab.page.locator("html").get_attribute("lang") == "de"
    tab.close()
    assert found == {}


def test_long_words_times_and_labels_fit_on_the_narrowest_screen(served, tabs):
    """In German, which has the longest; where what came by turns missed them."""
    _address, _person, pages = served
    lists = {name: path for of in pages.values() for name, path in of.items() if name in ("replicas", "administration")}
    assert (len(lists), looked_at(tabs(turn=1), lists, (), [])) == (2, {})


# Those with the most columns
FULL = ("overview", "machines", "plan", "plan-report", "migrations", "replicas", "replica", "vault", "jobs", "queue")
FULL += ("wall", "unprotected", "backups", "policy", "runs-of-policy", "vault-usage", "plans", "files", "files-found")


def cut_off(tab, pages):
    found = {}
    for name, path in pages.items():
        tab.open(path)
        if wrong := tab.cut_off():
            found[name] = wrong
    return found


def test_tables_fit_on_laptops(served, chromium):
    """In German, whose words are the longest."""
    address, person, pages = served
    tab = opened(chromium, address, person.link, "de-DE")
    full = {name: path for of in pages.values() for name, path in of.items() if name in FULL}
    found = cut_off(tab, full)
    tab.close()
    assert (sorted(full), found) == (sorted(FULL), {})


@pytest.mark.soak
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
@pytest.mark.parametrize("about", ABOUT)
def test_all_pages_fit_on_laptops(served, chromium, about, language):
    address, person, pages = served
    tab = opened(chromium, address, person.link, language)
    found = cut_off(tab, pages[about])
    tab.close()
    assert found == {}


def test_a_long_name_cuts_nothing_off(three_machines, chromium):
    """Neither the reason in the last column, nor what can be done there."""
    store, names = three_machines, ("x" * 80, "y" * 200)
    vc, cloud = store.providers.get("vc"), store.providers.get("cloud")
    machines = [{"machine": name, "ref": name[:3]} for name in names]
    plan = planfile.from_plain({"name": "long", "source": "vc", "target": "cloud", "machines": machines})
    record = store.plans.add("long", planfile.plain(plan))
    wanted = [NewMigration(name, name[:3], vc.id, cloud.id, {"type": "cold"}, record.id) for name in names]
    for one in store.migrations.add_together(wanted):
        store.migrations.update(one.id, status="failed", phase="copying", error="The host doesn't answer.")
    with serving(store) as (address, person):
        tab = opened(chromium, address, person.link)
        found = cut_off(tab, {"overview": "/ui/", "migrations": "/ui/migrations", "plan": "/ui/plans/long"})
        expect(tab.page.get_by_role("link", name=names[1], exact=True)).to_be_visible()
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
