"""What every page looks like in a real browser: photographed in each width and theme, in German too, and looked through
for what axe finds, what is wider than the screen, and what the console complains of. `make browser-test` leaves the
pictures in build/screenshots, for a person to look at."""

from pathlib import Path
from urllib.parse import quote

import pytest
from filled import fill
from looking import ALL_RULES, IN_BROWSER, SIZES, Looking, listening_at, serving
from many import Many

pytestmark = IN_BROWSER
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
# What no other theme or width shows is looked for once
RULES = {
    ("light", "wide"): ALL_RULES,
    ("dark", "wide"): ["color-contrast"],
    ("light", "narrow"): ["target-size", "scrollable-region-focusable"],
    ("dark", "narrow"): ["color-contrast"],
}
EACH = [(theme, width) for theme in ("light", "dark") for width in SIZES]


def addresses(ids):
    plan, replica, point = "/ui/plans/shop", f"/ui/replicas/{ids['replica']}", quote(ids["point"], safe="")
    vault, group = "/ui/backups/vaults/offsite", "/ui/replicas/groups/rack"
    return {
        "overview": "/ui/",
        "providers": "/ui/providers",
        "provider": "/ui/providers/vc",
        "remove-provider": "/ui/providers/vc/remove",
        "vcenter": "/ui/providers/new/vsphere",
        "openstack": "/ui/providers/new/openstack",
        "files-provider": "/ui/providers/new/files",
        "change-provider": "/ui/providers/vc/edit",
        "change-openstack": "/ui/providers/cloud/edit",
        "machines": "/ui/providers/vc/machines",
        "no-machine-fits": "/ui/providers/vc/machines?q=nobody",
        "machine": "/ui/providers/vc/machines/vm-1",
        "plans": "/ui/plans",
        "plan": plan,
        "plan-report": f"{plan}/report",
        "migration-report": f"/ui/migrations/{ids['web01']}/report",
        "replicas-report": "/ui/replicas/report",
        "no-machine-of-plan": f"{plan}?q=nobody",
        "cut-plan-over": f"{plan}/cutover",
        "cancel-plan": f"{plan}/cancel",
        "delete-plan": f"{plan}/delete",
        "new-plan": "/ui/new-plan?source=vc&which=all&q=app",
        "new-plan-of-none": "/ui/new-plan?source=vc&which=chosen",
        "mappings": f"{plan}/mappings",
        "concerns": f"{plan}/concerns",
        "migrations": "/ui/migrations",
        "no-migration": "/ui/migrations?q=nobody",
        "migration": f"/ui/migrations/{ids['app02']}",
        "failed": f"/ui/migrations/{ids['db01']}",
        "done": f"/ui/migrations/{ids['web01']}",
        "cutover": f"/ui/migrations/{ids['app01']}/cutover",
        "cancel": f"/ui/migrations/{ids['app02']}/cancel",
        "replicas": "/ui/replicas",
        "replica": replica,
        "replica-of-a-month": f"{replica}?days=30",
        "failover": f"{replica}/failover",
        "protect": "/ui/replicas/new?source=vc&machine=vm-1&machine=vm-2",
        "replica-point": f"{replica}/points/3",
        "change-replica": f"{replica}/edit",
        "failback": f"{replica}/failback",
        "groups": "/ui/replicas/groups",
        "group": group,
        "new-group": f"{group}/edit",
        "test-group": f"{group}/test",
        "fail-group-over": f"{group}/failover",
        "backups": "/ui/backups",
        "vault": vault,
        "point": f"{vault}/points/{point}",
        "files": f"{vault}/files/{point}",
        "hold": f"{vault}/hold/{point}",
        "restore": f"{vault}/restore/{point}",
        "back-up": "/ui/backups/new?source=vc&machine=vm-1&machine=vm-2",
        "policy": "/ui/backups/policies/nightly",
        "new-policy": "/ui/backups/new-policy",
        "new-vault": "/ui/backups/new-vault",
        "copy-vault": f"{vault}/copy",
        "policies-back": f"{vault}/import",
        "administration": "/ui/administration",
        "jobs": "/ui/administration/jobs",
        "left-overs": "/ui/administration/left-overs",
        "limits": "/ui/administration/limits",
    }


# Before anything was done: each says what to do next
EMPTY = {
    "empty-overview": "/ui/",
    "empty-providers": "/ui/providers",
    "empty-plans": "/ui/plans",
    "empty-migrations": "/ui/migrations",
    "empty-replicas": "/ui/replicas",
    "empty-groups": "/ui/replicas/groups",
    "empty-backups": "/ui/backups",
    "empty-new-policy": "/ui/backups/new-policy",
    "empty-new-plan": "/ui/new-plan",
}
DOOR = {
    "log-in": "/ui/login?to=/ui/",
    "log-in-by-credential": "/ui/login?by=credential&to=/ui/",
    "log-in-by-token": "/ui/login?by=token&to=/ui/",
}


def how(theme, width, language="en-GB"):
    across, down = SIZES[width]
    viewport = {"width": across, "height": down}
    return {"viewport": viewport, "color_scheme": theme, "reduced_motion": "reduce", "locale": language}


def looked_at(tab, pages, rules, directory):
    """What is wrong with them, by their names. Each is photographed."""
    found = {}
    directory.mkdir(parents=True, exist_ok=True)
    for name, path in pages.items():
        if path:
            tab.page.goto(tab.address + path, wait_until="networkidle")
        if rules and (findings := tab.findings(rules)):
            found[name] = findings
        if (over := tab.too_wide()) > 0:
            found.setdefault(name, []).append(f"{over} pixels too wide")
        tab.page.screenshot(path=directory / f"{name}.png", full_page=True)
    return found


@pytest.mark.parametrize(("theme", "width"), EACH)
def test_pages_look_well_and_nothing_complains(three_machines, chromium, theme, width):
    ids = fill(three_machines)
    with serving(three_machines) as (address, person):
        tab = Looking(chromium, address, person.link, **how(theme, width))
        found = looked_at(tab, addresses(ids), RULES[theme, width], SCREENSHOTS / f"{theme}-{width}")
        tab.close()
    assert found == {}


@pytest.mark.parametrize(("theme", "width"), EACH)
def test_empty_pages_say_what_to_do_next(store, chromium, theme, width):
    with serving(store) as (address, person):
        tab = Looking(chromium, address, person.link, **how(theme, width))
        found = looked_at(tab, EMPTY, RULES[theme, width], SCREENSHOTS / f"{theme}-{width}")
        for path in EMPTY.values():
            tab.page.goto(tab.address + path)
            assert tab.page.locator("main").locator("a, button, code").count() > 0, path
        tab.close()
    assert found == {}


@pytest.mark.parametrize("width", SIZES)
def test_german_fits_too(three_machines, chromium, width):
    ids = fill(three_machines)
    with serving(three_machines) as (address, person):
        tab = Looking(chromium, address, person.link, **how("light", width, "de-DE"))
        found = looked_at(tab, addresses(ids) | DOOR_OF_NOBODY, [], SCREENSHOTS / f"german-{width}")
        tab.context.close()  # the last address leads nowhere, which the console says
    assert found == {}


DOOR_OF_NOBODY = {"no-such-page": "/ui/nowhere"}


@pytest.mark.parametrize(("theme", "width"), EACH)
def test_the_way_in_looks_well(many_filled, chromium, theme, width):
    def make(port):
        return Many(many_filled.store, many_filled.keystone, f"http://127.0.0.1:{port}").app

    directory, rules = SCREENSHOTS / f"{theme}-{width}", RULES[theme, width]
    with listening_at(make) as address:
        tab = Looking(chromium, address, "/ui/login", **how(theme, width))
        page = tab.page
        found = looked_at(tab, DOOR, rules, directory)
        page.goto(f"{address}/ui/login")
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("guess")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("alert").wait_for()
        found |= looked_at(tab, {"log-in-refused": ""}, rules, directory)
        assert [said for said in tab.wrong if "40" not in said] == []  # a wrong password is answered by 401
        tab.wrong.clear()
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("ann's secret")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/ui/project?**")
        found |= looked_at(tab, {"project": ""}, rules, directory)
        page.get_by_role("button", name="red").click()
        page.wait_for_url(f"{address}/ui/")
        found |= looked_at(tab, {"overview-of-many": ""}, rules, directory)
        tab.close()
    assert found == {}
