"""A warm migration that waits for its cutover for long: what is kept of it doesn't grow with its syncs."""

import sqlite3
import time
from contextlib import closing

import pytest

from longshore.model.status import Status

pytestmark = pytest.mark.long


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def test_rows_stay_bounded_however_long_it_syncs(begin):
    run = begin(type="warm", cutover={"mode": "manual", "interval": 0.05})
    (run.world.root / "keeps-little").touch()  # so that a few syncs show what hundreds would
    life = run.start_engine()

    def least(begin, end):
        """Rows of each table, the fewest of several looks: between two syncs nothing is at work."""
        fewest = {}
        while not run.record.syncs or run.record.syncs[-1]["number"] < end:
            assert life.poll() is None, life.said
            time.sleep(0.02)
            if run.record.syncs and run.record.syncs[-1]["number"] >= begin:
                found = {**rows(run.store.state.root / "longshore.db"), **rows(run.store.state.engine_database)}
                fewest = {name: min(count, fewest.get(name, count)) for name, count in found.items()}
        return fewest

    first, later = least(8, 12), least(16, 20)
    grown = {name: (first[name], count) for name, count in later.items() if count > first[name] + 5}
    assert not grown, grown
    assert [sync["number"] for sync in run.record.syncs][:2] != [0, 1], "of the middle ones nothing is kept"
    run.store.migrations.request_cutover(run.id)
    assert life.wait(timeout=60) == 0
    record = run.record
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    assert record.syncs[0]["number"] == 0
    assert record.result["bytes_read"] > sum(sync["bytes_read"] for sync in record.syncs), "those that are gone count"


@pytest.mark.soak
@pytest.mark.timeout(1000)
def test_twelve_minutes_of_a_sync_every_two_seconds(begin):
    """The figures that docs/decisions/jobs-and-records.md has."""
    run = begin(type="warm", cutover={"mode": "manual", "interval": 2.0})
    life = run.start_engine()
    root = run.store.state.root
    began = time.monotonic()
    figures = []
    for minutes in (2, 5, 10, 12):
        while time.monotonic() - began < minutes * 60:
            assert life.poll() is None, life.said
            time.sleep(1.0)
        count = {**rows(root / "longshore.db"), **rows(run.store.state.engine_database)}
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        figures.append((minutes, run.record.syncs[-1]["number"] + 1, sum(count.values()), size))
        print(f"\n{minutes} min: {figures[-1][1]} syncs, {figures[-1][2]} rows, {size / 1024:.0f} KiB in all files")
    run.store.migrations.request_cutover(run.id)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()
    *_, (_, _, rows_then, bytes_then), (_, _, rows_at_last, bytes_at_last) = figures
    assert rows_at_last <= rows_then * 1.05  # all that is kept of syncs is there after some hundred and fifty of them
    assert bytes_at_last <= bytes_then * 1.05


def test_what_a_dead_engine_has_left_of_a_job_that_had_ended_is_forgotten(begin):
    """It died between the end of the job and the moment in which its steps would have gone."""
    run = begin()
    run.world.plan_fault("create_volume", 1, "after", "kill")
    assert run.engine()[0] == -9
    run.store.migrations.end_job(run.id, run.record.job.id, status=Status.FAILED)
    assert run.steps_kept() == 1
    run.again()
    assert run.to_the_end(lives=1).status is Status.DONE, run.record.error
    assert run.steps_kept() == 0
