"""What every page looks like inside Horizon, in each of its themes and on screens of two widths: looked through for
whatever axe finds, and for what is wider than the screen. Horizon is Debian's, with the plugin of this clone."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
from every_address import addresses
from looking import ALL_RULES, IN_BROWSER, SIZES, Looking, expect

HORIZON = Path("/usr/lib/python3/dist-packages/openstack_dashboard")
WEB = Path(__file__).parent
pytestmark = [*IN_BROWSER, pytest.mark.skipif(not HORIZON.exists(), reason="needs Debian's openstack-dashboard")]
SCREENSHOTS = Path(os.environ["LONGSHORE_SCREENSHOTS"]) if "LONGSHORE_SCREENSHOTS" in os.environ else None
THEMES = ("default", "material")
WIDTHS = ("wide", "narrow")
ALL = ("app01", "app02", "db01", "web01", "replica", "point", "limit", "channel", "key")  # ids that addresses have
ABOUT = tuple(addresses(dict.fromkeys(ALL, "x")))
SOON = 60_000  # milliseconds
NEXT_LOOK = 6_000  # milliseconds: a page that goes on looks every five seconds how far that is
SLIDES = 500  # milliseconds: a theme's menu, in or out when the width has changed
# What a server refuses: what one person alone has, and what an administrator does
REFUSED = {"files-provider", "lent-provider", "tenant"}


@contextmanager
def served_by(*command, **environment):
    """The line that it says when it serves."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env={**os.environ, **environment}, **pipes) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.fixture(scope="module")
def horizon():
    """Where it is, and what is in the project that ann has there."""
    with served_by(sys.executable, WEB.parents[1] / "horizon" / "tests" / "served.py") as said:
        there = json.loads(said)
        keystone = f"{there['keystone']}/v3"
        serve = WEB / "debian_horizon" / "serve.py"
        with served_by("/usr/bin/python3", serve, LONGSHORE_TEST_KEYSTONE=keystone) as url:
            yield url, there["ids"]


def shown_at(page):
    """Where in Horizon a page of the server's is."""
    path = page.removeprefix("/ui/")
    subject, _slash, rest = (
        ("overview", "", path) if path.startswith(("new-plan", "chosen-migrations/")) else path.partition("/")
    )
    if not path:
        subject = "overview"
    subject, mark, query = subject.partition("?")
    dashboard = "admin" if subject == "administration" else "project"
    return f"/{dashboard}/migration_{subject}/{rest}{mark}{query}"


def logged_in(chromium, url, theme, user, project):
    across, down = SIZES["wide"]
    how = {"viewport": {"width": across, "height": down}, "locale": "en-GB", "reduced_motion": "reduce"}
    tab = Looking(chromium, url, "/auth/login/", **how)
    tab.context.add_cookies([{"name": "theme", "value": theme, "url": url}])
    tab.page.get_by_label("User Name").fill(user)
    tab.page.locator("#id_password").fill(f"{user}'s secret")
    tab.page.get_by_role("button", name="Sign In").click()
    tab.page.wait_for_load_state()
    tab.page.goto(f"{url}/auth/switch/id-{project}/")
    tab.wrong.clear()  # Horizon's own pages find no Nova there
    return tab


def looked_at(tab, theme, pages):
    """What is wrong with them, by their names, and which the server refused."""
    found, refused = {}, set()
    for name, page in pages.items():
        answer = tab.page.goto(tab.address + shown_at(page))
        if answer.status != 200:
            refused.add(name)
        tab.page.evaluate("for (const one of document.querySelectorAll('#longshore details')) one.open = true")
        wrong = found[name] = []
        for width in WIDTHS:
            across, down = SIZES[width]
            tab.page.set_viewport_size({"width": across, "height": down})
            tab.page.wait_for_timeout(SLIDES)
            wrong += [(width, *one) for one in tab.findings(ALL_RULES, "#longshore")]
            if (over := tab.too_wide()) > 0:
                wrong.append((width, f"{over} pixels too wide"))
            if SCREENSHOTS:
                tab.page.evaluate("window.scrollTo(0, 0)")  # Horizon's bar stays where one looks
                tab.page.screenshot(path=SCREENSHOTS / f"horizon-{theme}-{width}" / f"{name}.png", full_page=True)
    return {name: wrong for name, wrong in found.items() if wrong}, refused


def complaints(tab):
    """But for fonts of the material theme, which Debian's Horizon lacks, and pages that are refused."""
    known = ("Failed to load resource", "roboto_fontface", "403 ", "404 ", "400 ")
    return [said for said in tab.wrong if not any(one in said for one in known)]


def test_a_plan_looks_well_in_horizon(horizon, chromium):
    """One page with most of what pages consist of; all of them in each theme take too long for every day."""
    url, ids = horizon
    pages = addresses(ids)["plans"]
    tab = logged_in(chromium, url, "default", "ann", "red")
    assert looked_at(tab, "default", {name: pages[name] for name in ("plan", "mappings")}) == ({}, set())
    tab.close()


def test_a_page_in_horizon_says_that_nobody_answers_and_goes_on_by_itself_when_somebody_does(horizon, chromium):
    url, ids = horizon
    tab = logged_in(chromium, url, "default", "ann", "red")
    page = tab.page
    page.clock.install()
    page.goto(url + shown_at(addresses(ids)["plans"]["plan"]))
    stale = page.get_by_text("It goes on by itself as soon as it is answered")
    expect(page.get_by_role("link", name="app02", exact=True)).to_be_visible()
    expect(stale).to_be_hidden()
    page.evaluate("window.stayed = true")
    # As Horizon answers for a service that is away, and as it is where Horizon is itself
    for answer in (lambda asked: asked.fulfill(status=503, body="It is away."), lambda asked: asked.abort()):
        page.route(page.url, answer)
        page.clock.fast_forward(NEXT_LOOK)
        expect(stale).to_be_visible(timeout=SOON)
        page.unroute(page.url)
        page.clock.fast_forward(NEXT_LOOK)
        expect(stale).to_be_hidden(timeout=SOON)
    expect(page.get_by_role("link", name="app02", exact=True)).to_be_visible()
    assert page.evaluate("window.stayed"), "nobody has loaded it again"
    assert [said for said in complaints(tab) if not said.startswith("503 ")] == []
    tab.context.close()


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("theme", "about"), list(product(THEMES, ABOUT)))
def test_pages_look_well_in_each_theme_of_horizon(horizon, chromium, theme, about):
    url, ids = horizon
    user, project = ("root", "ops") if about == "administration" else ("ann", "red")
    tab = logged_in(chromium, url, theme, user, project)
    found, refused = looked_at(tab, theme, addresses(ids)[about])
    assert (found, refused - REFUSED, complaints(tab)) == ({}, set(), [])
    tab.context.close()
