"""Coming back from Keystone, which is another site, with a real browser: its cookies, and whence it says a form is."""

from looking import ALL_RULES, IN_BROWSER, Looking, expect, listening_at
from many import Many

from longshore.configuration import SingleSignOnSettings

pytestmark = IN_BROWSER
WAYS = [SingleSignOnSettings(name="Company account", protocol="openid")]


def test_somebody_goes_to_keystone_and_comes_back_to_the_page_that_was_wanted(many_filled, chromium):
    keystone = many_filled.keystone
    elsewhere = keystone.url.replace("127.0.0.1", "localhost")

    def make(port):
        keystone.trusted.add(f"http://127.0.0.1:{port}/ui/login/sso")
        url = f"http://127.0.0.1:{port}"
        return Many(many_filled.store, keystone, url, sso=WAYS, public_url=f"{elsewhere}/v3").app

    with listening_at(make) as address:
        tab = Looking(chromium, address, "/ui/plans", locale="en-GB")
        page = tab.page
        page.set_default_timeout(60_000)
        assert tab.findings(ALL_RULES) == []
        keystone.federated["openid"] = "rita"  # who has one project
        page.get_by_role("link", name="Log in with Company account").click()
        expect(page.get_by_role("heading", name="Continue as rita?")).to_be_visible()
        assert tab.findings(ALL_RULES) == []
        cookies = {one["name"] for one in tab.context.cookies()}
        assert not [one for one in cookies if one.startswith("longshore_") and one.rpartition("_")[2].isdigit()]
        page.get_by_role("button", name="Continue", exact=True).click()
        page.wait_for_url(f"{address}/ui/plans")
        expect(page.get_by_role("link", name="shop", exact=True)).to_be_visible()
        tab.wrong = [one for one in tab.wrong if not one.startswith(f"asked {elsewhere}/v3/auth/OS-FEDERATION/")]
        tab.close()
