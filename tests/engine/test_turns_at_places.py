"""Limits that are set for places: counted beside those of plans, of one project or of all, and changed at any time."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.engine.limits import share_limits
from longshore.engine.queue import may_begin, take_turns
from longshore.engine.worker import Worker, identity
from longshore.flows.workflows import FLOWS
from longshore.model.limit import Limit, LimitOf, LimitPlace, id_of
from longshore.model.plan import PlanLimits
from longshore.model.status import Status
from longshore.store import NewMigration, QueueRecord, StateDirectory, Store, WorkerRecord

NONE = QueueRecord("", Status.QUEUED, False, "vc", "vm", "cloud", None, 0, "esx1", ("ds1",), project_id="a")
MANY = PlanLimits(at_once=100)
HOST = LimitPlace(LimitOf.HOST, "vc", "esx1")


def queue(*records):
    return [replace(NONE, id=f"m{n}", **fields) for n, fields in enumerate(records)]


def begun(records, *of_places, plans=None):
    return may_begin(records, plans or {"p": MANY}, of_places=of_places)


def test_a_limit_of_a_project_counts_its_own_jobs_and_nobody_elses():
    waiting = queue(*[{"plan_id": "p"}] * 3, *[{"project_id": "b", "plan_id": "q"}] * 3)
    plans = {"p": MANY, "q": MANY}
    assert begun(waiting, Limit(HOST, "a", 1), plans=plans) == ["m0", "m3", "m4", "m5"]
    assert begun(waiting, Limit(LimitPlace(LimitOf.PROJECT, "a"), "a", 2), plans=plans) == [
        "m0",
        "m3",
        "m1",
        "m4",
        "m5",
    ]


def test_a_limit_for_all_projects_counts_everybodys_jobs():
    waiting = queue(*[{"plan_id": "p"}] * 3, *[{"project_id": "b", "host": "esx2"}] * 3)
    assert begun(waiting, Limit(LimitPlace(LimitOf.SOURCE, "vc"), None, 2)) == ["m0", "m3"]
    assert begun(waiting, Limit(LimitPlace(LimitOf.TARGET, "cloud"), None, 1)) == ["m0"]
    running = {"status": Status.RUNNING, "project_id": "c"}
    assert begun(queue(running, {}), Limit(HOST, None, 1)) == []


def test_of_several_limits_the_tightest_wins_whoever_has_set_it():
    waiting = queue(*[{"plan_id": "p"}] * 9)
    loose, tight = Limit(HOST, None, 5), Limit(HOST, "a", 2)
    assert len(begun(waiting, loose, tight)) == 2
    assert len(begun(waiting, loose, tight, plans={"p": PlanLimits(at_once=100, per_host=1)})) == 1
    assert len(begun(waiting, replace(tight, at_once=50), plans={"p": PlanLimits(at_once=3)})) == 3, "none makes room"
    assert len(begun(waiting, Limit(HOST, "a", None, 1 << 20))) == 9


def test_a_limit_of_a_plan_counts_what_is_that_plans():
    waiting = queue(*[{"plan_id": "p"}] * 3, *[{"plan_id": "q"}] * 3)
    of_plan = Limit(LimitPlace(LimitOf.PLAN, "p"), "a", 1)
    assert begun(waiting, of_plan, plans={"p": MANY, "q": MANY}) == ["m0", "m3", "m4", "m5"]


few = st.one_of(st.none(), st.integers(1, 3))
plans = st.fixed_dictionaries({plan: st.builds(PlanLimits, at_once=st.integers(1, 9), per_host=few) for plan in "pq"})
places = st.one_of(
    st.builds(LimitPlace, st.just(LimitOf.SOURCE), st.sampled_from(["vc1", "vc2"]), st.just("")),
    st.builds(LimitPlace, st.just(LimitOf.TARGET), st.sampled_from(["c1", "c2"]), st.just("")),
    st.builds(LimitPlace, st.just(LimitOf.HOST), st.sampled_from(["vc1", "vc2"]), st.sampled_from(["esx1", "esx2"])),
    st.builds(LimitPlace, st.just(LimitOf.DATASTORE), st.sampled_from(["vc1", "vc2"]), st.sampled_from(["ds1", "ds2"])),
)
whose = st.sampled_from([None, "a", "b"])
of_places = st.lists(
    st.one_of(
        st.builds(Limit, places, whose, few),
        st.builds(lambda one, most: Limit(LimitPlace(LimitOf.PROJECT, one), one, most), st.sampled_from("ab"), few),
        st.builds(lambda plan, most: Limit(LimitPlace(LimitOf.PLAN, plan), "a", most), st.sampled_from("pq"), few),
    ),
    max_size=8,
    unique_by=lambda limit: limit.id,
)
records = st.lists(
    st.builds(
        QueueRecord,
        id=st.uuids().map(str),
        status=st.just(Status.QUEUED),
        cancel_requested=st.just(False),
        source_id=st.sampled_from(["vc1", "vc2"]),
        machine_ref=st.just("vm"),
        target_id=st.sampled_from(["c1", "c2"]),
        plan_id=st.sampled_from([None, "p", "q"]),
        wave=st.just(1),
        host=st.sampled_from(["", "esx1", "esx2"]),
        datastores=st.lists(st.sampled_from(["ds1", "ds2"]), max_size=2).map(tuple),
        project_id=st.sampled_from("ab"),
    ),
    max_size=20,
    unique_by=lambda r: r.id,
)


def counted(limit, record):
    """Said again, so that the queue's own words are judged by others."""
    of, subject, name = limit.place
    there = {
        LimitOf.SOURCE: record.source_id == subject,
        LimitOf.TARGET: record.target_id == subject,
        LimitOf.HOST: (record.source_id, record.host) == (subject, name),
        LimitOf.DATASTORE: record.source_id == subject and name in record.datastores,
        LimitOf.PROJECT: record.project_id == subject,
        LimitOf.PLAN: record.plan_id == subject,
    }
    return there[of] and limit.project_id in (None, record.project_id)


@settings(max_examples=60, deadline=None)
@given(records, plans, st.lists(of_places, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_no_place_ever_holds_more_than_a_limit_allows_whatever_it_is_changed_to(queue, plans, changes, chance):
    workers = [WorkerRecord(name, "host", 1, "2", 5, ()) for name in "xy"]
    changes = iter([*changes, []])
    limits = next(changes)
    while queue:
        before = [record for record in queue if record.begun]
        for worker in workers:
            taken = take_turns(worker, queue, workers, plans, of_places=limits)
            queue = [replace(r, worker_id=worker.id) if r.id in taken else r for r in queue]
        now = [record for record in queue if record.begun]
        assert now, "when nothing is at work something begins"
        for limit in limits:
            there = [record for record in now if counted(limit, record)]
            grown = len(there) > len([record for record in before if counted(limit, record)])
            assert not grown or limit.at_once is None or len(there) <= limit.at_once
        ended = {record.id for record in chance.sample(now, chance.randint(1, len(now)))}
        queue = [record for record in queue if record.id not in ended]
        limits = next(changes, limits)


def test_a_changed_limit_counts_at_the_next_look(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    vc = store.providers.add("vc", "vsphere", {}, {}).id
    plan = store.plans.add("all", {"limits": {"at_once": 50}}).id
    at = {"path": "web", "host": "esx1", "datastores": ["ds1"]}
    store.migrations.add_together(
        [NewMigration(f"web{n}", f"vm-{n}", vc, vc, {}, plan_id=plan, places=at) for n in range(8)]
    )
    me = identity(capacity=8)
    store.workers.begin_alone(me)
    worker, host = Worker(store, me, FLOWS), LimitPlace(LimitOf.HOST, vc, "esx1")
    store.limits.put(host, "", {"at_once": 1})
    assert len(worker._take_turns()) == 1
    store.limits.put(host, "", {"at_once": 3})
    assert len(worker._take_turns()) == 3
    store.limits.put(LimitPlace(LimitOf.SOURCE, vc), None, {"at_once": 2})
    assert len(worker._take_turns()) == 3, "what is at work goes on"
    store.limits.remove(id_of(LimitPlace(LimitOf.SOURCE, vc), None))
    store.limits.remove(id_of(host, ""))
    assert len(worker._take_turns()) == 8
    store.close()


def test_what_copies_look_at_is_as_the_limits_stand_whether_they_are_set_or_not(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    vc = store.providers.add("vc", "vsphere", {}, {}).id
    source, host = LimitPlace(LimitOf.SOURCE, vc), LimitPlace(LimitOf.HOST, vc, "esx1")
    ids = [id_of(source, ""), id_of(source, None), id_of(host, "")]
    store.limits.put(source, None, {"bytes_per_second": 1 << 20, "at_once": 2})
    paths = share_limits(store, ids)
    assert [path.read_text() for path in paths] == ["{}", '{"bytes_per_second": 1048576}', "{}"]
    before = [path.stat().st_mtime_ns for path in paths]
    store.limits.put(source, None, {"bytes_per_second": None})
    store.limits.put(host, "", {"bytes_per_second": 1 << 30})
    assert share_limits(store, ids) == paths
    assert [path.read_text() for path in paths] == ["{}", "{}", '{"bytes_per_second": 1073741824}']
    assert paths[0].stat().st_mtime_ns == before[0], "what is right already isn't written again"
    store.close()
