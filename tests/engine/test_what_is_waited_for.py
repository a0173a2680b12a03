"""What a queued job is behind: a wave, a limit, or workers that have no place left."""

from hypothesis import given
from test_queue import MANY, in_plan, queue, records, some_limits, worker

from longshore.engine.queue import Behind, BlockedBy, may_begin, why_waits
from longshore.model.limit import Limit, LimitOf, LimitPlace
from longshore.model.plan import PlanLimits
from longshore.model.status import Status


def behind(records, limits=MANY, workers=None, of_places=()):
    workers = [worker("one", 100)] if workers is None else workers
    plans = {r.plan_id for r in records} - {None}
    first_waves = {plan: min(r.wave for r in records if r.plan_id == plan) for plan in plans}
    begun = [r for r in records if r.begun]
    given_limits = {plan: limits for plan in plans}
    return why_waits(
        records, begun, given_limits, first_waves=first_waves, of_places=of_places, crew=lambda _record: workers
    )


RUNNING = {"status": Status.RUNNING, "worker_id": "one"}


def test_a_wave_is_behind_the_one_that_goes_first():
    assert behind(queue(in_plan(**RUNNING), in_plan(), in_plan(wave=3))) == {"m2": Behind(BlockedBy.WAVE, wave=1)}


def test_the_limit_that_is_reached_is_named_with_its_place():
    full = queue(in_plan(**RUNNING), in_plan(), in_plan(host="esx2"))
    assert behind(full, PlanLimits(at_once=9, per_host=1)) == {
        "m1": Behind(BlockedBy.LIMIT, place=LimitPlace(LimitOf.HOST, "vc", "esx1"), at_once=1)
    }
    own = Limit(LimitPlace(LimitOf.DATASTORE, "vc", "ds1"), None, at_once=1)
    assert {one.place for one in behind(full, of_places=[own]).values()} == {own.place}
    assert behind(full) == {}, "they are only in line"


def test_workers_whose_places_are_all_taken_are_what_is_waited_for():
    busy = queue({**RUNNING, "project_id": "red"}, {"project_id": "red"}, {"project_id": "blue"})
    assert behind(busy, workers=[worker("one", 1)]) == {"m1": Behind(BlockedBy.WORKERS)}, "blue gets one in addition"
    assert behind(busy, workers=[worker("one", 1), worker("two", 1)]) == {}


@given(records, some_limits)
def test_nothing_is_behind_anything_that_may_begin(queue, limits):
    own = {plan: limits for plan in ("p", "q")}
    begin = {r.id for r in queue if not r.cancel_requested} & set(may_begin(queue, own))
    assert not begin & behind(queue, limits).keys()
