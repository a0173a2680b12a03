"""Logging in to a server's pages with a real browser: its cookies, its policy, its idea of where forms are from."""

from looking import ALL_RULES, IN_BROWSER, SIZES, Looking, expect, listening_at
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


def fills_in(page, user):
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(f"{user}'s secret")
    page.get_by_role("button", name="Log in").click()


def logs_in(page, user):
    fills_in(page, user)
    page.get_by_role("button", name="red").click()


def test_a_page_says_that_its_session_ends_soon_and_keeps_it_where_that_is_wanted(many_filled, chromium):
    def make(port):
        return Many(many_filled.store, many_filled.keystone, f"http://127.0.0.1:{port}").app

    with listening_at(make) as address:
        tab = Looking(chromium, address, "/ui/login?to=/ui/providers/new/openstack", locale="en-GB")
        page = tab.page
        page.set_default_timeout(60_000)
        page.clock.install()
        logs_in(page, "ann")
        page.get_by_label("What to call it here").fill("offsite-2")
        told = page.get_by_text("Your session ends within two minutes.", exact=False)
        page.clock.fast_forward("57:00")
        expect(told).to_be_hidden()
        page.clock.fast_forward("02:00")
        expect(told).to_be_visible()
        assert tab.findings(ALL_RULES) == []
        page.get_by_role("button", name="Stay logged in").click()
        page.wait_for_load_state("networkidle")
        page.clock.fast_forward("00:02")
        expect(told).to_be_hidden()
        expect(page.get_by_label("What to call it here")).to_have_value("offsite-2")
        page.clock.fast_forward("57:00")
        expect(told).to_be_hidden()
        tab.close()


def test_what_was_typed_when_a_session_ended_is_there_again_but_no_secret(many_filled, chromium):
    def make(port):
        return Many(many_filled.store, many_filled.keystone, f"http://127.0.0.1:{port}").app

    ids = {m.machine_name: m.id for m in many_filled.of("red").migrations.all()}
    with listening_at(make) as address:
        tab = Looking(chromium, address, "/ui/login?to=/ui/providers/new/openstack", locale="en-GB")
        page = tab.page
        page.set_default_timeout(60_000)
        logs_in(page, "ann")
        page.get_by_label("What to call it here").fill("offsite-2")
        page.get_by_label("Keystone").fill("https://cloud.example:5000/v3")
        page.get_by_label("A user with a password").check()
        page.get_by_label("Password", exact=True).fill("not to be kept")
        tab.context.clear_cookies()
        page.get_by_role("button", name="Log in and add").click()
        page.get_by_text("what you sent has changed nothing").wait_for()
        kept = page.evaluate("JSON.stringify(sessionStorage)")
        assert ("offsite-2" in kept, "not to be kept" in kept) == (True, False)
        assert tab.findings(ALL_RULES) == []
        logs_in(page, "ann")
        page.wait_for_url("**/ui/providers/new/openstack")
        expect(page.get_by_role("status").get_by_text("What you had filled in is here again")).to_be_visible()
        expect(page.get_by_label("What to call it here")).to_have_value("offsite-2")
        expect(page.get_by_label("Password", exact=True)).to_have_value("")
        assert tab.findings(ALL_RULES) == []
        expect(page.get_by_label("A user with a password")).to_be_checked()
        page.reload()
        expect(page.get_by_label("What to call it here")).to_have_value("")
        page.goto(f"{address}/ui/migrations/{ids['web01']}/convert")
        page.get_by_label("Passphrases of encrypted disks").fill("not to be kept")
        page.get_by_label("Go on in spite of").fill("raid")
        tab.context.clear_cookies()
        page.get_by_role("button", name="Convert now").click()
        page.get_by_text("what you sent has changed nothing").wait_for()
        kept = page.evaluate("JSON.stringify(sessionStorage)")
        assert ("raid" in kept, "not to be kept" in kept) == (True, False)
        page.goto(f"{address}/ui/login")
        fills_in(page, "rita")
        page.get_by_role("link", name="red").wait_for()
        assert "raid" not in page.evaluate("JSON.stringify(sessionStorage)"), "it is ann's"
        tab.close()
