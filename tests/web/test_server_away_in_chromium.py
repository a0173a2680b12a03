"""A server of its own process, which is killed while a page of it is looked at, and started again."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from looking import IN_BROWSER, Looking, expect

from longshore.engine.lock import lock
from longshore.wording.states import of_status
from ports import port_to_serve

pytestmark = IN_BROWSER
LONGSHORE = Path(sys.executable).with_name("longshore")
SOON = 60_000  # ms


@contextmanager
def server_of(configuration, log):
    """`longshore server` until it is killed, as a power cut would."""
    with log.open("ab") as said:
        process = subprocess.Popen([LONGSHORE, "--config", configuration, "server"], stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_it_answers(address, log):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            httpx.get(f"{address}/ui/login")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def test_a_page_says_that_its_server_is_away_and_goes_on_by_itself_when_it_is_back(many_filled, chromium, tmp_path):
    store, port = many_filled.of("red"), port_to_serve()
    configuration, log, address = tmp_path / "longshore.toml", tmp_path / "log", f"http://127.0.0.1:{port}"
    configuration.write_text(
        f'state = "{many_filled.store.state.root}"\n[server]\nport = {port}\nsecrets = "database"\n'
        f'[server.keystone]\nauth_url = "{many_filled.keystone.url}/v3"\npassword = "service"\n'
    )
    (copying,) = [m for m in store.migrations.all() if m.machine_name == "app02"]

    def copied(gib):
        progress = {"done": gib << 30, "total": 40 << 30, "verified": 0, "to_verify": 0, "rate": 1 << 20, "eta": 9.0}
        store.disks.update(copying.id, "2000", progress=progress)

    with lock(many_filled.store.state):  # as if an engine were at work
        with server_of(configuration, log):
            wait_until_it_answers(address, log)
            tab = Looking(chromium, address, "/ui/login?to=/ui/plans/shop", locale="en-GB")
            page = tab.page
            page.set_default_timeout(SOON)
            page.get_by_label("User").fill("ann")
            page.get_by_label("Password").fill("ann's secret")
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("button", name="red").click()
            page.evaluate("window.stayed = true")
            copied(20)
            expect(page.get_by_text("20.0 GiB of 40.0 GiB")).to_be_visible(timeout=SOON)
            away = page.get_by_text("What you see isn't up to date")
            expect(away).to_be_hidden()
            assert tab.wrong == []
        expect(away).to_be_visible(timeout=SOON)
        copied(30)
        with server_of(configuration, log):
            expect(page.get_by_text("30.0 GiB of 40.0 GiB")).to_be_visible(timeout=SOON)
            expect(away).to_be_hidden()
            assert page.evaluate("window.stayed"), "nobody has loaded it again"
            of_that = ("ERR_CONNECTION", "htmx:sendError", "htmx:afterRequest")
            assert [said for said in tab.wrong if not any(one in said for one in of_that)] == []
            report = reported(many_filled.store.state)
            for machine in report["machines"]:
                row = page.locator("tr", has=page.get_by_role("link", name=machine["machine"], exact=True))
                expect(row.get_by_text(machine["report"]["phase"], exact=True)).to_be_visible()
            for state, count in report["states"].items():
                expect(page.get_by_text(of_status(state).of(count)).first).to_be_visible()
    tab.context.close()


def reported(state):
    """What the command says of the same plan."""
    words = [LONGSHORE, "--state", state.root, "plan", "report", "shop", "-f", "json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
