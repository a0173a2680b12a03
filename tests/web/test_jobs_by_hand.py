"""The page of all jobs, beside that of migrations."""

from longshore.model.forms import form
from longshore.model.guest import GuestFindings


def rows(page):
    return {id_.removeprefix("m-") for _tag, a in page.elements if (id_ := a.get("id", "")).startswith("m-")}


def test_jobs_are_everything_and_migrations_are_what_moves(filled):
    everything = filled.store.migrations.all()
    moves = {m.id for m in everything if m.type.moves}
    assert moves < {m.id for m in everything}
    assert rows(filled.get("/ui/migrations")) == moves
    page = filled.click("Jobs of all kinds")
    assert rows(page) == {m.id for m in everything}
    for kind in {m.type.value for m in everything}:
        found = rows(filled.get(f"/ui/jobs?type={kind}"))
        assert found == {m.id for m in everything if m.type.value == kind}, kind
    assert filled.get("/ui/migrations?type=backup").status == 400
    assert "None fits" in filled.get("/ui/jobs?type=failback").text


def test_what_is_no_migration_stands_below_jobs(filled):
    backup = next(m for m in filled.store.migrations.all() if m.type.value == "backup")
    page = filled.get(f"/ui/migrations/{backup.id}")
    assert page.links["Jobs"] == "/ui/jobs"
    assert ("Jobs", "page") in [(a.get("href", "")[4:].title(), a.get("aria-current")) for _tag, a in page.elements]


def test_jobs_are_listed_in_german(filled):
    filled.get("/ui/")
    filled.submit("/ui/language", language="de")
    page = filled.get("/ui/jobs")
    for word in ("Aufträge", "Sicherung", "Sicherungsrichtlinie", "Jede Art"):
        assert word in page.text, word


def test_when_disks_were_looked_at_is_told_as_all_moments_are(filled):
    web01 = next(m for m in filled.store.migrations.all() if m.machine_name == "web01")
    found = form(GuestFindings).dump_python(GuestFindings(guest_agent=True, luks=("/dev/sda2",)), mode="json")
    guest = {**found, "looked_at": "2026-11-26T15:46:35Z"}
    filled.store.migrations.update(web01.id, result={**(web01.result or {}), "guest": guest})
    page = filled.get(f"/ui/migrations/{web01.id}")
    assert "Looked at 2026-11-26 15:46:35 UTC" in page.text
    german = filled.get(f"/ui/migrations/{web01.id}", headers={"Accept-Language": "de"}).text
    assert "Angesehen 2026-11-26 15:46:35 UTC" in german
    assert "Gefunden QEMU-Gastagent, verschlüsselt (LUKS) /dev/sda2" in german
    assert "2026-11-26T15:46:35Z" in [a.get("datetime") for tag, a in page.elements if tag == "time"]
    assert "Found QEMU guest agent" in page.text
