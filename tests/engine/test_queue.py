"""Whose turn it is: examples that read like a plan, and what holds for any queue."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from longshore.engine.queue import may_begin, take_turns
from longshore.engine.stranded import LiveWorkers, MissingCapability
from longshore.model.plan import PlanLimits
from longshore.model.status import Status
from longshore.store import QueueRecord, WorkerRecord

NONE = QueueRecord("", Status.QUEUED, False, "vc", "vm-1", "cloud", None, 0, "esx1", ("ds1",))
MANY = PlanLimits(at_once=100)


def queue(*records):
    return [replace(NONE, id=f"m{n}", record_id=f"m{n}", **fields) for n, fields in enumerate(records)]


def in_plan(**fields):
    return {"plan_id": "p", "wave": 1, **fields}


def test_without_a_plan_four_run_at_once_in_the_order_they_were_asked_for():
    assert may_begin(queue(*[{}] * 6), {}) == ["m0", "m1", "m2", "m3"]
    running = {"status": Status.RUNNING}
    assert may_begin(queue({}, running, running, running, {}), {}) == ["m0"]


def test_a_single_machine_does_not_wait_for_the_end_of_a_large_plan():
    full = [in_plan(status=Status.RUNNING)] * 10
    assert may_begin(queue(*full, {}, in_plan()), {"p": PlanLimits(at_once=10)}) == ["m10"]


def test_a_host_takes_no_more_than_its_limit_and_others_go_on():
    waiting = queue(*[in_plan(host=h) for h in ("esx1", "esx1", "esx1", "esx2")])
    assert may_begin(waiting, {"p": PlanLimits(at_once=100, per_host=2)}) == ["m0", "m1", "m3"]


def test_the_same_host_name_in_another_vcenter_is_another_host():
    waiting = queue(in_plan(), in_plan(source_id="vc2"))
    assert may_begin(waiting, {"p": PlanLimits(per_host=1)}) == ["m0", "m1"]


def test_a_machine_with_disks_on_two_datastores_needs_room_on_both():
    waiting = queue(in_plan(datastores=("ds1", "ds2")), in_plan(datastores=("ds2",)), in_plan(datastores=("ds3",)))
    assert may_begin(waiting, {"p": PlanLimits(per_datastore=1)}) == ["m0", "m2"]


def test_what_others_do_at_a_place_counts_too():
    waiting = queue({"status": Status.RUNNING}, in_plan())
    assert may_begin(waiting, {"p": PlanLimits(per_source=1)}) == []
    assert may_begin(waiting, {"p": PlanLimits(per_target=1)}) == []
    assert may_begin(waiting, {"p": PlanLimits(per_target=2)}) == ["m1"]


def test_a_wave_begins_when_the_lower_ones_have_ended():
    first, second = in_plan(), in_plan(wave=2)
    assert may_begin(queue(second, first, second), {"p": MANY}) == ["m1"]
    running = in_plan(status=Status.RUNNING)
    assert may_begin(queue(running, second), {"p": MANY}) == []
    assert may_begin(queue(second, second), {"p": MANY}) == ["m0", "m1"]


def test_waves_of_one_plan_hold_up_no_other():
    assert may_begin(queue(in_plan(), in_plan(wave=2, plan_id="other"), {}), {"p": MANY}) == ["m0", "m1", "m2"]


def test_a_wave_of_which_some_wait_for_their_moment_has_not_ended():
    """They aren't in the queue that is looked at."""
    assert may_begin(queue(in_plan(wave=2)), {"p": MANY}, first_waves={"p": 1}) == []
    assert may_begin(queue(in_plan()), {"p": PlanLimits(at_once=1)}, first_waves={"p": 1}) == ["m0"]


def test_a_cancelled_one_has_its_turn_at_once_to_end():
    full = [in_plan(status=Status.RUNNING)] * 4
    assert may_begin(queue(*full, in_plan(wave=2, cancel_requested=True), in_plan()), {"p": PlanLimits()}) == ["m4"]


few = st.one_of(st.none(), st.integers(1, 3))
some_limits = st.builds(
    PlanLimits, at_once=st.integers(1, 5), per_source=few, per_host=few, per_datastore=few, per_target=few
)
records = st.lists(
    st.builds(
        QueueRecord,
        id=st.uuids().map(str),
        status=st.sampled_from([Status.QUEUED, Status.PARKED, Status.RUNNING]),
        cancel_requested=st.booleans(),
        source_id=st.sampled_from(["vc1", "vc2"]),
        target_id=st.sampled_from(["c1", "c2"]),
        plan_id=st.sampled_from([None, "p", "q"]),
        wave=st.integers(0, 2),
        host=st.sampled_from(["", "esx1", "esx2"]),
        datastores=st.lists(st.sampled_from(["ds1", "ds2"]), max_size=2).map(tuple),
    ),
    max_size=25,
    unique_by=lambda r: r.id,
)


@given(records, some_limits, some_limits)
def test_what_begins_finds_room_beside_what_is_at_work(queue, p, q):
    limits = {"p": p, "q": q}
    begun = set(may_begin(queue, limits))
    at_work = [r for r in queue if r.status is Status.RUNNING]
    for record in [r for r in queue if r.id in begun and not r.cancel_requested]:
        own = limits.get(record.plan_id, PlanLimits())
        same_source = [r for r in at_work if r.source_id == record.source_id]
        assert len([r for r in at_work if record.plan_id or not r.plan_id]) < own.at_once
        assert own.per_source is None or len(same_source) < own.per_source
        assert own.per_host is None or len([r for r in same_source if record.host == r.host != ""]) < own.per_host


@given(records, some_limits)
def test_with_one_plan_no_place_ever_holds_more_than_its_limit(queue, limits):
    queue = [replace(r, plan_id="p", cancel_requested=False, status=Status.QUEUED) for r in queue]
    begun = [r for r in queue if r.id in may_begin(queue, {"p": limits})]
    assert len(begun) <= limits.at_once
    for place, most in (
        (lambda r: [r.source_id], limits.per_source),
        (lambda r: [r.target_id], limits.per_target),
        (lambda r: [(r.source_id, r.host)] if r.host else [], limits.per_host),
        (lambda r: {(r.source_id, d) for d in r.datastores}, limits.per_datastore),
    ):
        held = [p for r in begun for p in place(r)]
        assert most is None or all(held.count(p) <= most for p in held)


@given(records, some_limits, some_limits)
def test_when_nothing_is_at_work_something_begins(queue, p, q):
    """Or an engine would end with work left, for ever."""
    queue = [r for r in queue if r.status is not Status.RUNNING]
    assert bool(may_begin(queue, {"p": p, "q": q})) == bool(queue)


@given(records, some_limits, some_limits)
def test_a_wave_never_begins_before_a_lower_one_has_ended(queue, p, q):
    begun = set(may_begin(queue, {"p": p, "q": q}))
    for record in queue:
        if record.id in begun and record.plan_id and not record.cancel_requested:
            assert not any(r.plan_id == record.plan_id and r.wave < record.wave for r in queue)


# Several workers


def worker(name, capacity=4, labels=(), version="2"):
    return WorkerRecord(name, "host", 1, version, capacity, labels)


def taken(records, workers, limits=None, labels=None):
    """What each of them takes, the later ones seeing what the earlier ones took."""
    found = {}
    for one in workers:
        found[one.id] = take_turns(one, records, workers, limits or {"p": MANY}, labels=labels or {})
        records = [replace(r, worker_id=one.id) if r.id in found[one.id] else r for r in records]
    return found


def test_workers_share_what_may_begin_by_the_room_they_have():
    found = taken(queue(*[in_plan()] * 7), [worker("a"), worker("b", capacity=2), worker("c")])
    assert sorted(map(len, found.values())) == [1, 3, 3]
    assert len(found["b"]) == 1
    found = taken(queue(*[in_plan()] * 20), [worker("a"), worker("b", capacity=2)])
    assert [len(found["a"]), len(found["b"])] == [4, 2], "no more than they have room for"


def test_a_limit_holds_over_all_workers():
    found = taken(queue(*[in_plan()] * 9), [worker("a"), worker("b"), worker("c")], {"p": PlanLimits(per_host=2)})
    assert sum(map(len, found.values())) == 2


def test_what_a_dead_worker_had_is_shared_among_the_living_even_if_they_are_full():
    begun = in_plan(status=Status.RUNNING)
    full = [{**begun, "worker_id": "a"}] * 2 + [{**begun, "worker_id": "b"}] * 2
    found = taken(queue(*[{**begun, "worker_id": "dead"}] * 4, *full), [worker("a", 2), worker("b", 2)])
    assert sorted([*found["a"], *found["b"]]) == ["m0", "m1", "m2", "m3"]
    assert len(found["a"]) == len(found["b"]) == 2


def test_what_was_begun_in_another_version_waits_for_a_worker_of_that_version():
    begun = in_plan(status=Status.RUNNING, worker_id="dead", flow_version="1")
    assert taken(queue(begun), [worker("new", version="2")]) == {"new": []}
    assert taken(queue(begun), [worker("new", version="2"), worker("old", version="1")]) == {"new": [], "old": ["m0"]}


def test_a_cancelled_one_of_a_version_that_nobody_knows_is_taken_back_by_anybody():
    begun = in_plan(status=Status.RUNNING, worker_id="dead", flow_version="1", cancel_requested=True)
    assert taken(queue(begun), [worker("new", version="2")]) == {"new": ["m0"]}
    both = [worker("new", version="2"), worker("old", capacity=0, version="1")]
    assert taken(queue(begun), both) == {"new": [], "old": []}, "it is the old one's as long as that one lives"
    labels = {"vc": frozenset({"north"})}
    assert taken(queue(begun), [worker("new", version="2")], labels=labels) == {"new": []}


def why(record, *workers, labels=None):
    [one] = queue(record)
    said = LiveWorkers(workers, labels or {}).stranded(one)
    return said and said.lack


def test_it_is_known_why_nobody_can_take_a_migration():
    begun = {"status": Status.RUNNING, "worker_id": "dead", "flow_version": "1"}
    north = {"vc": frozenset({"north"})}
    assert why({}) is MissingCapability.WORKER
    assert why({}, worker("a")) is None
    assert why({}, worker("a", capacity=1), worker("b", labels=("south",)), labels=north) is MissingCapability.LABELS
    assert why({}, worker("a"), worker("b", labels=("north",)), labels=north) is None
    assert why({"worker_id": "a"}, worker("a"), labels=north) is None, "whoever has it reaches it"
    assert why(begun, worker("a", version="2")) is MissingCapability.FLOW_VERSION
    assert why(begun, worker("a", version="2"), worker("b", version="1", labels=("north",)), labels=north) is None
    assert why(begun, worker("a", labels=("north",), version="2"), worker("b", version="1"), labels=north) is (
        MissingCapability.FLOW_VERSION
    )
    assert why(begun | {"cancel_requested": True}, worker("a", version="2")) is None
    assert why({"status": Status.DONE}) is None


def test_what_is_missing_is_named():
    [one] = queue({})
    said = LiveWorkers([worker("a", labels=("b",))], {"vc": frozenset({"n"}), "cloud": frozenset({"b"})}).why(one)
    assert "longshore worker --label b --label n" in said
    [one] = queue({"worker_id": "dead", "flow_version": "1"})
    said = LiveWorkers([worker("a")], {}).why(one)
    assert "flow version 1" in said
    assert "longshore migration cancel m0" in said


def test_who_is_about_to_end_takes_nothing_and_is_left_no_share():
    found = taken(queue(*[in_plan()] * 4), [worker("ending", capacity=0), worker("b")])
    assert [len(found["ending"]), len(found["b"])] == [0, 4]


def test_only_workers_with_a_providers_labels_take_its_migrations():
    labels = {"vc": frozenset({"north"}), "cloud": frozenset({"ceph"})}
    workers = [worker("none"), worker("north", labels=("north",)), worker("both", labels=("ceph", "north", "more"))]
    found = taken(queue(in_plan(), in_plan(source_id="vc2", target_id="cloud2")), workers, labels=labels)
    assert found["both"] == ["m0"]
    assert found["none"] == ["m1"]
