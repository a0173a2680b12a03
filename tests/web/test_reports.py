"""Reports: what became of machines and how well they are protected, on a page and in files."""

import csv
import io
import json

from browser import Browser

from filled import BAD_NAME, SEEN_UP
from longshore.service import create_app
from longshore.store import NewMigration
from longshore.web.sheets import as_csv


def rows_of(answer):
    assert answer.headers["content-disposition"].startswith("attachment;")
    return list(csv.reader(io.StringIO(answer.text)))


def test_a_plans_report_has_the_proof_first_and_is_kept_as_a_file(filled):
    ids = {m.machine_name: m.id for m in filled.store.migrations.all()}
    filled.store.migrations.update(
        ids["db01"],
        status="done",
        error=None,
        result={"proof": SEEN_UP, "bytes_read": 1 << 30, "bytes_written": 1}
        | {"bytes_zeroed": 0, "bytes_verified": 3 << 30, "copy_seconds": 2.0, "rate": None},
    )
    filled.store.disks.update(ids["db01"], "2000", root_digest="ab" * 32)
    filled.get("/ui/plans/shop")
    page = filled.click("Report")
    text = page.text
    places = [text.index(words) for words in ("Proof", "Seen up on the target", "1 of 3", "3.0 GiB", "Machines")]
    assert places == sorted(places)
    assert SEEN_UP in text
    rows = rows_of(filled.ask("GET", page.links["As CSV"]))
    assert rows[0][:3] == ["Machine", "Wave", "Type"]
    (of_db,) = [row for row in rows if row[0] == "db01"]
    assert {"ab" * 32, SEEN_UP, str(3 << 30)} <= set(of_db)
    kept = json.loads(filled.ask("GET", page.links["As JSON"]).text)
    assert len(kept["machines"]) == 3
    assert kept["machines"][2]["report"]["events"]
    filled.get("/ui/plans/shop/report")
    filled.click("db01")
    assert "ab" * 32 in filled.page.text


def test_events_stay_where_nobody_asks_for_them(filled):
    api = Browser(filled.store, create_app(filled.store, local_files=True))
    answer = api.ask("GET", "/v1/plans/shop/report?events=false").json()
    assert [m["report"]["events"] for m in answer["machines"] if m["report"]] == [[], [], []]


def test_replicas_are_reported_and_kept_as_a_file(filled):
    filled.get("/ui/replicas")
    page = filled.click("Report")
    assert "24 h" in page.text
    assert "mail01" in page.text
    rows = rows_of(filled.ask("GET", page.links["As CSV"]))
    assert sorted(row[0] for row in rows[1:]) == ["files01", "mail01"]
    assert len(json.loads(filled.ask("GET", page.links["As JSON"]).text)) == 2


def test_no_name_becomes_a_formula_of_a_spreadsheet():
    names = ["=cmd()", "+1", "-1", "@x", "\tx", BAD_NAME, "plain", 7, None, -1.5]
    answer = as_csv("x", ["Name"], [[name] for name in names])
    cells = [row[0] for row in csv.reader(io.StringIO(answer.body.decode()))][1:]
    assert cells == [
        "'=cmd()",
        "'+1",
        "'-1",
        "'@x",
        "'\\x09x",
        BAD_NAME.replace("\u202e", "\\u202e"),
        "plain",
        "7",
        "",
        "-1.5",
    ]


def test_who_helps_gets_all_that_is_on_record_and_nothing_secret(filled):
    vc, cloud = (filled.store.providers.get(name) for name in ("vc", "cloud"))
    asked = {"type": "cold", "guest_keys": ["the disk's own secret"], "user_data": "password: hidden"}
    (made,) = filled.store.migrations.add_together([NewMigration("safe01", "vm-7", vc.id, cloud.id, asked)])
    filled.store.events.enter(made.id, "preparing", "Looking at safe01.")
    filled.get(f"/ui/migrations/{made.id}/report")
    answer = filled.ask("GET", filled.page.links["Support bundle"])
    assert answer.headers["content-disposition"].startswith("attachment;")
    told = answer.json()
    assert (told["source_kind"], told["target_kind"]) == ("vsphere", "openstack")
    assert told["report"]["events"][0]["text"] == "Looking at safe01."
    assert "secret" not in answer.text
    assert "hidden" not in answer.text
