"""A stranger's walk: from the first page to the console of the server that a machine has become. Between small clouds,
whose work an engine of its own process really does."""

import time

import pytest
from lives import FleetLife
from looking import ALL_RULES, IN_BROWSER, Looking, expect, serving
from small_fleet import Fleet, FleetTarget, fleet_connect

from longshore.engine import embedded
from longshore.planning import planfile
from longshore.store import StateDirectory, Store

pytestmark = IN_BROWSER
SOON = 60_000  # ms, on a busy machine


@pytest.fixture
def fleet(tmp_path):
    return Fleet.create(tmp_path / "fleet")


@pytest.fixture
def store(tmp_path, fleet, monkeypatch):
    """Of two clouds that are known already; what is started there is done."""
    engines = []

    def ensure_running(state):
        if not embedded.is_locked(state):
            engines.append(FleetLife(state.root, fleet.root))
            while not embedded.is_locked(state) and engines[-1].poll() is None:
                time.sleep(0.05)

    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", fleet_connect)
    monkeypatch.setattr(embedded, "ensure_running", ensure_running)
    store = Store(StateDirectory(tmp_path / "state"))
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {"root": str(fleet.root)}, {"password": "x"})
    yield store
    for engine in engines:
        if engine.poll() is None:
            engine.kill()
    store.close()


def test_a_machine_is_moved_from_the_first_page_to_its_servers_console(store, fleet, chromium):
    silent = fleet.world("app01").root / "silent"
    silent.touch()
    with serving(store) as (address, person):
        tab = Looking(chromium, address, person.link, color_scheme="dark", locale="en-GB")
        page = tab.page
        page.set_default_timeout(SOON)
        page.get_by_role("link", name="Machines of vc").click()
        page.get_by_label("Choose app01").check()
        page.get_by_role("button", name="Plan the chosen ones").click()
        page.get_by_label("What to call the plan").fill("shop")
        page.get_by_role("button", name="Propose mappings").click()
        concerns = page.locator("#concerns")
        expect(concerns).to_contain_text("boot-proof-unsure")  # both clouds were asked
        expect(concerns).to_contain_text("In a plan's mappings that may be a port that answers")
        page.get_by_label("Network for VM Network").select_option("")
        expect(concerns).to_contain_text("network-unmapped")
        page.get_by_label("Network for VM Network").select_option("private")
        expect(concerns).not_to_contain_text("network-unmapped")
        page.get_by_label("Ports of which one answers").fill("ssh")
        page.get_by_label("Ports of which one answers").blur()
        expect(concerns).to_contain_text("ssh isn't the number of a port.")
        page.get_by_label("Ports of which one answers").fill("")
        page.get_by_label("Ports of which one answers").blur()
        expect(concerns).not_to_contain_text("ssh isn't the number of a port.")
        page.get_by_label("What its console shows").fill("login:")
        page.get_by_label("What its console shows").blur()
        expect(concerns).not_to_contain_text("boot-proof-unsure")
        page.get_by_role("button", name="Keep and check").click()
        page.get_by_role("button", name="Start it: cold").click()

        # It is done without a reload; what is waited for is said, and its console is a click away
        page.evaluate("window.stayed = true")
        expect(page.get_by_text("checking", exact=True)).to_be_visible()
        assert page.evaluate("window.stayed")
        page.get_by_role("link", name="app01", exact=True).click()
        expect(page.get_by_text("its console shows login:")).to_be_visible()
        page.get_by_role("link", name="Console").click()
        page.evaluate("window.stayed = true")
        expect(page.get_by_text("Nothing yet.")).to_be_visible()
        silent.unlink()
        expect(page.get_by_text("web login:")).to_be_visible()
        expect(page.get_by_text("done", exact=True)).to_be_visible()
        assert page.evaluate("window.stayed")
        assert tab.findings(ALL_RULES) == []
        page.get_by_role("link", name="Back to the migration").click()
        expect(page.get_by_text("console: login:", exact=True)).to_be_visible()

        # And there is a way on
        page.get_by_role("link", name="Overview").click()
        page.get_by_role("link", name="Move machines of vc …").click()
        expect(page.get_by_label("Choose app02")).to_be_visible()
        page.get_by_label("Colours").select_option("light")
        expect(page.locator("html")).not_to_have_class("pf-v6-theme-dark")
        tab.close()
    (server,) = fleet.world("app01").read()["servers"].values()
    assert server.get("status", "ACTIVE") == "ACTIVE"


def test_a_guest_that_may_be_none_to_convert_lands_unchanged_by_a_button_beside_what_is_said_of_it(
    store, fleet, chromium
):
    """Which is in the middle of the form of all mappings, and sends what it says and nothing else."""
    with fleet.world("app01").change() as machine:
        machine["guest_id"] = "other5xLinux64Guest"
    plan = {"name": "shop", "source": "vc", "target": "cloud", "machines": [{"machine": "app01", "ref": "vm-1"}]}
    store.plans.add("shop", planfile.plain(planfile.from_plain(plan)))
    with serving(store) as (address, person):
        tab = Looking(chromium, address, person.link, locale="en-GB")
        page = tab.page
        page.goto(f"{address}/ui/plans/shop/mappings")
        concerns = page.locator("#concerns")
        expect(concerns).to_contain_text("guest-os-unknown", timeout=SOON)
        assert tab.findings(ALL_RULES) == []
        page.get_by_label("Network for VM Network").select_option("private")
        expect(concerns).not_to_contain_text("network-unmapped", timeout=SOON)
        page.get_by_role("button", name="Unchanged, on the target's own hardware").click()
        page.wait_for_url("**/ui/plans/shop/concerns?type=cold*", timeout=SOON)
        expect(page.locator("#concerns")).to_contain_text("boot-proof-unsure")
        expect(page.locator("#concerns")).not_to_contain_text("guest-os-unknown")
        tab.close()
    kept = store.plans.get("shop").content
    assert kept["machines"] == [{"machine": "app01", "ref": "vm-1", "landing": "unchanged"}]
    assert kept["mappings"]["networks"] == {"VM Network": "private"}


def test_choices_that_are_quicker_than_the_clouds_answers_are_all_kept(store, chromium, monkeypatch):
    plan = {"name": "shop", "source": "vc", "target": "cloud", "machines": [{"machine": "app01", "ref": "vm-1"}]}
    store.plans.add("shop", planfile.plain(planfile.from_plain(plan)))
    slow = FleetTarget.quota_room
    monkeypatch.setattr(FleetTarget, "quota_room", lambda self: time.sleep(1) or slow(self))
    with serving(store) as (address, person):
        tab = Looking(chromium, address, person.link, locale="en-GB")
        page = tab.page
        page.goto(f"{address}/ui/plans/shop/mappings")
        concerns = page.locator("#concerns")
        expect(concerns).to_contain_text("network-unmapped", timeout=SOON)
        page.get_by_label("Network for VM Network").select_option("private")
        page.get_by_label("Flavor for 1 CPU").select_option("large")
        page.get_by_label("Unchanged, on the target's own hardware").check()
        page.get_by_label("What its console shows").fill("ready")
        page.get_by_label("What its console shows").blur()
        expect(concerns).not_to_contain_text("boot-proof-unsure", timeout=SOON)
        expect(concerns).not_to_contain_text("changed meanwhile")
        expect(concerns).not_to_contain_text("network-unmapped")
        tab.close()
    kept = store.plans.get("shop").content
    assert kept["mappings"]["networks"] == {"VM Network": "private"}
    assert kept["mappings"]["flavors"] == [{"flavor": "large", "cpus": 1, "memory_mib": 256}]
    assert {name: kept["defaults"][name] for name in ("landing", "boot_mark")} == {
        "landing": "unchanged",
        "boot_mark": "ready",
    }


def test_what_is_changed_while_a_check_goes_on_is_not_lost(store, fleet, chromium, monkeypatch):
    """While one change is on its way and the next waits for its turn, the page asks for the rest of the check."""
    monkeypatch.setattr("longshore.web.pages.checks._WAITED_FOR", 0.3)
    machines = [{"machine": "app01", "ref": "vm-1"}]
    plan = {"name": "shop", "source": "vc", "target": "cloud", "machines": machines}
    store.plans.add("shop", planfile.plain(planfile.from_plain(plan)))
    with serving(store) as (address, person):
        page = Looking(chromium, address, person.link).page
        page.goto(f"{address}/ui/plans/shop/mappings")
        concerns = page.locator("#concerns")
        expect(concerns).to_contain_text("network-unmapped")
        fleet.hold()
        page.get_by_label("Network for VM Network").select_option("private")
        expect(concerns).to_contain_text("0 of 1 looked at")
        held = []
        page.route("**/mappings", lambda route: route.continue_() if held else held.append(route))
        page.get_by_label("Network for VM Network").select_option("")
        while not held:
            page.wait_for_timeout(50)
        page.get_by_label("Ports of which one answers").fill("ssh")
        page.get_by_label("Ports of which one answers").blur()
        page.wait_for_timeout(1500)  # the page would have asked by now
        held[0].continue_()
        expect(concerns).to_contain_text("ssh isn't the number of a port.")
        fleet.go_on()
