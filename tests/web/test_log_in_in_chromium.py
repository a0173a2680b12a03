"""Logging in to a server's pages with a real browser: its cookies, its policy, its idea of where forms are from."""

from looking import ALL_RULES, IN_BROWSER, SIZES, Looking, listening_at
from many import Many

pytestmark = IN_BROWSER


def test_somebody_logs_in_changes_project_and_language_and_leaves(many_filled, chromium):
    def make(port):
        return Many(many_filled.store, many_filled.keystone, f"http://127.0.0.1:{port}").app

    with listening_at(make) as address:
        width, height = SIZES["narrow"]
        tab = Looking(chromium, address, "/ui/plans", viewport={"width": width, "height": height}, locale="en-GB")
        page = tab.page
        page.set_default_timeout(60_000)
        assert "/ui/login?" in page.url
        assert tab.findings(ALL_RULES) == []
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("ann's secret")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/ui/project?**")
        assert tab.findings(ALL_RULES) == []
        page.get_by_role("button", name="red").click()
        page.wait_for_url(f"{address}/ui/plans")
        page.get_by_role("link", name="shop", exact=True).click()
        page.get_by_text("app01").first.wait_for()
        page.get_by_label("Language").select_option("de")
        page.get_by_role("link", name="Prüfen und starten …").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.get_by_role("link", name="red").click()
        page.get_by_role("button", name="blue").click()
        page.wait_for_url(f"{address}/ui/")
        page.get_by_role("button", name="Abmelden").click()
        page.get_by_text("Sie haben sich abgemeldet.").wait_for()
        page.goto(f"{address}/ui/plans")
        assert "/ui/login?" in page.url
        tab.close()
