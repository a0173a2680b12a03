"""Tables that their columns sort; machines of a source chosen by folders; lists kept as a file."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from browser import Browser
from cloud_stand_in import MACHINE, Cloud

pytestmark = pytest.mark.long

AT = "/ui/providers/vc/machines"
FOUND = (
    ("Prod/Web", "web02", 2, 4096),
    ("Prod/Web", "=web01", 8, 1024),
    ("Prod", "db01", 4, 65536),
    ("NonProd", "test01", 1, 512),
    ('A "quoted" one', "odd", 1, 256),
)


class Folders(Cloud):
    def machines(self, wanted):
        return (
            replace(MACHINE, ref=f"vm-{n}", name=name, folder=folder, cpus=cpus, memory_mib=memory)
            for n, (folder, name, cpus, memory) in enumerate(FOUND)
        )


@pytest.fixture
def machines(store, monkeypatch):
    monkeypatch.setattr("longshore.flows.clouds.connect", Folders)
    store.providers.add("vc", "vsphere", {}, {"password": "x"})
    return Browser(store).opened()


def names(page):
    """Return the names of the machines in the table, in its order."""
    known = {name for _folder, name, *_ in FOUND}
    return [name for name in page.links if name in known]


def test_a_column_sorts_and_sorts_the_other_way_round_the_second_time(machines):
    machines.get(AT)
    assert names(machines.page) == ["odd", "test01", "db01", "=web01", "web02"], "by folder and name"
    page = machines.click("Memory")
    assert names(page) == ["odd", "test01", "=web01", "web02", "db01"]
    page = machines.click("Memory")
    assert names(page) == ["db01", "web02", "=web01", "test01", "odd"]
    assert [of.get("aria-sort") for tag, of in page.elements if tag == "th" and "aria-sort" in of] == ["descending"]
    page = machines.get(f"{AT}?q=folder:Prod&sort=-cpus")
    assert names(page) == ["=web01", "db01", "web02", "test01"]
    assert parse_qs(urlsplit(page.links["Name"]).query) == {"q": ["folder:Prod"], "sort": ["name"]}, "the search stays"


def test_a_folder_of_the_tree_shows_what_is_in_it_and_below(machines):
    page = machines.get(AT)
    assert "Prod 3Web 2" in page.text
    assert names(machines.click("Prod")) == ["db01", "=web01", "web02"]
    assert names(machines.click("Web")) == ["=web01", "web02"]
    assert names(machines.click('A "quoted" one')) == ["odd"]


def test_all_that_fit_are_kept_as_a_file_without_a_formula(machines):
    machines.get(f"{AT}?q=in:Prod&sort=-memory")
    link = machines.page.links["All of these as CSV"]
    kept = machines.ask("GET", link)
    assert kept.headers["content-type"].startswith("text/csv")
    rows = [line.split(",") for line in kept.text.splitlines()]
    assert [row[0] for row in rows] == ["Name", "db01", "web02", "'=web01"]
    assert rows[1][4] == "65536"


def test_a_list_of_migrations_is_kept_as_a_file_as_it_was_chosen(filled):
    filled.get("/ui/migrations?status=failed")
    kept = filled.ask("GET", filled.page.links["All of these as CSV"]).text
    rows = kept.splitlines()
    assert rows[0].startswith("Machine,Type,From,To,Plan")
    assert [row.split(",")[0] for row in rows[1:]] == ["db01"]
    jobs = filled.ask("GET", "/ui/jobs.csv").text
    assert "app09,backup,vc,offsite" in jobs


def test_a_server_is_shown_with_its_addresses(filled):
    done = next(one for one in filled.store.migrations.all() if one.machine_name == "web01")
    ports = [{"mac": "fa:16:3e:00:00:01", "addresses": ["192.0.2.7", "2001:db8::7"]}]
    filled.store.migrations.update(done.id, result={"ports": ports})
    assert "Addresses 192.0.2.7, 2001:db8::7" in filled.get(f"/ui/migrations/{done.id}").text


def column(page, names):
    """Return those of these that a page links to, in its order."""
    return [name for name in page.links if name in names]


def test_migrations_are_sorted_page_by_page(crowded):
    page = crowded.get("/ui/migrations?status=queued")
    assert "aria-sort" not in page.source
    crowded.click("Machine")
    first = [name for name in crowded.page.links if name.startswith("srv-")]
    assert first == [f"srv-{n:04d}" for n in range(100, 150)]
    crowded.click("Next page")
    assert next(name for name in crowded.page.links if name.startswith("srv-")) == "srv-0150"
    crowded.click("First page")
    crowded.click("Machine")
    assert next(name for name in crowded.page.links if name.startswith("srv-")) == "srv-0399"
    assert parse_qs(urlsplit(crowded.page.links["State"]).query)["status"] == ["queued"], "the choice stays"


@pytest.mark.parametrize("sort", ["state", "-state", "type", "-requested"])
def test_each_migration_comes_once_however_they_are_sorted(crowded, sort):
    crowded.get(f"/ui/jobs?sort={sort}")
    seen = []
    while True:
        seen += [of["id"] for tag, of in crowded.page.elements if tag == "tr" and of.get("id", "").startswith("m-")]
        if "Next page" not in crowded.page.links:
            break
        crowded.click("Next page")
    assert (len(seen), len(set(seen))) == (415, 415)


def test_a_plans_machines_are_sorted_by_how_they_stand(crowded):
    crowded.get("/ui/plans/datacentre")
    assert next(name for name in crowded.click("State").links if name.startswith("srv-")) == "srv-0031", "done"
    page = crowded.click("State")
    assert next(name for name in page.links if name.startswith("srv-")) == "srv-0001", "waits for cutover"


def test_lists_that_are_there_as_a_whole_are_sorted(filled):
    filled.get("/ui/replicas")
    names = {"mail01", "files01"}
    assert column(filled.click("RPO now"), names) == ["files01", "mail01"]
    assert column(filled.click("RPO now"), names) == ["mail01", "files01"]
    assert column(filled.click("Machine"), names) == ["files01", "mail01"]
    filled.get("/ui/plans")
    assert "aria-sort" in filled.click("Changed").source
    filled.get("/ui/backups?vaults=-points")
    assert filled.page.links["nightly"]
    ordered = [of["aria-sort"] for tag, of in filled.page.elements if tag == "th" and "aria-sort" in of]
    assert ordered == ["descending"], "the other table stays as it is"


def test_points_of_a_replica_and_of_a_vault_are_sorted(filled):
    replica = next(m.id for m in filled.store.migrations.all() if m.machine_name == "files01")
    filled.get(f"/ui/replicas/{replica}?days=7")
    numbers = {str(n) for n in range(1, 7)}
    assert column(filled.page, numbers) == ["6", "5", "4", "3", "2", "1"]
    assert column(filled.click("Number"), numbers) == ["1", "2", "3", "4", "5", "6"]
    assert "days=7" in filled.page.links["Moment"]
    vault = "/ui/backups/vaults/offsite"
    machines = filled.get(vault).text.count("app01")
    assert machines >= 3
    first = filled.click("Machine").source
    assert first.index(">app01</a>") > first.index("onerror=alert"), "its name begins with a sign"
    last = filled.click("Machine").source
    assert last.index(">app01</a>") < last.index("onerror=alert")
    newest, oldest = (filled.get(f"{vault}?sort={sort}").source for sort in ("-moment", "moment"))
    assert newest.index("onerror=alert") > newest.index(">app01</a>")
    assert oldest.index("onerror=alert") < oldest.index(">app01</a>")


def test_an_order_that_is_none_is_no_order(filled):
    assert filled.get("/ui/plans?sort=colour").status == 200
    assert filled.get("/ui/migrations?sort=colour").status == 400
