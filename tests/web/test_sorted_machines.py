"""Machines of a source: sorted by their columns, chosen by folders, and kept as a file; lists of migrations, too."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from browser import Browser
from cloud_stand_in import MACHINE, Cloud

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
