"""What only an answer shows, at five widths, in each theme and language: previews of schedules and retention, a vault's
files, wall links. Where LONGSHORE_SCREENSHOTS names a directory they are photographed, too."""

import os
from itertools import product
from pathlib import Path

import pytest
from every_address import addresses
from looking import ALL_RULES, AXE, IN_BROWSER, Looking, expect, listening_at, serving
from many import Many

pytestmark = IN_BROWSER
WIDTHS = (1440, 1280, 1024, 390, 320)
EACH = list(product(("en-GB", "de-DE"), ("light", "dark")))
# By turns: all of them take too long for every day
LOOKS = [pytest.param(*one, marks=() if one in (EACH[0], EACH[3]) else pytest.mark.soak) for one in EACH]
SCREENSHOTS = os.environ.get("LONGSHORE_SCREENSHOTS")


def opened(chromium, address, link, language, theme):
    how = {"color_scheme": theme, "locale": language, "reduced_motion": "reduce"}
    tab = Looking(chromium, address, link, **how)
    tab.context.add_init_script(AXE)
    tab.page.set_default_timeout(60_000)
    return tab


def wrong_at_each_width(tab, name, language, theme):
    found = []
    for across in WIDTHS:
        tab.page.set_viewport_size({"width": across, "height": 800})
        # What axe finds depends on colours and texts, and these don't change with the width
        found += [(name, across, said) for said in tab.wrong_with_page(ALL_RULES if across == WIDTHS[0] else [])]
        if SCREENSHOTS:
            into = Path(SCREENSHOTS) / "answers" / f"{name}-{across}-{language[:2]}-{theme}.png"
            tab.page.screenshot(path=into, full_page=True)
    tab.page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    return found


@pytest.mark.parametrize(("language", "theme"), LOOKS)
def test_previews_and_files_fit_everywhere(everything, chromium, language, theme):
    store, ids = everything
    pages = addresses(ids | {"limit": "x", "key": "x"})
    with serving(store) as (address, person):
        tab = opened(chromium, address, person.link, language, theme)
        found = []
        for name in ("new-policy", "change-policy"):
            tab.open(pages["backups"][name])
            if name == "new-policy":
                tab.page.locator("#f-name").fill("often")
                tab.page.locator("#f-schedule").fill("every 6h")
                tab.page.locator("#f-retention").fill("last 3, daily 7, weekly 4, zone Europe/Berlin")
            tab.page.locator("button[formaction$='/preview#preview']").click()
            expect(tab.page.locator("#preview li").first).to_be_visible()
            found += wrong_at_each_width(tab, f"preview-of-{name}", language, theme)
        tab.open(pages["replicas"]["change-replica"])
        tab.page.locator("button[formaction$='/preview#preview']").click()
        expect(tab.page.locator("#preview li").first).to_be_visible()
        found += wrong_at_each_width(tab, "preview-of-replica", language, theme)
        for name in ("files", "files-found"):
            tab.open(pages["backups"][name])
            found += wrong_at_each_width(tab, name, language, theme)
        tab.close()
    assert found == []


@pytest.mark.parametrize(("language", "theme"), LOOKS)
def test_wall_links_fit_everywhere(many_filled, chromium, language, theme):
    def make(port):
        return Many(many_filled.store, many_filled.keystone, f"http://127.0.0.1:{port}").app

    with listening_at(make) as address:
        tab = opened(chromium, address, "/ui/login?to=/ui/wall-links", language, theme)
        page = tab.page
        page.locator("#f-user").fill("ann")
        page.locator("#f-password").fill("ann's secret")
        page.locator("main button[type=submit]").click()
        page.get_by_role("button", name="red").click()
        for name in ("operations-room", "w" * 100):
            page.locator("#f-name").fill(name)
            page.locator("form:has(#f-name) button").click()
            expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()
        found = wrong_at_each_width(tab, "wall-links", language, theme)
        link = page.locator("code.ls-wide").inner_text()
        page.goto(link)
        found += wrong_at_each_width(tab, "wall-by-link", language, theme)
        tab.close()
    assert found == []


PAST = "2020-01-01T22:00"
REFUSED = {  # form: its subject and page, what is typed wrongly there, and which button sends it
    "restore": (("backups", "restore"), {"boot_mark": "(unclosed", "server_name": "x" * 200}, "button[value=check]"),
    "new-replica": (("replicas", "protect"), {"rpo": "soon"}, "button[value=check]"),
    "cutover": (("migrations", "cutover"), {"at": PAST}, "form:has(#f-at) button"),
    "mappings": (("plans", "mappings"), {"boot_port": "ssh"}, "main form > .ls-actions button"),
}


@pytest.mark.parametrize(("language", "theme"), LOOKS)
def test_forms_that_were_refused_fit_everywhere(everything, chromium, language, theme):
    """The field that is wrong has the focus, is marked, and has kept what was typed."""
    store, ids = everything
    pages = addresses(ids | {"limit": "x", "key": "x"})
    with serving(store) as (address, person):
        tab, found = opened(chromium, address, person.link, language, theme), []
        for name, ((subject, page), typed, button) in REFUSED.items():
            tab.open(pages[subject][page])
            tab.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            for field, text in typed.items():
                tab.page.locator(f"#f-{field}").fill(text)
            with tab.page.expect_response(
                lambda got: got.request.method == "POST" and "HX-Request" not in got.request.headers
            ):
                tab.page.locator(button).first.click()
            wrong = tab.page.locator("[aria-invalid=true]")
            expect(wrong).to_have_count(1)
            expect(wrong).to_be_focused()
            expect(wrong).to_have_value(next(iter(typed.values())))
            found += wrong_at_each_width(tab, f"refused-{name}", language, theme)
        tab.wrong = [said for said in tab.wrong if "400" not in said]
        tab.close()
    assert found == []
