"""Horizon 23 of Debian 12, with longshore-dashboard installed as a package, with the lab's Keystone and a server of
Longshore's in its catalogue: what a tenant sees and does there, in a real browser."""

import json
import re
import subprocess
import time
import uuid
from contextlib import contextmanager
from itertools import pairwise
from urllib.parse import unquote

import pytest
from buckets import gateway
from dashboard import THEMES, URL, Tab, horizon
from lanes import PROJECT as ROOT
from looking import expect, launched
from moves import READY, seen_on
from people import member, register, stranger, unregister
from served import serving

from conftest import LONGSHORE, USER, last_acknowledged, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
PROJECT = "/project/migration_"
SOON = 300_000  # milliseconds: until a small machine is copied and up
PANELS = ("overview", "plans", "migrations", "replicas", "backups", "providers", "jobs")
HOSTILE = "{$ 7*7 $}{{7*7}}<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory):
    with horizon(tmp_path_factory.mktemp("package")):
        yield


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture
def served(tmp_path, lab, admin_cloud):
    """In nobody's catalogue yet."""
    with serving(tmp_path, lab, admin_cloud.identity) as served:
        yield served
        unregister(admin_cloud.identity)


@pytest.fixture
def ann(admin_cloud, lab):
    """A member of the lane's project."""
    project = admin_cloud.identity.find_project(lab.cloud["auth"]["project_name"])
    with member(admin_cloud.identity, "ann", project) as ann:
        yield ann


def log_in(browser, person, to, **more):
    tab = Tab(browser, **more)
    tab.log_in(person.environment["OS_USERNAME"], person.environment["OS_PASSWORD"], to)
    return tab


def add_clouds(tab, lab):
    """As somebody who sees the empty overview."""
    page = tab.go(f"{PROJECT}overview/")
    page.get_by_role("link", name="Add a vCenter").click()
    page.get_by_label("Host").fill(lab.vcenter)
    page.get_by_role("button", name="Look at its certificate").click()
    expect(page.get_by_text(lab.fingerprint())).to_be_visible()
    tab.picture("lab-fingerprint")
    page.get_by_label("I have compared it").check()
    page.get_by_label("What to call it here").fill("vc")
    page.get_by_label("Account").fill(USER)
    page.get_by_label("Password").fill(lab.vcenter_password)
    page.get_by_role("button", name="Log in and add").click()
    page.wait_for_url(re.compile(f"{PROJECT}providers/(?!new)"))
    page = tab.go(f"{PROJECT}providers/new/openstack")
    page.get_by_label("What to call it here").fill("cloud")
    page.get_by_role("button", name="Log in and add").click()
    page.wait_for_url(re.compile(f"{PROJECT}providers/(?!new)"))


def chosen(tab, guest, button):
    """The page that the button leads to."""
    page = tab.go(f"{PROJECT}providers/vc/machines?q={guest.name}")
    page.get_by_label(f"Choose {guest.name}").check()
    page.get_by_role("button", name=button).click()
    return page


def ended(page):
    """The page is a migration's, and shows it done."""
    page.wait_for_url(re.compile(f"{PROJECT}migrations/"))
    expect(page.locator("#longshore .label").first).to_have_text("done", timeout=SOON)


@contextmanager
def hostile(sidedoor):
    """A machine with a name that would be run by a page that believed it."""
    sidedoor.add_machine("tiny01", HOSTILE)
    try:
        yield
    finally:
        sidedoor.remove_machines(HOSTILE)


@pytest.mark.turns("others' programs")
def test_horizon_has_the_panels_where_the_catalogue_has_the_service_and_its_pages_open(
    dashboard, browser, served, admin_cloud, tell
):
    """What is looked at every day."""
    began = time.monotonic()
    with stranger(admin_cloud.identity) as bob:
        without = log_in(browser, bob, "/project/api_access/")
        assert without.panels == set()
        assert without.wrong == []
        done = register(served.config)
        assert done.returncode == 0, done.stderr
        tab = log_in(browser, bob, f"{PROJECT}overview/")
        assert tab.panels == {f"{PROJECT}{panel}/" for panel in PANELS}
        expect(tab.page.get_by_role("link", name="Add a vCenter")).to_be_visible()
        page = tab.go(f"{PROJECT}plans/")
        expect(page.locator("#longshore").get_by_role("heading", name="Plans")).to_be_visible()
        assert tab.wrong == []
    tell(f"seen in {time.monotonic() - began:.0f} s")


@pytest.mark.soak
def test_a_tenant_moves_a_machine_in_horizon_and_another_sees_nothing_of_it(
    dashboard, browser, served, ann, lab, tiny, sidedoor, cloud, tidy, admin_cloud, tell
):
    began = time.monotonic()
    tab = log_in(browser, ann, "/project/api_access/")
    assert tab.panels == set()
    assert tab.page.goto(f"{URL}{PROJECT}overview/").status == 403
    done = register(served.config)
    assert done.returncode == 0, done.stderr
    tab = log_in(browser, ann, f"{PROJECT}overview/")
    assert tab.panels == {f"{PROJECT}{panel}/" for panel in PANELS}
    tab.picture("lab-empty")
    add_clouds(tab, lab)

    with hostile(sidedoor):
        page = tab.go(f"{PROJECT}providers/vc/machines?anew=yes&q=onerror")
        said = page.locator("#longshore tbody tr td:nth-child(2)").inner_text()
        assert said == HOSTILE.replace("{$", "{%").replace("$}", "%}")
        assert page.locator("#longshore img").count() == 0
        tab.picture("lab-hostile")
    page = chosen(tab, tiny, "Plan the chosen ones")
    page.get_by_label("What to call the plan").fill("one")
    page.get_by_label("Warm: copied while they run").check()
    page.get_by_role("button", name="Propose mappings").click()
    page.wait_for_url(f"{URL}{PROJECT}plans/one/mappings")
    page.get_by_label("Network for VM Network").select_option("private")
    page.get_by_label("Unchanged, on the target's own hardware").check()
    page.get_by_label("What its console shows when it is up").fill(READY)
    tab.picture("lab-mappings")
    page.get_by_role("button", name="Keep and check").click()
    page.get_by_role("button", name="Start it: warm").click()
    page.wait_for_url(f"{URL}{PROJECT}plans/one")
    page.evaluate("window.stayed = true")
    expect(page.get_by_text("waits for cutover").first).to_be_visible(timeout=SOON)
    assert page.evaluate("window.stayed"), "it came by itself"
    tab.picture("lab-waits")
    tell(f"planned and synchronised after {time.monotonic() - began:.0f} s")
    acknowledged = last_acknowledged(sidedoor.console(tiny.name))
    page.get_by_role("link", name="Cut over …").click()
    page.get_by_role("button", name="Cut over what waits (1)").click()
    expect(page.get_by_text("1 done")).to_be_visible(timeout=SOON)
    tell(f"done after {time.monotonic() - began:.0f} s")
    page.get_by_role("link", name=tiny.name, exact=True).click()
    page.wait_for_url(re.compile(f"{PROJECT}migrations/"))
    tab.picture("lab-done")
    assert tab.findings() == []
    moved = page.url.removeprefix(URL)
    (server,) = cloud.compute.servers(name=f"^{tiny.name}$")
    assert (server.status, sidedoor.machine(tiny.name)["power"]) == ("ACTIVE", "poweredOff")
    seen = seen_on(cloud, server.id)
    assert (seen.verified.bad, seen.verified.last >= acknowledged > 0) == (0, True)

    with stranger(admin_cloud.identity) as bob:
        other = log_in(browser, bob, f"{PROJECT}migrations/")
        assert other.panels == tab.panels
        for panel in PANELS:
            text = other.go(f"{PROJECT}{panel}/").locator("#longshore").inner_text()
            assert tiny.name not in text and "vc" not in text.split(), panel
        assert other.wrong == []
        assert other.page.goto(f"{URL}{moved}").status == 404

    # A new password ends the tokens that were had with the old one; Horizon's own session goes on
    password = f"Ann-{uuid.uuid4().hex}"
    admin_cloud.identity.update_user(admin_cloud.identity.find_user(ann.environment["OS_USERNAME"]), password=password)
    wait_for(lambda: "/auth/login/" in tab.go(f"{PROJECT}plans/one").url, 30, "Horizon to ask for a log-in")
    tab.say_who(ann.environment["OS_USERNAME"], password)
    page.wait_for_url(f"{URL}{PROJECT}plans/one")
    expect(page.get_by_text("1 done")).to_be_visible()
    assert tab.wrong == []
    tell(f"all of it in {time.monotonic() - began:.0f} s")


@pytest.mark.soak
def test_a_tenant_backs_up_and_restores_in_horizon(
    dashboard, browser, served, ann, lab, the_lab, tiny, cloud, tidy, admin_cloud, tmp_path, tell
):
    began = time.monotonic()
    assert register(served.config).returncode == 0
    (tmp_path / "phrase").write_text("words of a tenant\n")
    volumes = {volume.id for volume in cloud.block_storage.volumes()}
    with gateway(the_lab) as there:
        words = (there.url, *there.words, "--pass-phrase-file", str(tmp_path / "phrase"))
        ann.did("migration", "vault", "create", "mine", *words)
        tab = log_in(browser, ann, f"{PROJECT}overview/")
        add_clouds(tab, lab)
        page = chosen(tab, tiny, "Back up the chosen ones …")
        page.get_by_role("button", name="Back up now").click()
        ended(page)
        tab.go(f"{PROJECT}backups/").get_by_role("link", name="mine", exact=True).click()
        tab.picture("lab-vault")
        page.get_by_role("button", name="Verify").click()
        ended(page)
        tell(f"backed up and verified after {time.monotonic() - began:.0f} s")

        # As another server, once it was seen what it takes
        tab.go(f"{PROJECT}backups/").get_by_role("link", name="mine", exact=True).click()
        page.get_by_role("link", name="Restore …").click()
        expect(page.get_by_role("table", name="What it takes")).to_contain_text("Volumes")
        page.get_by_label("What to call the server").fill(f"{tiny.name}-again")
        page.get_by_label("Network for VM Network").select_option("private")
        page.get_by_text("What else the server can be given").click()
        page.get_by_label("Unchanged, on the target's own hardware").check()
        page.get_by_label("What its console shows when it is up").fill(READY)
        page.get_by_role("button", name="Check what stands against it").click()
        tab.picture("lab-restore")
        page.get_by_role("button", name="Restore now").click()
        ended(page)
        tab.picture("lab-restored")
        (server,) = cloud.compute.servers(name=f"^{tiny.name}-again$")
        seen = seen_on(cloud, server.id)
        assert (server.status, seen.verified.bad, seen.verified.last > 0) == ("ACTIVE", 0, True)
        tell(f"restored to a server after {time.monotonic() - began:.0f} s")

        # One of its disks, as a volume
        tab.go(f"{PROJECT}backups/").get_by_role("link", name="mine", exact=True).click()
        page.get_by_role("link", name="Restore …").click()
        page.get_by_label("What", exact=True).select_option("1")
        page.get_by_role("button", name="Check what stands against it").click()
        page.get_by_role("button", name="Restore now").click()
        ended(page)
        made = [volume for volume in cloud.block_storage.volumes() if volume.id not in volumes]
        alone = [volume for volume in made if not volume.attachments]
        assert [(volume.status, volume.size) for volume in alone] == [("available", 1)]
        cloud.block_storage.delete_volume(alone[0])

        login = admin_cloud.config.config["auth"]
        operator = Tab(browser)
        operator.log_in(login["username"], login["password"], "/admin/migration_migrations/")
        expect(operator.page.get_by_role("link", name=tiny.name).first).to_be_visible()
        operator.picture("lab-all-projects")
        assert operator.findings() == []
        assert (tab.wrong, operator.wrong) == ([], [])
    tell(f"all of it in {time.monotonic() - began:.0f} s")


@pytest.mark.soak
def test_a_tenant_protects_a_machine_and_fails_over_in_horizon(
    dashboard, browser, served, ann, lab, tiny, sidedoor, cloud, tidy, tell
):
    began = time.monotonic()
    assert register(served.config).returncode == 0
    tab = log_in(browser, ann, f"{PROJECT}overview/")
    add_clouds(tab, lab)
    page = chosen(tab, tiny, "Protect the chosen ones …")
    page.get_by_label("Schedule").fill("every 1h")
    page.get_by_label("Kept").fill("last 3, zone UTC")
    page.get_by_label("RPO asked for").fill("1m")
    page.get_by_label("Network for VM Network").select_option("private")
    page.get_by_label("Unchanged, on the target's own hardware").check()
    page.get_by_label("What its console shows when it is up").fill(READY)
    page.get_by_role("button", name="Check what stands against it").click()
    tab.picture("lab-protect")
    page.get_by_role("button", name="Protect now").click()
    page.wait_for_url(re.compile(f"{PROJECT}replicas/(?!new)"))
    replica = page.url.removeprefix(URL)

    # Each verified sync is a point of the chart: where its line falls, but for the first
    points = page.get_by_role("table", name="Points", exact=True).locator("tbody tr")
    expect(points.get_by_text("usable", exact=True)).to_have_count(1, timeout=SOON)
    for count in (2, 3):
        acknowledged = last_acknowledged(sidedoor.console(tiny.name))  # what comes after the point isn't in it
        page.get_by_role("button", name="Synchronise now").click()
        expect(points.get_by_text("usable", exact=True)).to_have_count(count, timeout=SOON)
    page = tab.go(replica)
    line = page.locator(".ls-chart polyline").get_attribute("points").split()
    heights = [float(corner.split(",")[1]) for corner in line]
    assert sum(after > before for before, after in pairwise(heights)) == 2
    page.get_by_text("The same in figures").click()
    expect(page.get_by_role("table", name="Points as they came").locator("tbody tr")).to_have_count(3)
    tell(f"three points after {time.monotonic() - began:.0f} s")

    # The source is off: nothing more comes, and after what was asked for that is called missed
    sidedoor.cut_power(tiny.name)
    page = tab.go(replica)
    said = page.get_by_text("old, and 1 min were asked for")
    expect(said).to_be_visible(timeout=SOON)
    age = said.inner_text()
    expect(said).not_to_have_text(age, timeout=SOON)
    expect(page.get_by_text("protected, with problems")).to_be_visible()
    tab.picture("lab-missed")
    expect(tab.go(f"{PROJECT}overview/").get_by_text("rpo-breached")).to_be_visible()

    tab.go(replica).get_by_role("button", name="Test the newest point").click()
    ended(page)
    expect(page.get_by_text(f"console: {READY}").first).to_be_visible()
    tab.picture("lab-tested")
    tab.go(replica).get_by_role("link", name="Fail over …", exact=True).click()
    page.get_by_label("From the newest point").check()
    tab.picture("lab-failover")
    page.get_by_role("button", name="Fail over now").click()
    expect(page.get_by_role("link", name="Commit …")).to_be_visible(timeout=SOON)
    tab.picture("lab-failed-over")
    assert tab.findings() == []
    (server,) = cloud.compute.servers(name=f"^{tiny.name}$")
    seen = seen_on(cloud, server.id)
    assert (server.status, seen.verified.bad, seen.verified.last >= acknowledged > 0) == ("ACTIVE", 0, True)
    tell(f"failed over after {time.monotonic() - began:.0f} s")

    # And back to nothing, by its own pages
    page.get_by_role("link", name="Undo …").click()
    page.get_by_role("button", name="Undo it").click()
    expect(page.get_by_role("link", name="Fail over …", exact=True)).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Delete …").click()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url(f"{URL}{PROJECT}replicas/")
    expect(page.get_by_text("No machine is protected yet")).to_be_visible(timeout=SOON)
    assert tab.wrong == []
    tell(f"all of it in {time.monotonic() - began:.0f} s")


@pytest.mark.soak
@pytest.mark.parametrize("theme", THEMES)
def test_every_page_stands_well_in_each_theme(browser, tmp_path, theme, tell):
    """Of a server with something of everything, to which a small Keystone lets people in."""
    found, seen, todo = {}, set(), {f"{PROJECT}{panel}/": "" for panel in PANELS}  # paths, and what is asked for there
    with filled() as there, horizon(tmp_path, f"{there['keystone']}/v3"):
        names = {id_: name for name, id_ in there["ids"].items()}
        tab = Tab(browser, theme)
        tab.page.goto(f"{URL}/auth/login/")
        tab.say_who("ann", "ann's secret")
        tab.page.wait_for_load_state()
        tab.go("/auth/switch/id-red/")
        tab.wrong.clear()  # Horizon's own pages find no Nova there
        while todo:
            path, query = todo.popitem()
            seen.add(path)
            page = tab.go(path + query)
            if wrong := [*tab.findings(), *tab.picture(called(path, names))]:
                found[path] = wrong
            links = page.locator("#longshore a").evaluate_all("all => all.map(one => [one.pathname, one.search])")
            todo |= {path: query for path, query in links if path.startswith(PROJECT) and path not in seen}
    tell(f"{len(seen)} pages")
    assert len(seen) > 40
    assert (found, tab.wrong) == ({}, [])


def called(path, names):
    """A name for a picture."""
    parts = [names.get(part, part) for part in unquote(path).removeprefix(PROJECT).split("/") if part]
    return re.sub(r"[^\w.-]+", "_", "-".join(parts))[:100]


@contextmanager
def filled():
    """Where a server with something of everything is, its Keystone, and what is in it."""
    command = [LONGSHORE.with_name("python"), ROOT / "horizon" / "tests" / "served.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as server:
        yield json.loads(server.stdout.readline())
        server.stdin.close()
