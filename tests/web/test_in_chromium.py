"""What one does in a real browser, and what moves there by itself."""

from datetime import UTC, datetime, timedelta

from looking import IN_BROWSER, Looking, expect, serving

from filled import backups, fill

pytestmark = IN_BROWSER


def test_what_runs_moves_without_reload_and_what_is_opened_stays_open(three_machines, chromium):
    ids = fill(three_machines)
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link)
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
        page.locator("summary", has_text="The same in figures").click()
        three_machines.replicas.update(
            ids["replica"], failures=1, error="The source is away.", error_code="unreachable"
        )
        expect(page.get_by_text("The last sync failed: The source is away.")).to_be_visible(timeout=60_000)
        expect(page.locator("details", has_text="The same in figures")).to_have_attribute("open", "")
        looking.close()


def test_what_a_page_waits_with_is_said_and_it_can_be_paused(three_machines, chromium):
    """An overview, on which nothing is chosen; and a list, on which something is."""
    ids = fill(three_machines)

    def copied(gib):
        progress = {"done": gib << 30, "total": 40 << 30, "verified": 0, "to_verify": 0, "rate": 1 << 20, "eta": 9.0}
        three_machines.disks.update(ids["app02"], "2000", progress=progress)

    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, locale="en-GB")
        page = looking.page
        expect(page).to_have_title("(2) Overview · Longshore")
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("button", name="Pause updates").click()
        expect(page.get_by_role("status").get_by_text("Updates are paused.")).to_be_visible()
        page.reload()
        expect(page.get_by_role("status").get_by_text("Updates are paused.")).to_be_visible()
        page.wait_for_load_state("networkidle")  # what the page itself asks for has come
        copied(31)
        of_this, _ = len(asked), page.wait_for_timeout(4_000)  # one is due each 3 s
        assert asked[of_this:] == []
        three_machines.migrations.update(ids["app01"], status="failed", phase="copying", error="It is away.")
        page.get_by_role("button", name="Resume updates").click()
        expect(page.get_by_text("31.0 GiB of 40.0 GiB")).to_be_visible(timeout=60_000)
        expect(page).to_have_title("(1) Overview · Longshore")
        expect(page.get_by_text("Updates are paused.")).to_have_count(0)

        page.goto(f"{address}/ui/migrations")
        page.get_by_label("Choose app02").check()
        held = page.get_by_role("status").get_by_text("Updates wait while something is chosen or filled in.")
        expect(held).to_be_visible()
        page.get_by_label("Choose app02").uncheck()
        page.get_by_role("heading", name="Migrations").click()
        expect(held).to_have_count(0)
        page.get_by_role("searchbox").focus()
        expect(held).to_be_visible()
        page.goto(f"{address}/ui/migrations/{ids['web01']}")
        expect(page.get_by_role("heading", name="web01")).to_be_visible()
        expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
        looking.close()


def test_a_chart_ends_in_the_viewers_zone_as_the_rest_of_the_page(three_machines, chromium):
    ids = fill(three_machines)
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, locale="en-GB", timezone_id="Asia/Kathmandu")
        page = looking.page
        page.goto(f"{address}/ui/replicas/{ids['replica']}")
        ticks = page.locator("svg [data-moment]")
        there = "m => new Date(m.dataset.moment).toLocaleTimeString('en-GB', {hour: '2-digit', minute: '2-digit'})"
        expect(ticks).to_have_count(5)
        for tick in ticks.all():
            expect(tick).to_contain_text(tick.evaluate(there))
            expect(tick).not_to_contain_text("UTC")
        looking.close()


def test_what_was_typed_and_chosen_of_a_plan_outlives_reload_and_going_back(three_machines, chromium):
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, locale="en-GB")
        page = looking.page
        page.goto(f"{address}/ui/providers/vc/machines")
        page.get_by_label("Choose app01").check()
        page.get_by_role("button", name="Plan the chosen ones").click()
        page.get_by_label("What to call the plan").fill("shop")
        page.get_by_label("What it is for").fill("The shop")
        page.get_by_label("Warm").check()
        page.wait_for_url("**type=warm**")
        assert "form_token" not in page.url
        page.reload()
        expect(page.get_by_label("What to call the plan")).to_have_value("shop")
        expect(page.get_by_label("What it is for")).to_have_value("The shop")
        expect(page.get_by_label("Warm")).to_be_checked()
        page.get_by_role("button", name="Propose mappings").click()
        expect(page.locator("#concerns")).to_contain_text("warning", timeout=60_000)
        expect(page).to_have_title("Mappings of shop · Longshore")
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            page.get_by_label("Network for VM Network").select_option("other")
        page.go_back()
        expect(page.get_by_label("What it is for")).to_have_value("The shop")
        page.get_by_label("What to call the plan").fill("market")
        page.keyboard.press("Tab")
        page.wait_for_url("**name=market**")
        page.get_by_role("button", name="Propose mappings").click()
        page.wait_for_url("**/plans/market/mappings")
        expect(page.get_by_label("Network for VM Network")).to_have_value("other")
        looking.close()
    assert [plan.name for plan in three_machines.plans.all()] == ["market"]


def test_a_machine_is_backed_up_and_a_point_restored_in_the_browser(three_machines, chromium):
    backups(three_machines, three_machines.providers.get("vc"))
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, viewport={"width": 390, "height": 844})
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
        page.get_by_label("Only try it").check()
        page.get_by_role("button", name="Check what stands against it").click()
        expect(page.locator("#concerns")).to_contain_text("boot-proof-unsure", timeout=60_000)
        page.get_by_role("button", name="Restore now").click()
        expect(page.get_by_role("heading", name="app01")).to_be_visible()
        looking.close()


# Clicks twice, and says what of that was sent and what the page says; nothing leaves it
CLICKED = """button => {
  const sent = [];
  document.addEventListener("submit", one => { sent.push(!one.defaultPrevented); one.preventDefault(); });
  button.click();
  button.click();
  return [sent, document.querySelector(".ls-busy-said").textContent];
}"""


def test_a_form_says_that_its_answer_is_waited_for_and_is_sent_once(three_machines, chromium):
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, locale="en-GB")
        page = looking.page
        page.goto(f"{address}/ui/providers/new/files")
        page.get_by_label("What to call it here").fill("a b")
        page.get_by_label("Where they are").fill("https://files.example.org/")
        told = page.locator("main form button[type=submit]").first.evaluate(CLICKED)
        assert told == [[True, False], "Sent: the answer is waited for."]
        looking.close()


def test_what_is_done_with_what_is_ticked_is_offered_once_something_is(three_machines, chromium):
    fill(three_machines)
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, locale="en-GB")
        page = looking.page
        page.goto(f"{address}/ui/plans/shop")
        cancel = page.get_by_role("button", name="Cancel the chosen ones …")
        expect(cancel).to_be_hidden()
        page.get_by_role("checkbox", name="Choose app01").check()
        expect(cancel).to_be_visible()
        looking.close()


def test_a_time_is_typed_and_shown_where_one_is_and_sent_in_utc(three_machines, chromium):
    ids = fill(three_machines)
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, locale="de-DE", timezone_id="Asia/Tokyo")
        page = looking.page
        page.goto(f"{address}/ui/migrations/{ids['app01']}/cutover")
        day = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%d")
        expect(page.locator("label[for=f-at]")).not_to_contain_text("UTC")
        page.locator("input[name=at]").fill(f"{day}T07:00")
        page.locator("form:has(input[name=at]) button[type=submit]").click()
        page.wait_for_url(f"{address}/ui/migrations/{ids['app01']}")
        (kept,) = [m.request["cutover"]["at"] for m in three_machines.migrations.all() if m.id == ids["app01"]]
        before = datetime.fromisoformat(f"{day}T07:00+09:00").astimezone(UTC)
        assert datetime.fromisoformat(kept) == before
        looking.close()


def test_a_form_asks_only_for_what_the_chosen_way_needs(store, chromium):
    with serving(store) as (address, person):
        looking = Looking(chromium, address, person.link)
        page = looking.page
        page.goto(f"{address}/ui/providers/new/openstack")
        expect(page.get_by_label("Its id")).to_be_visible()
        expect(page.get_by_label("Domain of the user")).to_be_hidden()
        page.get_by_label("A user with a password").check()
        expect(page.get_by_label("Domain of the user")).to_be_visible()
        expect(page.get_by_label("Its id")).to_be_hidden()
        page.get_by_label("A clouds.yaml or openrc file").check()
        page.get_by_label("Choose the file").set_input_files(
            {"name": "x.yaml", "mimeType": "", "buffer": b"clouds: {}"}
        )
        expect(page.get_by_label("What is in it")).to_have_value("clouds: {}")
        looking.close()


def test_columns_are_chosen_and_stay_so(three_machines, chromium):
    """Also where the table is brought up to date, and where it is loaded anew; the other tables stay as they are."""
    ids = fill(three_machines)
    with serving(three_machines) as (address, person):
        looking = Looking(chromium, address, person.link, locale="en-GB", viewport={"width": 1280, "height": 800})
        page = looking.page
        page.goto(f"{address}/ui/migrations")
        table = page.get_by_role("table", name="Migrations")
        page.locator("summary", has_text="Columns").click()
        page.get_by_role("checkbox", name="Phase").uncheck()
        page.get_by_role("checkbox", name="Plan").uncheck()
        for hidden in ("Phase", "Plan"):
            expect(table.get_by_role("columnheader", name=hidden)).to_have_count(0)
        assert table.locator("td[data-label=Phase]").first.is_hidden()
        three_machines.migrations.update(ids["app02"], status="failed", phase="copying", error="It is away.")
        expect(page.get_by_text("2 failed")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("checkbox", name="Phase")).not_to_be_checked()
        assert table.locator("td[data-label=Phase]").first.is_hidden()
        page.reload()
        expect(table.get_by_role("columnheader", name="State")).to_be_visible()
        expect(table.get_by_role("columnheader", name="Phase")).to_have_count(0)
        page.goto(f"{address}/ui/plans/shop")
        machines = page.get_by_role("table", name="Machines of the plan")
        expect(machines.get_by_role("columnheader", name="Phase")).to_be_visible()
        page.goto(f"{address}/ui/migrations")
        page.locator("summary", has_text="Columns").click()
        page.get_by_role("checkbox", name="Phase").check()
        expect(table.get_by_role("columnheader", name="Phase")).to_be_visible()
        looking.close()
