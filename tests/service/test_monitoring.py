"""What dashboard and alerts ask for is what /metrics has, by its name and its labels; and what it has is right."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, update
from tokens import access

from filled import nodes
from longshore.model.machine import Disk
from longshore.model.point import Consistency
from longshore.model.replica import Protection
from longshore.model.status import Status
from longshore.service import create_app
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.backup_policies import NewBackupPolicy
from longshore.store.points import Audited
from longshore.store.tables import JobRow

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
GIB = 1 << 30


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def figures(request, tmp_path_factory):
    """Samples by name, each with its labels, of a service where something of everything is going on."""
    url = request.getfixturevalue("postgresql").database() if request.param == "PostgreSQL" else None
    store = Store(StateDirectory(tmp_path_factory.mktemp("monitoring") / "state", url))
    source = store.providers.add("vc", "vsphere", {"labels": ["north"]}, {}).id
    target = store.providers.add("cloud", "openstack", {}, {}).id
    disk = Disk("2000", "Hard disk 1", 0, 4 * GIB, "[ds] x", "ds")
    _queued, copying, synced, done, failed = store.migrations.add_together(
        [NewMigration(f"m{n}", f"vm-{n}", source, target, {}, disks=(disk,)) for n in range(5)]
    )
    moving = {"rate": 100.0, "done": GIB, "total": 4 * GIB}
    store.migrations.update(copying.id, status=Status.RUNNING, phase="copying")
    store.disks.update(copying.id, disk.key, state="copying", progress=moving)
    store.migrations.update(synced.id, status=Status.RUNNING, phase="waiting")
    for number, hours in ((0, 5), (1, 2)):
        at = datetime.now(UTC) - timedelta(hours=hours)
        store.migrations.add_sync(synced.id, {"number": number, "at": at.isoformat(), "final": False}, {})
    for each, factor in ((done, 1), (failed, 10)):
        sums = {"bytes_read": 3 << 40, "bytes_written": factor, "bytes_verified": 5}
        status = Status.DONE if each is done else Status.FAILED
        store.migrations.end_job(each.id, each.job.id, status=status, error_code="boot-failed", result=sums)
    with store.database.session() as session:
        jobs = update(JobRow)
        session.execute(jobs.where(JobRow.id == copying.job.id).values(status="running"))
        session.execute(jobs.where(JobRow.id == synced.job.id).values(kind="sync", due_at=datetime(2100, 1, 1)))

    with_replicas(store, source, target)
    with_policies(store, source, target)
    nodes(store)

    async def scrape():
        app = create_app(store, access=access(), metrics=True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            await http.get("/v1/migrations", headers={"X-Auth-Token": "ann"})
            return (await http.get("/metrics")).text

    found = {}
    for family in text_string_to_metric_families(asyncio.run(scrape())):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    yield found
    store.close()


def with_replicas(store, source, target):
    """One that keeps its RPO of an hour, and was tried; and one that doesn't, and has a suspect point."""
    for name, minutes in (("good", 30), ("late", 120)):
        new = NewMigration(
            name, name, source, target, {"type": "replica"}, protection=Protection("every 1h", "last 9", 3600)
        )
        (record,) = store.migrations.add_together([new])
        for number, age in enumerate((minutes + 60, minutes), start=1):
            moment = datetime.now(UTC) - timedelta(minutes=age)
            store.points.begin(record.id, number, moment, goes_on=False)
            sync = {"number": number, "bytes_changed": 1, "bytes_written": 1, "at": moment.isoformat(), "final": False}
            audit = Audited(None, is_good=name == "good") if number == 2 else None
            store.points.complete(
                record.id,
                number,
                usable_at=moment + timedelta(seconds=8),
                consistency=Consistency.CRASH,
                disks=[],
                machine={},
                sync=sync,
                state={},
                audit=audit,
            )
        if name == "good":
            asked = {"type": "test-failover", "of": record.id, "point": 2}
            (test,) = store.migrations.add_together([NewMigration(name, name, source, target, asked)])
            store.points.prove(record.id, 2, datetime.now(UTC), "console")
            store.migrations.end_job(
                test.id, test.job.id, status=Status.DONE, result={"seconds": {"clone": 1.5, "all": 42.5}}
            )
        with store.database.session() as session:  # the queue's figures are about others
            session.execute(delete(JobRow).where(JobRow.record_id == record.id))


def with_policies(store, source, target):
    """One whose copy and proof were good, one whose weren't, one that has none yet, one that never has."""
    trials = {
        "good": {"stand": "done", "shown_by": "console", "seconds": {"copy": 20.0, "all": 61.5}},
        "bad": {"stand": "failed", "error": "The quota is short."},
    }
    copies = {"good": {"stand": "done"}, "bad": {"stand": "failed", "error": "It is full."}}
    for name in ("good", "bad", "new", "never"):
        prove = None if name == "never" else "every 7d"
        due = datetime(2100, 1, 1)
        proofs = {"prove": prove, "prove_on": target, "prove_due_at": due}
        second = None if name == "never" else "another vault"
        new = NewBackupPolicy(name, ("web",), None, "every 1d", "last 2", None, due, None, copy_to=second, **proofs)
        (record,) = store.migrations.add_together(
            [NewMigration(name, f"policy:{name}", source, target, {"type": "backup-policy"}, policy=new)]
        )
        if name in trials:
            at = "2026-01-01T00:00:00Z"
            trial = {"machine_name": "web", "point": "web/1", "id": "t", **trials[name]}
            copy = {"id": "c", "begun_at": at, **copies[name]}
            store.backup_policies.change(
                record.id, copy=copy, proof={"begun_at": at, "ended_at": at, "trials": [trial]}
            )
        with store.database.session() as session:  # as with replicas
            session.execute(delete(JobRow).where(JobRow.record_id == record.id))


def test_figures_of_copies_and_proofs_of_backups_are_those_of_the_last_ones(figures):
    for outcome in ("good", "failed", "none"):
        assert value(figures, "longshore_backup_copies", outcome=outcome) == 1, outcome
        assert value(figures, "longshore_backup_proofs", outcome=outcome) == 1, outcome
    assert value(figures, "longshore_backup_rto_seconds", of="worst") == 61.5


def test_what_the_database_has_in_its_place_is_told(figures):
    for name, count in (("servers", 1), ("standbys", 0), ("waits", 0)):
        assert value(figures, f"longshore_database_{name}") == count


def test_who_is_away_is_told_and_which_certificate_ends_soon(figures):
    assert value(figures, "longshore_nodes", state="alive") == 2
    assert value(figures, "longshore_nodes", state="away") == 1
    days = value(figures, "longshore_certificate_left_seconds", node="node1", service="patroni") / 86400
    assert days == pytest.approx(9, abs=0.1)


def test_figures_of_replicas_are_those_of_what_stands(figures):
    assert value(figures, "longshore_replicas", stage="protected") == 2
    for condition, count in (("rpo-breached", 1), ("suspect", 1), ("unproven", 1), ("drifted", 0)):
        assert value(figures, "longshore_replica_conditions", condition=condition) == count, condition
    assert value(figures, "longshore_replica_rpo_ratio", of="worst") == pytest.approx(2, abs=0.05)
    assert value(figures, "longshore_replica_sync_seconds", of="median") == pytest.approx(8, abs=0.1)
    assert value(figures, "longshore_replica_rto_seconds", of="worst") == 42.5


def test_methods_that_nobody_knows_are_one_series(tmp_path):
    """Each series stays for as long as the server runs, and no token is needed to make one."""
    store = Store(StateDirectory(tmp_path / "state"))

    async def scrape():
        app = create_app(store, access=access(), metrics=True)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            for method in ("GET", *(f"M{n}" for n in range(20))):
                await http.request(method, "/v1/migrations")
            return (await http.get("/metrics")).text

    told = asyncio.run(scrape())
    store.close()
    assert set(re.findall(r'longshore_request_seconds_count{method="(\w+)"', told)) == {"GET", "other"}


def value(figures, name, **labels):
    [found] = [value for has, value in figures[name] if has == labels]
    return found


def test_figures_are_those_of_what_goes_on(figures):
    assert value(figures, "longshore_queue", doing="waits") == 1
    assert value(figures, "longshore_queue", doing="moves") == 1
    assert value(figures, "longshore_queue", doing="cutover") == 1
    assert value(figures, "longshore_migrations_failed", code="boot-failed") == 1
    assert value(figures, "longshore_moved_bytes", how="read") == 3 << 40, "of those that are done, beyond 32 bits"
    assert value(figures, "longshore_moved_bytes", how="written") == 1
    assert value(figures, "longshore_copies") == 1
    assert value(figures, "longshore_copy_rate_bytes") == 100
    assert value(figures, "longshore_copy_left_bytes") == 3 * GIB
    assert value(figures, "longshore_synchronised") == 3, "with both replicas"
    assert 7100 < value(figures, "longshore_rpo_seconds", of="worst") < 7400, "since the last sync, not the first"


def asked():
    """Every expression of the dashboard and of the alerts."""
    board = json.loads((MONITORING / "grafana.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return panels + [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("expression", asked())
def test_dashboard_and_alerts_ask_for_what_there_is(figures, expression):
    names = re.findall(r"\b(longshore_\w+)(?:{([^}]*)})?", expression)
    assert names or expression.startswith("up{")
    for name, wanted in names:
        labels = dict(re.findall(r'(\w+)="([^"]*)"', wanted))
        assert any(labels.items() <= has.items() for has, _ in figures[name]), f"{name}{labels}"
    there = {label for name, _ in names for labels, _ in figures[name] for label in labels}
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= there


def test_nothing_is_told_that_the_dashboard_leaves_out(figures):
    board = (MONITORING / "grafana.json").read_text()
    told = {name for name in figures if name.startswith("longshore_") and not name.endswith(("_created", "_sum"))}
    assert [name for name in sorted(told) if name not in board] == []
