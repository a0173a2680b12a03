"""A vCenter of 10,000 machines on pages: how long one waits, how large what comes is, and that all that fit are meant.

The figures are those of a person who waits, and hold on a quiet machine; they are told with the result.
"""

import time

import pytest
from looking import IN_BROWSER, Looking, expect, serving
from small_fleet import Fleet, fleet_connect
from vcenter.paper import paper_vcenter

from longshore.providers.registry import connect as really_connect
from longshore.providers.vsphere.certificate import fetch_fingerprint

pytestmark = [*IN_BROWSER, pytest.mark.soak, pytest.mark.timeout(1800)]
MANY = 10_000
FIRST, SEARCH = 2.0, 0.5  # seconds
LARGEST, MOST = 1 << 20, 5000  # bytes and elements of a page


def connect(kind, *how):
    return really_connect(kind, *how) if kind == "vsphere" else fleet_connect(kind, *how)


@pytest.fixture
def ten_thousand(store, tmp_path, monkeypatch):
    """A store with their vCenter, and a small cloud."""
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", connect)
    (tmp_path / "paper").mkdir()
    with paper_vcenter(tmp_path / "paper") as paper:
        paper.sidedoor.add_paper_machines(MANY, prefix="many")
        where = {"host": paper.host, "port": paper.port, "username": paper.user}
        where["fingerprint"] = fetch_fingerprint(paper.host, paper.port)
        store.providers.add("vc", "vsphere", where, {"password": paper.password})
        root = str(Fleet.create(tmp_path / "fleet").root)
        store.providers.add("cloud", "openstack", {"root": root}, {"password": "x"})
        yield store


def test_ten_thousand_machines_are_searched_chosen_and_planned(ten_thousand, chromium, record_property):
    with serving(ten_thousand) as (address, person):
        tab = Looking(chromium, address, person.link, locale="en-GB")
        page = tab.page
        page.set_default_timeout(600_000)
        sizes, elements = [], []
        page.on(
            "response", lambda got: sizes.append(len(got.body())) if got.url.startswith(f"{address}/ui/p") else None
        )

        def seconds(does, shows):
            began = time.monotonic()
            does()
            expect(page.get_by_text(shows).first).to_be_visible(timeout=600_000)
            took = time.monotonic() - began
            elements.append(page.locator("*").count())
            return took

        def open_first_page():
            page.goto(f"{address}/ui/providers/vc/machines")

        def search():
            page.get_by_role("searchbox").fill("many0012")
            page.get_by_role("button", name="Search", exact=True).click()

        reading = seconds(open_first_page, f"1–50 of {MANY}")
        first = searched = 1e9
        for _ in range(3):
            first = min(first, seconds(open_first_page, f"1–50 of {MANY}"))
            searched = min(searched, seconds(search, "1–10 of 10"))
        # All that fit, whichever page is seen
        page.get_by_role("button", name="Plan all 10 that fit").click()
        expect(page.get_by_role("heading", name="A plan for 10 machines of vc")).to_be_visible()
        open_first_page()
        page.get_by_role("button", name=f"Plan all {MANY} that fit").click()
        page.get_by_label("What to call the plan").fill("all")
        page.get_by_role("button", name="Propose mappings").click()
        page.wait_for_url("**/plans/all/mappings", wait_until="commit")
        seconds(lambda: page.goto(f"{address}/ui/plans/all"), f"1–50 of {MANY}")
        told = f"read in {reading:.1f} s; first page {first:.2f} s, search {searched:.2f} s; largest page"
        record_property("told", f"{told} {max(sizes)} bytes, {max(elements)} elements")
        print(told, max(sizes), max(elements))
        tab.close()
    assert len(ten_thousand.plans.get("all").content["machines"]) == MANY
    assert max(sizes) < LARGEST
    assert max(elements) < MOST
    assert first <= FIRST
    assert searched <= SEARCH
