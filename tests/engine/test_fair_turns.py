"""Whose turn it is between projects: what one has asked for, and how much of it, keeps no other waiting."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.engine.queue import ASIDE, ENDING, SPARE, may_begin, places_left, take_turns
from longshore.model.job import JobKind
from longshore.model.limit import Limit, LimitOf, LimitPlace
from longshore.model.plan import PlanLimits
from longshore.model.status import Status
from longshore.store import NewMigration, QueueRecord, Scope, Store, WorkerRecord

GREEDY = PlanLimits(at_once=1_000_000)


def asked(project, count, *, plan=None, **fields):
    """So many queued migrations of a project, between clouds of its own."""
    return [
        QueueRecord(
            f"{project}{plan or ''}{n}",
            Status.QUEUED,
            False,
            f"vc-{project}",
            f"vm-{n}",
            f"cloud-{project}",
            plan,
            1,
            "",
            (),
            project_id=project,
            **fields,
        )
        for n in range(count)
    ]


def worker(name, capacity=8):
    return WorkerRecord(name, "host", 1, "2", capacity, ())


class Installation:
    """Workers that look at the queue one after another, as they do under its lock."""

    def __init__(self, queue, workers, limits):
        self.queue, self.workers, self.limits = list(queue), workers, limits
        self.last_turns, self.turns = {}, []  # projects, in the order of their turns

    def look(self):
        """Projects whose migrations begin."""
        began = []
        for one in self.workers:
            own = take_turns(one, self.queue, self.workers, self.limits, last_turns=self.last_turns)
            by_id = {record.id: record for record in self.queue}
            for id_ in own:
                project = by_id[id_].project_id
                began.append(project)
                self.last_turns[project] = max(self.last_turns.values(), default=0) + 1
            self.queue = [replace(r, worker_id=one.id) if r.id in own else r for r in self.queue]
        self.turns += began
        return began

    def at_work(self, project=None):
        return [r for r in self.queue if r.begun and project in (None, r.project_id)]

    def end(self, *ended):
        self.queue = [r for r in self.queue if r.id not in {one.id for one in ended}]


def test_four_machines_of_one_project_hold_up_nobody_else():
    begun = [replace(r, worker_id="w") for r in asked("a", 4)]
    others = [*asked("b", 1), *asked("c", 1, plan="p"), *asked("d", 1)]
    assert sorted(may_begin([*begun, *others], {"p": PlanLimits()})) == ["b0", "cp0", "d0"]


def test_a_plan_without_bounds_takes_no_more_than_the_projects_share():
    here = Installation(
        [*asked("a", 1000, plan="a"), *asked("b", 1), *asked("c", 1000, plan="c"), *asked("d", 2)],
        [worker(name) for name in "xyz"],
        {"a": GREEDY, "c": GREEDY},
    )
    turns = Counter(here.look())
    assert (turns["b"], turns["d"]) == (1, 2)
    assert sorted([turns["a"], turns["c"]]) == [10, 11]


def test_an_idle_installation_gives_all_places_to_one_project():
    here = Installation(asked("a", 1000, plan="a"), [worker("x"), worker("y")], {"a": GREEDY})
    assert len(here.look()) == 16


def test_who_has_nothing_at_work_need_not_wait_for_the_end_of_what_others_do():
    here = Installation(asked("a", 1000, plan="a"), [worker("x"), worker("y")], {"a": GREEDY})
    here.look()
    here.queue += asked("b", 5)
    assert here.look() == ["b"] * SPARE
    assert here.look() == []
    here.end(*here.at_work("a")[:3])  # which brings the workers back to what they take
    assert here.look() == ["b"] * 2


def test_who_comes_later_has_the_places_that_become_free_until_it_has_its_share():
    here = Installation(asked("a", 60, plan="a"), [worker("x", 4)], {"a": GREEDY})
    here.look()
    here.queue += asked("b", 60, plan="b")
    here.limits["b"] = GREEDY
    here.look()
    for _ in range(20):
        here.end(here.at_work("a")[0])
        here.look()
    assert len(here.at_work("b")) == len(here.at_work("a")) == 2


def test_who_cancels_a_thousand_stops_no_worker():
    cancelled = [replace(r, cancel_requested=True) for r in asked("a", 1000)]
    [one] = workers = [worker("x")]
    taken = take_turns(one, [*cancelled, *asked("b", 1)], workers, {})
    assert len(taken) == ENDING + 1
    assert "b0" in taken


some = st.one_of(st.none(), st.integers(1, 3))
plans = st.builds(
    PlanLimits, at_once=st.sampled_from([1, 2, 5, 1_000_000]), per_source=some, per_host=some, per_target=some
)


@st.composite
def installations(draw):
    queue, limits = [], {}
    for project in "abcd"[: draw(st.integers(2, 4))]:
        for plan in (None, f"{project}1", f"{project}2"):
            if plan:
                limits[plan] = draw(plans)
            host = draw(st.sampled_from(["", "esx1"]))
            wave = draw(st.integers(1, 2))
            ones = asked(project, draw(st.integers(0, 5)), plan=plan)
            queue += [replace(r, host=host, wave=wave) for r in ones]
    workers = [worker(f"w{n}", draw(st.integers(1, 5))) for n in range(draw(st.integers(1, 3)))]
    return Installation(draw(st.permutations(queue)), workers, limits)


def room_of_its_own(here, record):
    """Whether the limits of its project let it begin now."""
    return record.id in may_begin([*here.at_work(), record], here.limits) and not any(
        r.plan_id == record.plan_id is not None and r.wave < record.wave for r in here.queue
    )


@settings(max_examples=25, deadline=None)
@given(installations(), st.randoms(use_true_random=False))
def test_nobody_is_passed_over_no_limit_is_broken_and_no_place_stays_idle(here, chance):
    passed = {}  # turns that others have had since a project waits with nothing at work
    capacity = sum(one.capacity for one in here.workers)
    while here.queue:
        hungry = {r.project_id for r in here.queue if not r.begun and room_of_its_own(here, r)}
        idle = {p for p in hungry if not here.at_work(p)}
        began = here.look()

        for project in idle:
            if project not in began:
                passed.setdefault(project, Counter()).update(began)
                assert all(turns == 1 for turns in passed[project].values()), "passed over by more than a round"
        passed = {p: turns for p, turns in passed.items() if p in idle and p not in began}

        assert len(here.at_work()) <= capacity + SPARE * len(here.workers)
        for plan, limits in here.limits.items():
            if plan in {r.plan_id for r in here.at_work()}:
                own = [r for r in here.at_work() if r.plan_id == plan]
                assert len(own) <= limits.at_once
                assert len(own) <= min(limits.per_source or 99, limits.per_target or 99)
        for project in "abcd":
            assert len([r for r in here.at_work(project) if not r.plan_id]) <= PlanLimits().at_once

        left = [r for r in here.queue if not r.begun and room_of_its_own(here, r)]
        if left:
            assert places_left(here.queue, here.workers) <= SPARE * len(here.workers), "a place stays idle"
            assert len(here.at_work()) >= capacity
        for project in {r.project_id for r in left}:
            fewest = len(here.at_work(project))
            assert all(len(here.at_work(other)) <= fewest + 1 for other in began), "more than its share"
        here.end(*chance.sample(here.at_work(), chance.randint(1, len(here.at_work()))))


def test_what_somebody_waits_for_the_answer_of_waits_for_no_machine_and_takes_no_place_of_one():
    limits = [Limit(LimitPlace(LimitOf.SOURCE, "vc-a"), "a", at_once=1)]
    moving = [replace(r, worker_id="w") for r in asked("a", 8)]
    checks = [replace(r, id=f"check-{r.id}", kind=JobKind.PLAN_CHECK) for r in (*asked("a", 3), *asked("b", 1))]
    taken = take_turns(worker("w"), [*moving, *checks], [worker("w")], {}, of_places=limits)
    assert taken == ["check-a0", "check-b0", "check-a1", "check-a2"]
    checks = [replace(r, worker_id="w") for r in checks]
    assert take_turns(worker("w"), [*checks, *asked("c", 1)], [worker("w")], {}) == ["c0"]


def test_of_many_questions_of_a_project_those_of_others_needn_t_wait():
    checks = [replace(r, kind=JobKind.PLAN_CHECK) for r in (*asked("a", 40), *asked("b", 1))]
    here = Installation(checks, [worker("w"), worker("v")], {})
    assert set(here.look()) == {"a", "b"}
    assert len(here.at_work()) <= ASIDE * 2
    assert places_left(here.queue, here.workers) > 2 * SPARE, "machines have all their places"


@pytest.fixture
def store(each_state):
    store = Store(each_state)
    yield store
    store.close()


def test_workers_read_a_few_of_a_long_queue_and_choose_as_if_they_had_read_it_all(store):
    for project, count in (("a", 60), ("b", 3), ("c", 60)):
        view = store.scoped(Scope(project))
        cloud = view.providers.add("cloud", "openstack", {}, {}).id
        plan = view.plans.add("all", {"limits": {"at_once": 1_000_000}}).id
        places = [{"path": f"web{n}", "host": f"esx{n % 2}", "datastores": ["ds"]} for n in range(count)]
        view.migrations.add_together(
            [NewMigration(f"web{n}", f"vm-{n}", cloud, cloud, {}, plan, 1, places[n]) for n in range(count)]
        )
    limits = {plan: PlanLimits(**given) for plan, given in store.queue.limits().items()}
    x, y = workers = [worker("x"), worker("y")]
    for one in workers:
        store.workers.begin_alone(one) if one is x else store.database.persist(lambda: _begin(store, y))
    of = {record.id: record.project_id for record in store.queue.records()}
    read = []

    def choose(me):
        def chosen(lineup):
            few = lineup.waiting(places_left(lineup.begun, lineup.workers))
            read.append(len(few))
            every = [r for r in store.queue.records() if not r.begun]
            turns = [
                take_turns(me, [*lineup.begun, *queue], lineup.workers, limits, last_turns=lineup.last_turns)
                for queue in (few, every)
            ]
            assert turns[0] == turns[1]
            return turns[0]

        return chosen

    taken = [store.queue.take(one, choose(one)) for one in workers]
    assert [len(ids) for ids in taken] == [8, 8]
    turns = Counter(of[id_] for ids in taken for id_ in ids)
    assert turns["b"] == 3
    assert sorted([turns["a"], turns["c"]]) == [6, 7]
    assert read[0] < 123
    had_more = max("ac", key=lambda project: turns[project])
    for id_ in [id_ for id_ in taken[0] if of[id_] == had_more][:1]:
        store.migrations.end_job(store.jobs.get(id_).record_id, id_, status="done")
    assert len(store.queue.take(x, choose(x))) == 8, "what it had, and one more"


def _begin(store, one):
    from sqlalchemy import insert

    from longshore.store.tables import WorkerRow

    with store.database.session() as session:
        values = {"id": one.id, "host": "h", "pid": 1, "flow_version": one.flow_version, "labels": []}
        session.execute(insert(WorkerRow).values(**values, capacity=one.capacity, lease_until=None))
