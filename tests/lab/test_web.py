"""A tenant who knows the pages alone: from logging in at the lab's Keystone to servers that are up, in a real browser.

Two tiny machines move warm, while the server that shows the pages is killed and started again.
"""

import re
import sys
from contextlib import contextmanager

import pytest
from lanes import PROJECT
from moves import READY, seen_on
from people import Person
from served import serving

from conftest import LONGSHORE, USER, last_acknowledged, running_tiny
from longshore.model.durations import duration
from longshore.wording.figures import size

sys.path.append(str(PROJECT / "tests" / "web"))

from looking import ALL_RULES, SHELL, Looking, expect, launched

pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.skipif(not SHELL.exists(), reason="needs Debian's chromium-headless-shell"),
]
MINUTE = 60_000  # ms
PICTURES = PROJECT / "build" / "screenshots" / "walk"
AT_ONCE = 10  # seconds that somebody waits for an answer to a choice, where the machine has other work
TIMES = 5
# When something is chosen, and when the concerns begin and cease to say that a network has no target
NOTES = """() => {
  const noted = (window.noted = []);
  const says = () => document.getElementById("concerns").textContent.includes("network-unmapped");
  let said = says();
  document.addEventListener("change", () => noted.push(["chosen", performance.now()]), true);
  new MutationObserver(() => {
    if (says() === said) return;
    said = !said;
    noted.push([said ? "said" : "gone", performance.now()]);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
SLOWLY = 3  # MiB/s of the source, so that there is something to see
# What is said on the console where nothing is wrong: of a server that is killed, and of a check that a later choice
# makes pointless
NO_FAULT = ("ERR_CONNECTION", "htmx:sendError", "htmx:sendAbort", "htmx:afterRequest")


@pytest.fixture
def two_tinies(sidedoor, lab):
    with running_tiny(sidedoor, lab) as one, running_tiny(sidedoor, lab) as other:
        yield one, other
        sidedoor.clear_trouble()


@contextmanager
def browsing(url):
    PICTURES.mkdir(parents=True, exist_ok=True)
    with launched() as browser:
        tab = Looking(browser, url, "/readyz", locale="en-GB", viewport={"width": 1440, "height": 900})
        tab.page.set_default_timeout(MINUTE)
        expect.set_options(timeout=MINUTE)
        tab.page.goto(f"{url}/ui/login", timeout=2 * MINUTE)
        tab.wrong.clear()  # what isn't a page has no icon
        yield tab
        tab.context.close()


def pictured(page, name):
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def seconds(all_of_them):
    return ", ".join(f"{one:.2f}" for one in all_of_them) + " s"


def seconds_in(text):
    """Of a duration as pages write it."""
    units = {"s": 1, "min": 60, "h": 3600}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+) (s|min|h)\b", text))


def log_in(page, lab):
    page.get_by_label("User").fill(lab.cloud["auth"]["username"])
    page.get_by_label("Password").fill(lab.tenant_password)
    page.get_by_role("button", name="Log in").click()
    project = page.get_by_role("button", name=lab.cloud["auth"]["project_name"], exact=True)
    overview = page.get_by_role("heading", name="Overview")
    expect(project.or_(overview).first).to_be_visible()
    if project.count():
        project.click()
    expect(overview).to_be_visible()


def add_both_clouds(page, lab):
    """From the empty overview."""
    pictured(page, "01-empty")
    page.get_by_role("link", name="Add a vCenter").click()
    page.get_by_label("Host").fill(lab.vcenter)
    page.get_by_role("button", name="Look at its certificate").click()
    expect(page.get_by_text(lab.fingerprint())).to_be_visible()
    page.get_by_label("I have compared it").check()
    page.get_by_label("What to call it here").fill("vc")
    page.get_by_label("Account").fill(USER)
    page.get_by_label("Password").fill(lab.vcenter_password)
    pictured(page, "02-fingerprint")
    page.get_by_role("button", name="Log in and add").click()
    expect(page.get_by_role("heading", name="vc", exact=True)).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Add an OpenStack").click()
    page.get_by_label("What to call it here").fill("cloud")
    pictured(page, "03-this-project")
    page.get_by_role("button", name="Log in and add").click()
    expect(page.get_by_role("heading", name="cloud", exact=True)).to_be_visible()


def plan(page, tinies):
    """Up to the mappings, with a look back at what was said."""
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Machines of vc").click()
    page.get_by_role("searchbox").fill("name:tiny-")
    page.get_by_role("button", name="Search", exact=True).click()
    for tiny in tinies:
        page.get_by_label(f"Choose {tiny.name}").check()
    pictured(page, "04-machines")
    page.get_by_role("button", name="Plan the chosen ones").click()
    page.get_by_label("What to call the plan").fill("weekend")
    page.get_by_label(re.compile("^Warm")).check()
    page.get_by_role("button", name="Propose mappings").click()
    page.get_by_label("Unchanged, on the target's own hardware").check()
    page.get_by_label("What its console shows").fill(READY)
    page.get_by_label("What its console shows").blur()


def until_said(page):
    """Seconds from leaving the network without a target until that is a blocker, and from choosing one until it isn't:
    as the page sees them."""
    concerns, network = page.locator("#concerns"), page.get_by_label("Network for VM Network")
    network.select_option("private")
    expect(concerns).not_to_contain_text("Both clouds are asked when you go on")
    expect(concerns).not_to_contain_text("blocker")
    page.evaluate(NOTES)
    for _ in range(TIMES):
        network.select_option("")
        expect(concerns).to_contain_text("network-unmapped")
        expect(concerns).to_contain_text("blocker")
        network.select_option("private")
        expect(concerns).not_to_contain_text("network-unmapped")
        expect(concerns).not_to_contain_text("blocker")
    noted = page.evaluate("noted")
    assert [what for what, _at in noted] == ["chosen", "said", "chosen", "gone"] * TIMES
    taken = [(after - before) / 1000 for (_, before), (_, after) in zip(noted[::2], noted[1::2], strict=True)]
    return taken[::2], taken[1::2]


def faults(tab):
    return [said for said in tab.wrong if not any(word in said for word in NO_FAULT)]


def nothing_is_lost(tab):
    """By Back, by a reload, in a second tab."""
    page = tab.page

    def as_it_was(seen):
        expect(seen.get_by_label("Network for VM Network")).to_have_value("private")
        expect(seen.get_by_label("What its console shows")).to_have_value(READY)
        expect(seen.get_by_label("Unchanged, on the target's own hardware")).to_be_checked()

    page.reload()
    as_it_was(page)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.go_back()
    as_it_was(page)
    with tab.context.expect_page() as opened:
        page.evaluate("window.open(location.href)")
    as_it_was(opened.value)
    opened.value.close()


class Figures:
    """What the command says of the same plan."""

    def __init__(self, lab, served):
        self._ann = Person({"OS_CLOUD": "lab", "OS_CLIENT_CONFIG_FILE": str(lab.clouds_file)})
        self._url = served.url

    def read(self):
        return self._ann.json("plan", "report", "weekend", program=LONGSHORE, LONGSHORE_URL=self._url)

    def are_on(self, page):
        """Of a plan whose machines rest: on its own page, and on its report's."""
        report = self.read()
        for state, count in report["states"].items():
            expect(page.get_by_text(f"{count} {state}", exact=True).first).to_be_visible()
        for machine in report["machines"]:
            row = page.locator("tr", has=page.get_by_role("link", name=machine["machine"], exact=True))
            expect(row.get_by_text(machine["report"]["phase"], exact=True).first).to_be_visible()
            if (off := machine["report"]["downtime_seconds"]) is not None:
                expect(row.get_by_text(duration(off), exact=True)).to_be_visible()
        page.get_by_role("link", name="Report").click()
        facts = page.get_by_text("Read back from the target and compared").locator("xpath=ancestor::dl")
        expect(facts).to_contain_text(size(report["bytes_verified"]))
        expect(facts).to_contain_text(size(report["bytes_read"]))
        page.go_back()
        return report


def test_a_tenant_moves_two_machines_with_nothing_but_a_browser(
    tmp_path, lab, admin_cloud, cloud, sidedoor, two_tinies, tidy, tell
):
    one, other = two_tinies
    with serving(tmp_path, lab, admin_cloud.identity) as served, browsing(served.url) as tab:
        page = tab.page
        log_in(page, lab)
        add_both_clouds(page, lab)
        plan(page, two_tinies)
        unmapped, mapped = until_said(page)
        tell(f"unmapped it is a blocker after {seconds(unmapped)}; mapped it isn't after {seconds(mapped)}")
        assert max(min(unmapped), min(mapped)) < AT_ONCE
        assert tab.findings(ALL_RULES) == []
        pictured(page, "05-mappings")
        nothing_is_lost(tab)
        assert faults(tab) == []
        page.get_by_role("button", name="Keep and check").click()
        pictured(page, "06-check")
        for tiny in two_tinies:
            sidedoor.set_read_speed(tiny.name, 2000, SLOWLY)
        page.get_by_role("button", name="Start it: warm").click()

        # It moves without a reload, and goes on when the server does
        page.evaluate("window.stayed = true")
        row = page.locator("tr", has=page.get_by_role("link", name=one.name, exact=True))
        bar = row.get_by_role("progressbar", name="Hard disk 1")
        expect(bar).to_be_visible()
        before = bar.get_attribute("value")
        expect(bar).not_to_have_attribute("value", before)
        away = page.get_by_text("What you see isn't up to date")
        expect(away).to_be_hidden()
        pictured(page, "07-under-way")
        assert faults(tab) == []
        served.kill()
        expect(away).to_be_visible()
        pictured(page, "08-away")
        before = bar.get_attribute("value")
        served.start()
        expect(away).to_be_hidden()
        expect(bar.or_(row.get_by_text("waits for cutover"))).to_be_visible()
        assert not bar.count() or bar.get_attribute("value") != before
        assert page.evaluate("window.stayed"), "nobody has loaded it again"
        assert faults(tab) == []
        sidedoor.clear_trouble()

        # Both wait to be told, and the overview says so
        waiting = page.locator("tbody").get_by_text("waits for cutover", exact=True)  # beside a choice of that name
        expect(waiting).to_have_count(2, timeout=3 * MINUTE)
        assert page.evaluate("window.stayed")
        pictured(page, "09-waits")
        figures = Figures(lab, served)
        figures.are_on(page)
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_text("waits for cutover", exact=True)).to_have_count(2)
        pictured(page, "10-overview")
        acknowledged = {}
        for tiny in two_tinies:
            page.get_by_role("link", name="Plans").click()
            page.get_by_role("link", name="weekend").click()
            page.get_by_role("link", name=tiny.name, exact=True).click()
            page.get_by_role("link", name="Cut over …").click()
            told = page.get_by_text(re.compile("Expected to be off|nothing has shown yet")).inner_text()
            pictured(page, f"11-cutover-of-{two_tinies.index(tiny)}")
            acknowledged[tiny] = last_acknowledged(sidedoor.console(tiny.name))
            page.get_by_role("button", name="Cut over now").click()
            expect(page.locator(".ls-head")).to_contain_text("done", timeout=3 * MINUTE)
        page.get_by_role("link", name="Console").click()
        expect(page.get_by_text(READY)).to_be_visible()
        pictured(page, "12-console")

        page.get_by_role("link", name="Plans").click()
        page.get_by_role("link", name="weekend").click()
        report = figures.are_on(page)
        pictured(page, "13-done")
        assert faults(tab) == []
    expected = seconds_in(told.partition(":")[0])
    took = next(m["report"]["downtime_seconds"] for m in report["machines"] if m["machine"].endswith(other.name))
    tell(f"expected to be off for {expected} s, was off for {took:.1f} s")
    assert took / 2 <= expected <= took * 2
    servers = {server.name: server for server in cloud.compute.servers()}
    for tiny in two_tinies:
        assert (servers[tiny.name].status, sidedoor.machine(tiny.name)["power"]) == ("ACTIVE", "poweredOff")
        verified = seen_on(cloud, servers[tiny.name].id).verified
        assert (verified.bad, verified.last >= acknowledged[tiny] > 0) == (0, True)
