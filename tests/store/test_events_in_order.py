"""Whoever follows a plan asks for what was said after the last that he has seen, and misses nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import event

from longshore.planning import planfile
from longshore.store import NewMigration

PLAN = {"name": "shop", "source": "cloud", "target": "cloud", "machines": [{"machine": "a", "ref": "1"}]}


def test_what_is_committed_late_is_seen_by_who_follows(store):
    cloud = store.providers.add("cloud", "openstack", {}, {}).id
    plan = store.plans.add("shop", planfile.plain(planfile.from_plain(PLAN))).id
    new = [NewMigration(name, name, cloud, cloud, {"type": "cold"}, plan_id=plan, wave=1) for name in "ab"]
    first, second = [made.id for made in store.migrations.add_together(new)]
    slow, may_commit, arrived = threading.local(), threading.Event(), threading.Event()

    @event.listens_for(store.database._sessions, "before_commit")
    def wait(_session):
        if getattr(slow, "is_this", False):
            arrived.set()
            may_commit.wait(10)

    def say_slowly():
        slow.is_this = True
        store.events.say(first, None, "said first")

    seen, last = [], 0
    with ThreadPoolExecutor(2) as both:
        begun = both.submit(say_slowly)
        assert arrived.wait(10)
        other = both.submit(store.events.say, second, None, "said second")
        end = time.monotonic() + 0.5
        while time.monotonic() < end or len(seen) < 2:
            for told in store.events.of_plan(plan, last):
                seen.append(told.event.text)
                last = told.event.id
            if time.monotonic() > end:
                may_commit.set()
            assert time.monotonic() < end + 10, f"only {seen} was seen"
            time.sleep(0.02)
        begun.result()
        other.result()
    assert seen == ["said first", "said second"]
