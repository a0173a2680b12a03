"""A machine is protected, lost, and made anew in a real browser: between small clouds, whose work is really done."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import small_clouds
from backed_up import BackedUp
from looking import IN_BROWSER, Looking, expect, serving
from protected import InThisProcess
from rounds import in_this_process

from longshore.engine import embedded

pytestmark = IN_BROWSER
SOON = 60_000  # ms: until what runs is asked for again, on a busy machine


@pytest.fixture
def no_engine(monkeypatch):
    """Jobs wait until a test does them."""
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)


def in_a_thread(work, *what):
    """Playwright has an event loop of its own in this one."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work, *what).result()


def run(clouds):
    assert in_a_thread(clouds.engine)[0] == 0


def test_a_replica_is_seen_to_age_is_tried_and_fails_over(no_engine, chromium, tmp_path, monkeypatch):
    in_this_process(monkeypatch)
    replica = InThisProcess(tmp_path, rpo=3)
    in_a_thread(replica.sync, 3)
    (replica.world.root / "one-moment").touch()
    with serving(replica.store) as (address, person):
        tab = Looking(chromium, address, person.link)
        page = tab.page
        page.set_default_timeout(SOON)
        page.get_by_role("link", name="Replicas", exact=True).first.click()
        page.get_by_role("link", name="web").click()
        # The line falls once for each verified sync, and each is in the table beside it
        corners = page.locator(".ls-chart polyline").get_attribute("points").split()
        heights = [float(corner.split(",")[1]) for corner in corners]
        falls = sum(after > before for before, after in pairwise(heights))
        assert falls == len(replica.points) - 1 == 2, "before the first one there was nothing to be old"
        page.locator("summary", has_text="The same in figures").click()
        expect(page.get_by_role("table", name="Points as they came").locator("tbody tr")).to_have_count(3)

        # The source is gone: nothing more comes, and after what was asked for that is called missed
        replica.world.lose_machine()
        alert = page.get_by_text("The newest usable point is")
        expect(alert).to_be_visible(timeout=SOON)
        before = alert.inner_text()
        expect(alert).not_to_have_text(before, timeout=SOON)
        expect(page.get_by_text("protected, with problems")).to_be_visible()
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_text("rpo-breached")).to_be_visible()
        page.get_by_role("link", name="web").first.click()

        page.get_by_role("button", name="Test the newest point").click()
        expect(page.get_by_text("queued", exact=True).first).to_be_visible()
        run(replica)
        expect(page.locator(".ls-head")).to_contain_text("done", timeout=SOON)
        (tried,) = [m for m in replica.store.migrations.all() if m.request["type"] == "test-failover"]
        assert tried.result["proof"]
        expect(page.get_by_text(tried.result["proof"], exact=True)).to_be_visible()

        page.get_by_role("link", name="Replicas", exact=True).first.click()
        page.get_by_role("link", name="web").click()
        page.get_by_role("link", name="Fail over …").first.click()
        page.get_by_label("From the newest point", exact=False).check()
        page.get_by_role("button", name="Fail over now").click()
        expect(page.get_by_role("heading", name="web", exact=True)).to_be_visible()
        run(replica)
        expect(page.get_by_text("failed-over").first).to_be_visible(timeout=SOON)
        expect(page.get_by_role("link", name="Commit …")).to_be_visible()
        expect(page.get_by_role("link", name="Undo …")).to_be_visible()
        tab.close()
    (server,) = replica.world.read()["servers"].values()
    assert server.get("status", "ACTIVE") == "ACTIVE"


def test_a_backup_is_verified_and_restored_as_something_else(no_engine, chromium, tmp_path, monkeypatch):
    monkeypatch.setenv("SMALL_WORLD", str(tmp_path / "world"))
    small_clouds.install(monkeypatch.setattr)
    backed_up = BackedUp(tmp_path)
    (backed_up.world.root / "one-moment").touch()
    in_a_thread(backed_up.back_up)
    with serving(backed_up.store) as (address, person):
        tab = Looking(chromium, address, person.link)
        page = tab.page
        page.set_default_timeout(SOON)
        page.get_by_role("link", name="Backups").click()
        page.get_by_role("link", name="small-vault").click()
        page.get_by_role("button", name="Verify").click()
        expect(page.get_by_text("queued", exact=True).first).to_be_visible()
        run(backed_up)
        expect(page.locator(".ls-head")).to_contain_text("done", timeout=SOON)

        page.get_by_role("link", name="Backups").click()
        page.get_by_role("link", name="small-vault").click()
        page.get_by_role("link", name="Restore …").click()
        page.get_by_label("What to call the server").fill("web-again")
        page.get_by_label("Network for VM Network").select_option("private")
        page.get_by_label("Flavor").select_option(index=1)
        page.get_by_role("button", name="Check what stands against it").click()
        expect(page.get_by_role("table", name="What it takes")).to_contain_text("Volumes")
        page.get_by_role("button", name="Restore now").click()
        expect(page.get_by_role("heading", name="web", exact=True)).to_be_visible()
        run(backed_up)
        expect(page.locator(".ls-head")).to_contain_text("done", timeout=SOON)
        tab.close()
    (server,) = backed_up.world.read()["servers"].values()
    assert (server["name"], server.get("status", "ACTIVE")) == ("web-again", "ACTIVE")
