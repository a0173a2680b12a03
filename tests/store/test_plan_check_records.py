"""Findings of a plan's check, as the database has them."""

import pytest

from longshore.model.request import CheckRequest
from queued import queue_migration


@pytest.fixture
def check(store):
    vc, cloud = (store.providers.add(*words, {}) for words in (("vc", "vsphere", {}), ("cloud", "openstack", {})))
    return queue_migration(
        store.migrations,
        machine_name="shop",
        machine_ref="p",
        source_id=vc.id,
        target_id=cloud.id,
        request=CheckRequest(of="p", revision=1, total=3).to_json(),
    ).id


def test_a_part_is_told_once_and_stays_whoever_tells_it_again(store, check):
    store.plan_checks.add_part(check, 1, [{"code": "a"}])
    store.plan_checks.add_part(check, 1, [{"code": "b"}])  # by another run of the same job
    store.plan_checks.add_part(check, 2, [])
    assert store.plan_checks.parts(check, 0) == [(1, [{"code": "a"}]), (2, [])]
    assert store.plan_checks.parts(check, 1) == [(2, [])]


def test_they_go_with_their_job(store, check):
    store.plan_checks.add_part(check, 1, [{"code": "a"}])
    store.migrations.end_job(check, store.migrations.get(check).job.id, status="done")
    store.migrations.remove(check)
    assert store.plan_checks.parts(check, 0) == []
