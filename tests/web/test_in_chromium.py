"""The pages in a real browser: what is refused or complained of on its console, what axe finds, how they look."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import uvicorn
from filled import backups, fill

from longshore.service import create_app
from longshore.web.alone import _listen
from longshore.web.app import create_pages
from longshore.web.front import Front
from longshore.web.session import OnePerson

SHELL = Path("/usr/bin/chromium-headless-shell")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not SHELL.exists(), reason="needs Debian's chromium-headless-shell"),
]

AXE = (Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js").read_text()
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
# What no other theme or width shows is looked for once
RULES = {
    ("light", "wide"): ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    ("dark", "wide"): ["color-contrast"],
    ("light", "narrow"): ["target-size", "scrollable-region-focusable"],
    ("dark", "narrow"): [],
}
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


@contextmanager
def serving(store):
    """The address of pages over this store, and who may open them."""
    listening = _listen(0)
    port = listening.getsockname()[1]
    person = OnePerson(f"longshore_{port}")
    pages = create_pages(create_app(store, local_files=True), person)
    server = uvicorn.Server(uvicorn.Config(Front(pages, frozenset({f"127.0.0.1:{port}"})), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}", person
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=str(SHELL), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


class Looking:
    """A tab that has opened the pages, and notes whatever isn't as it should be."""

    def __init__(self, chromium, address, person, **how):
        self.address = address
        self.context = chromium.new_context(**how)
        self.page = self.context.new_page()
        self.wrong = []
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._foreign)
        self.page.on(
            "response", lambda got: self.wrong.append(f"{got.status} {got.url}") if got.status >= 400 else None
        )
        self.page.goto(address + person.link)

    def _foreign(self, request):
        if not request.url.startswith((self.address, "data:")):
            self.wrong.append(f"asked {request.url}")

    def findings(self, rules):
        """What axe finds against these of its rules and groups of rules."""
        self.page.evaluate(AXE)
        found = self.page.evaluate(f"axe.run(document, {{runOnly: {rules}}})")
        return [
            (one["id"], [node["html"][:200] + " " + node["failureSummary"][:200] for node in one["nodes"][:3]])
            for one in found["violations"]
        ]


def addresses(ids):
    return {
        "overview": "/ui/",
        "providers": "/ui/providers",
        "provider": "/ui/providers/vc",
        "vcenter": "/ui/providers/new/vsphere",
        "openstack": "/ui/providers/new/openstack",
        "machines": "/ui/providers/vc/machines",
        "machine": "/ui/providers/vc/machines/vm-1",
        "plans": "/ui/plans",
        "plan": "/ui/plans/shop",
        "new-plan": "/ui/new-plan?source=vc&which=all&q=app",
        "mappings": "/ui/plans/shop/mappings",
        "concerns": "/ui/plans/shop/concerns",
        "migrations": "/ui/migrations",
        "migration": f"/ui/migrations/{ids['app02']}",
        "failed": f"/ui/migrations/{ids['db01']}",
        "cutover": f"/ui/migrations/{ids['app01']}/cutover",
        "replicas": "/ui/replicas",
        "replica": f"/ui/replicas/{ids['replica']}",
        "failover": f"/ui/replicas/{ids['replica']}/failover",
        "groups": "/ui/replicas/groups",
        "group": "/ui/replicas/groups/rack",
        "new-group": "/ui/replicas/groups/rack/edit",
        "test-group": "/ui/replicas/groups/rack/test",
        "fail-group-over": "/ui/replicas/groups/rack/failover",
        "backups": "/ui/backups",
        "vault": "/ui/backups/vaults/offsite",
        "point": f"/ui/backups/vaults/offsite/points/{quote(ids['point'], safe='')}",
        "restore": f"/ui/backups/vaults/offsite/restore/{quote(ids['point'], safe='')}",
        "back-up": "/ui/backups/new?source=vc&machine=vm-1&machine=vm-2",
        "policy": "/ui/backups/policies/nightly",
        "new-policy": "/ui/backups/new-policy",
    }


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_look_well_and_nothing_complains(three_machines, chromium, theme, width):
    ids = fill(three_machines)
    (SCREENSHOTS / f"{theme}-{width}").mkdir(parents=True, exist_ok=True)
    across, down = SIZES[width]
    with serving(three_machines) as (address, person):
        looking = Looking(
            chromium,
            address,
            person,
            viewport={"width": across, "height": down},
            color_scheme=theme,
            reduced_motion="reduce",
        )
        found = {}
        for name, path in addresses(ids).items():
            looking.page.goto(address + path, wait_until="networkidle")
            rules = RULES[theme, width]
            if rules and (findings := looking.findings(rules)):
                found[name] = findings
            over = looking.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                found.setdefault(name, []).append(f"{over} pixels too wide")
            looking.page.screenshot(path=SCREENSHOTS / f"{theme}-{width}" / f"{name}.png", full_page=True)
        looking.context.close()
    assert (found, looking.wrong) == ({}, [])


def test_what_runs_moves_without_reload_and_what_is_opened_stays_open(three_machines, chromium):
    ids = fill(three_machines)
    expect = playwright.expect
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person)
        page = looking.page
        page.goto(f"{address}/ui/migrations/{ids['app02']}")
        page.evaluate("window.stayed = true")
        expect(page.locator("progress")).to_have_attribute("value", str(12 << 30))
        progress = {"done": 30 << 30, "total": 40 << 30, "verified": 0, "to_verify": 0, "rate": 1 << 20, "eta": 9.0}
        three_machines.disks.update(ids["app02"], "2000", progress=progress)
        three_machines.events.enter(ids["app02"], "copying", "Nearly there.")
        expect(page.locator("progress")).to_have_attribute("value", str(30 << 30), timeout=60_000)
        expect(page.get_by_text("Nearly there.")).to_be_visible()
        page.goto(f"{address}/ui/replicas/{ids['replica']}")
        page.locator("summary").click()
        three_machines.replicas.update(
            ids["replica"], failures=1, error="The source is away.", error_code="unreachable"
        )
        expect(page.get_by_text("The last sync failed: The source is away.")).to_be_visible(timeout=60_000)
        expect(page.locator("details")).to_have_attribute("open", "")
        looking.context.close()
        assert looking.wrong == []


def test_a_plan_is_made_in_the_browser_and_its_blocker_goes_as_it_is_mapped(three_machines, chromium):
    expect = playwright.expect
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person, color_scheme="dark")
        page = looking.page
        page.goto(f"{address}/ui/providers/vc/machines")
        page.get_by_label("Choose app01").check()
        page.get_by_role("button", name="Plan the chosen ones").click()
        page.get_by_label("What to call the plan").fill("shop")
        page.get_by_role("button", name="Propose mappings").click()
        concerns = page.locator("#concerns")
        expect(concerns).to_contain_text("boot-proof-unsure", timeout=60_000)  # both clouds were asked
        page.get_by_label("Network for VM Network").select_option("")
        expect(concerns).to_contain_text("network-unmapped", timeout=60_000)
        page.get_by_label("Network for VM Network").select_option("private")
        expect(concerns).not_to_contain_text("network-unmapped", timeout=60_000)
        page.get_by_role("button", name="Keep and check").click()
        page.get_by_role("button", name="Start it: cold").click()
        expect(page.get_by_text("1 queued").first).to_be_visible()
        page.get_by_label("Colours").select_option("light")
        expect(page.locator("html")).not_to_have_class("pf-v6-theme-dark")
        looking.context.close()
        assert looking.wrong == []


def test_a_machine_is_backed_up_and_a_point_restored_in_the_browser(three_machines, chromium):
    backups(three_machines, three_machines.providers.get("vc"))
    expect = playwright.expect
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person, viewport={"width": 390, "height": 844})
        page = looking.page
        page.goto(f"{address}/ui/providers/vc/machines")
        page.get_by_label("Choose db01").check()
        page.get_by_role("button", name="Back up the chosen ones").click()
        expect(page.get_by_role("listitem").filter(has_text="db01")).to_be_visible()
        page.get_by_role("button", name="Back up now").click()
        expect(page.get_by_role("heading", name="db01")).to_be_visible()
        page.get_by_role("link", name="Backups").click()
        page.get_by_role("link", name="offsite").click()
        page.get_by_label("A part of the machine's name").fill("app")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Restore").first.click()
        expect(page.get_by_role("button", name="Restore now")).to_have_count(0)
        page.get_by_label("Network for VM Network").select_option("private")
        page.get_by_label("How").select_option("dry-run")
        page.get_by_role("button", name="Check what stands against it").click()
        expect(page.locator("#concerns")).to_contain_text("boot-proof-unsure", timeout=60_000)
        page.get_by_role("button", name="Restore now").click()
        expect(page.get_by_role("heading", name="app01")).to_be_visible()
        looking.context.close()
        assert looking.wrong == []
