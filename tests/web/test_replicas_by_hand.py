"""Machines are protected, held, changed and brought back, by links and forms alone."""

from datetime import UTC, datetime, timedelta

import pytest
from small_clouds import SIZES
from sqlalchemy import text, update

from in_process import longshore
from longshore.model.replica import Stage
from longshore.store.tables import JobRow, utc_now
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from point_in_vault import with_point

pytestmark = pytest.mark.long

NEW = "/ui/replicas/new"


def ids_of(browser):
    return {m.machine_name: m.id for m in browser.store.migrations.all()}


def test_chosen_machines_are_checked_and_protected(fleet):
    fleet.get("/ui/replicas")
    fleet.click("Protect machines …")
    fleet.click("Machines of vc")
    page = fleet.submit("/ui/new-plan", also=[("machine", "vm-1"), ("machine", "vm-3")])
    chosen = f"{NEW}?source=vc&machine=vm-1&machine=vm-3"
    page = fleet.get(chosen)
    assert "app01" in page.text
    assert "Protect now" not in page.text, "first it is looked at"
    page = fleet.submit(NEW, button=("do", "check"), **{"n-to": ""})
    assert "network-unmapped" in page.text
    assert "can't be started before the blockers are gone" in page.text
    page = fleet.submit(
        NEW, button=("do", "check"), **{"n-to": "private", "rpo": "1h", "s-to": "gold", "boot_mark": "^ready"}
    )
    assert "can't be started" not in page.text
    assert fleet.store.replicas.all() == []
    fleet.submit(NEW, button=("do", "start"))
    assert fleet.path == "/ui/replicas"
    found = fleet.store.replicas.all()
    assert [(one.schedule, one.rpo) for one in found] == [("every 15m", 3600)] * 2
    request = fleet.store.migrations.get(found[0].id).request
    assert (request["networks"], request["storage"]) == ({"VM Network": "private"}, {"ds": "gold"})
    assert request["boot_mark"] == "^ready"


def test_what_cant_be_meant_is_said_where_it_stands(fleet):
    for fields, said in (({"schedule": "now and then"}, "now and then"), ({"rpo": "soon"}, "isn't a length of time")):
        fleet.get(f"{NEW}?source=vc&machine=vm-1")
        page = fleet.submit(NEW, button=("do", "start"), **{"n-to": "private", **fields})
        assert (page.status, said in page.text) == (400, True)
        assert page.text.count(said) == 1
    assert fleet.store.replicas.all() == []


def test_one_begins_with_the_newest_backup_of_its_machine_or_with_the_one_that_is_named(fleet):
    place = fleet.store.state.root.parent / "vault"
    vault = Vault.create(Directory(place), None)
    fleet.store.providers.add("offsite", "vault", {"directory": str(place)}, {})

    def backed_up(name, ref, days):
        moment = datetime.now(UTC) - timedelta(days=days)
        return with_point(vault, place.parent, name, moment, bytes(SIZES["2000"]), f"vsphere\n{ref}")

    old, _new, others = backed_up("app01", "vm-1", 2), backed_up("app01", "vm-1", 1), backed_up("db01", "vm-3", 0)
    start = {"button": ("do", "start"), "seed_vault": "offsite", "n-to": "private"}
    fleet.get(f"{NEW}?source=vc&machine=vm-1")
    page = fleet.submit(NEW, seed_point=others, **start)
    assert (page.status, f"The point {others} isn't app01's" in page.text) == (400, True)
    fleet.submit(NEW, seed_point=old, **start)
    (first,) = fleet.store.replicas.all()
    assert first.seed.point == old
    assert old in fleet.page.text
    # Of several each begins with its own newest one
    fleet.get(f"{NEW}?source=vc&machine=vm-2&machine=vm-3")
    assert "seed_point" not in fleet.page.form(NEW).names
    page = fleet.submit(NEW, **start)
    assert "app02: There is no point app02 in the vault." in page.text
    (second,) = [one for one in fleet.store.replicas.all() if one.id != first.id]
    assert second.seed.point == others


def test_a_point_is_held_released_and_deleted(filled):
    id_ = ids_of(filled)["mail01"]
    at = f"/ui/replicas/{id_}/points/3"
    filled.get(f"/ui/replicas/{id_}")
    filled.click("3")
    assert filled.path == at
    page = filled.submit(f"{at}/hold", name="not a name")
    assert (page.status, "A name has a to z" in page.text) == (400, True)
    filled.submit(f"{at}/hold", name="audit-2027", until="2027-01-01T00:00")
    assert "audit-2027" in filled.page.text
    (hold,) = filled.store.points.get(id_, 3).holds
    assert (hold.name, hold.until.year) == ("audit-2027", 2027)
    filled.click("Delete …")
    page = filled.submit(f"{at}/delete")
    assert (page.status, "is held" in page.text) == (409, True)
    assert "Name mail01" in filled.get(at).text, "the machine as it was then"
    filled.submit(f"{at}/release")
    assert filled.store.points.get(id_, 3).holds == ()
    assert "It isn't held" in filled.page.text
    assert filled.get(f"/ui/replicas/{id_}/points/99").status == 404


def test_its_clocks_are_changed_and_what_isnt_said_stays(filled):
    id_ = ids_of(filled)["mail01"]
    at = f"/ui/replicas/{id_}"
    filled.get(at)
    filled.click("Change …")
    assert dict(filled.page.form(f"{at}/edit").fields)["rpo"] == "1h"
    page = filled.submit(f"{at}/edit", schedule="whenever")
    assert (page.status, "whenever" in page.text) == (400, True)
    filled.get(f"{at}/edit")
    filled.submit(f"{at}/edit", schedule="every 1h", prove="weekly sunday 02:00 UTC")
    found = filled.store.replicas.get(id_)
    assert (found.schedule, found.rpo, found.prove) == ("every 1h", 3600, "weekly sunday 02:00 UTC")
    filled.get(f"{at}/edit")
    filled.submit(f"{at}/edit", prove="")
    assert filled.store.replicas.get(id_).prove is None
    filled.submit(f"{at}/audit")
    assert filled.store.replicas.get(id_).wish == "audit"


def test_it_is_deleted_once_that_was_confirmed(filled):
    id_ = ids_of(filled)["mail01"]
    filled.get(f"/ui/replicas/{id_}")
    filled.click("Delete …")
    assert not filled.store.migrations.get(id_).cancel_requested
    filled.submit(f"/ui/replicas/{id_}/delete")
    assert filled.store.migrations.get(id_).cancel_requested


def test_a_warm_migration_that_waits_becomes_a_replica(filled):
    id_ = ids_of(filled)["app01"]
    filled.store.migrations.update(id_, state={"choice": {"flavor": "small"}})
    with filled.store.database.session() as session:  # as between two syncs
        waits = {"kind": "sync", "status": "queued", "due_at": utc_now() + timedelta(hours=1)}
        session.execute(update(JobRow).where(JobRow.record_id == id_).values(**waits))
    filled.get(f"/ui/migrations/{id_}")
    filled.click("Keep as a replica …")
    page = filled.submit(f"/ui/migrations/{id_}/keep", retention="for ever")
    assert (page.status, "Retention knows no 'for'" in page.text) == (400, True)
    filled.submit(f"/ui/migrations/{id_}/keep", retention="last 7")
    assert filled.path == f"/ui/replicas/{id_}", filled.page.text
    assert filled.store.replicas.get(id_).retention.startswith("last 7")


def test_after_a_failover_there_is_a_way_back_and_what_stands_against_it_is_said(filled):
    store, ids = filled.store, ids_of(filled)
    id_ = ids["mail01"]
    assert "Fail back …" not in filled.get(f"/ui/replicas/{id_}").links
    filled.get(f"/ui/replicas/{id_}/failover?point=3")
    filled.submit(f"/ui/replicas/{id_}/failover")
    (failover,) = [m for m in store.migrations.all() if m.request["type"] == "failover"]
    store.migrations.update(
        failover.id, status="done", phase="done", server_id="s-1", result={"conversion": {"landed": "convert"}}
    )
    store.replicas.update(id_, stage=Stage.COMMITTED.value, failover_id=failover.id)
    filled.get(f"/ui/replicas/{id_}")
    filled.click("Fail back …")
    at = f"/ui/replicas/{id_}/failback"
    page = filled.submit(at)
    assert page.status == 400
    assert "may not boot on the hardware that it came from" in page.text
    page = filled.submit(at, where="new", also=[("accept", "guest-converted")])
    assert "may not boot" not in page.text
    assert page.status == 200
    assert "failing-back" in page.text
    store.replicas.update(id_, stage=Stage.COMMITTED.value)  # as if it had been taken back
    filled.get(f"/ui/replicas/{id_}")
    filled.click("Protect the server …")
    page = filled.get(f"/ui/replicas/{id_}/reprotect")
    assert "There is nowhere for it to go yet" in page.text, "its own cloud is where it is"


def test_a_replica_that_cant_be_read_is_said_to_be_missing_in_lists(filled):
    """As one is of a kind that only a later version knows: by pages and by the command."""
    replica = next(m.id for m in filled.store.migrations.all() if m.machine_name == "mail01")
    assert "can't read" not in filled.get("/ui/replicas").text
    with filled.store.database.session() as session:
        session.execute(text("UPDATE replicas SET stage = 'teleported' WHERE id = :id"), {"id": replica})
    for page in ("/ui/replicas", "/ui/"):
        shown = filled.get(page).text
        assert "Replicas that this version can't read aren't listed: 1" in shown
        assert replica in shown
    done = longshore(filled.store.state.root, "replica", "list", "-f", "value", "-c", "Machine")
    assert (done.returncode, done.stdout.split()) == (0, ["files01"])
    assert f"Replica {replica} can't be read by this version, and isn't in the list." in done.stderr
