"""The overview on a wall: for those who have a link, as long as that lasts; and nothing else is let in by it."""

import logging
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update
from starlette.routing import Route

from longshore.store.tables import WallLinkRow, utc_now

pytestmark = pytest.mark.long

OPENED = "/ui/wall/shared"


def link_of(page):
    """Return the address that a page shows of a link."""
    return re.search(r"https?://[^<]+/ui/wall/open[?]key=[^<]+", page.source)[0]


@pytest.fixture
def made(many_filled):
    """Return a link that a member has made, and the browser of a screen where nobody logs in."""
    ann = many_filled.logged_in("ann", "red")
    ann.get("/ui/wall-links")
    page = ann.submit("/ui/wall-links", name="operations-room", hours="24")
    assert page.status == 200, page.text
    return many_filled, ann, link_of(page)


def opened(many, link):
    screen = many.browser()
    parts = urlsplit(link)
    screen.get(f"{parts.path}?{parts.query}")
    return screen


def test_a_screen_without_a_log_in_shows_what_the_projects_reader_sees(made):
    many, _ann, link = made
    assert link.startswith(f"{many.url}/ui/wall/open?key=")
    screen = opened(many, link)
    assert (screen.page.status, screen.path) == (200, OPENED)
    text = screen.page.text
    assert "operations-room" in text
    assert "Waits for a person" in text
    assert "shop" in text, "the plan"
    assert "db01" in text, "what failed"
    seen = many.logged_in("rita").get("/ui/wall").text
    assert [word for word in ("shop", "db01", "app01") if word in seen] == ["shop", "db01", "app01"]
    # It is another project's that isn't told
    assert "operations-room" not in many.logged_in("bob").get("/ui/wall-links").text


def test_nothing_can_be_done_there_and_no_other_page_is_opened_by_it(made):
    many, _ann, link = made
    screen = opened(many, link)
    assert [form.action for form in screen.page.forms] == []
    assert set(screen.page.links.values()) == {"/ui/", "#page"}
    cookie = next(one for one in screen.cookies.jar if one.name.endswith("-wall"))
    assert (cookie.path, cookie.secure) == (OPENED, True)
    # Whoever puts the cookie by hand where a browser wouldn't send it is let in nowhere, either
    told = {"Cookie": f"{cookie.name}={cookie.value}; __Host-longshore={cookie.value}", "X-Auth-Token": cookie.value}
    routes = [one.path for one in many.app._pages.routes if isinstance(one, Route) and "GET" in one.methods]
    assert len(routes) > 50
    for path in routes:
        if path in (OPENED, "/ui/wall/open"):
            continue
        shown = many.browser().ask("GET", path.replace("{", "").replace("}", ""), headers=told, follow=False)
        assert shown.status_code in (302, 303, 401, 403, 404) or "Log in" in shown.text, path
    for path in ("/v1/plans", "/v1/migrations", "/v1/wall-links"):
        assert many.browser().ask("GET", path, headers=told).status_code == 401
    refused = screen.ask("POST", OPENED)
    assert refused.status_code == 405


def test_it_is_live_can_be_paused_and_is_not_brought_up_to_date_once_it_is_taken_back(made):
    many, ann, link = made
    screen = opened(many, link)
    (main,) = [attributes for tag, attributes in screen.page.elements if tag == "main"]
    assert (main["hx-get"], main["data-refresh"]) == (OPENED, "3")
    assert [a for tag, a in screen.page.elements if tag == "button" and a.get("data-pause") == "Pause updates"]
    ann.get("/ui/wall-links")
    assert "operations-room" in ann.page.text
    page = ann.submit("/ui/wall-links/remove")
    assert "operations-room" not in page.text
    assert screen.ask("GET", OPENED, headers={"HX-Request": "true"}).status_code == 401
    assert "shows nothing any more" in screen.get(OPENED).text
    assert "shop" not in screen.page.text
    assert opened(many, link).page.status == 403


def test_it_ends_by_itself(made):
    many, ann, link = made
    screen = opened(many, link)
    with many.store.database.session() as session:
        session.execute(update(WallLinkRow).values(ends_at=utc_now() - timedelta(seconds=1)))
    assert screen.get(OPENED).status == 403
    assert "operations-room" not in ann.get("/ui/wall-links").text


@pytest.mark.parametrize("left", ["without a role", "deleted"])
def test_it_ends_when_its_maker_leaves_the_project(made, left):
    many, _ann, link = made
    screen = opened(many, link)
    assert screen.page.status == 200
    if left == "deleted":
        del many.keystone.users["ann"]
    else:
        many.keystone.users["ann"] = ("ann's secret", {"blue": "member"})
    assert screen.get(OPENED).status == 200, "Keystone is asked now and then only"
    many.sessions._asked_of_makers.clear()
    assert screen.get(OPENED).status == 403
    assert "operations-room" not in many.logged_in("rita").get("/ui/wall-links").text


@pytest.mark.parametrize("silent", ["away", "tells nobody"])
def test_it_goes_on_where_keystone_does_not_tell_who_is_in_a_project(made, silent):
    many, _ann, link = made
    screen = opened(many, link)
    many.sessions._asked_of_makers.clear()
    many.keystone.away, many.keystone.tells_who_is_where = silent == "away", False
    assert screen.get(OPENED).status == 200


def test_its_key_is_in_no_log_and_not_in_the_database(made, caplog, capfd):
    many, ann, link = made
    key = link.partition("key=")[2]
    caplog.set_level(logging.DEBUG)
    opened(many, link)
    assert key not in ann.get("/ui/wall-links").source
    said = [one.getMessage() for one in caplog.records if not one.name.startswith("httpx")]  # that is the screen's
    assert [one for one in said if "/v1/plans" in one]
    assert key not in "".join(said) + "".join(capfd.readouterr())
    kept = b"".join(path.read_bytes() for path in many.store.state.root.rglob("*") if path.is_file())
    assert b"operations-room" in kept
    assert key.encode() not in kept


def test_a_reader_makes_none_and_a_link_has_an_end_that_is_not_far(many_filled):
    rita = many_filled.logged_in("rita")
    page = rita.get("/ui/wall-links")
    assert (page.status, [form.action for form in page.forms if "wall" in form.action]) == (200, [])
    ann = many_filled.logged_in("ann", "red")
    ann.get("/ui/wall-links")
    assert ann.submit("/ui/wall-links", name="a wall!").status == 400
    assert "A name has a to z" in ann.page.text
    ann.submit("/ui/wall-links", name="wall")
    assert ann.submit("/ui/wall-links", name="wall").status == 400
    assert "is there already" in ann.page.text


def test_one_persons_own_wall_needs_no_link(filled):
    page = filled.get("/ui/wall")
    assert "shop" in page.text
    assert "Only a server has wall links" in filled.get("/ui/wall-links").text
