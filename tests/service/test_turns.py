"""One project's requests wait for clouds that don't answer: others don't wait with them."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
import requests
from cloud_stand_in import Cloud
from serving import serving
from test_tenants import VSPHERE

from longshore.service import turns
from longshore.store import StateDirectory, Store
from longshore.store.plans import Plans


@pytest.fixture
def no_queue(monkeypatch):
    monkeypatch.setattr(turns, "QUEUE", 0)


class Hole:
    """Clouds that say nothing before they are told to."""

    def __init__(self):
        self.asked = threading.Semaphore(0)
        self.answer = threading.Event()

    def connect(self, *args):
        cloud = Cloud(*args)
        cloud.check = self._check
        return cloud

    def _check(self):
        self.asked.release()
        assert self.answer.wait(60)
        return {}


@pytest.fixture
def hole(monkeypatch):
    hole = Hole()
    monkeypatch.setattr("longshore.service.providers.connect", hole.connect)
    yield hole
    hole.answer.set()


@pytest.fixture
def url(tmp_path, hole):
    store = Store(StateDirectory(tmp_path / "state"))
    with serving(store) as url:
        yield url
        hole.answer.set()
    store.close()


def add(url, number, token="ann"):
    body = VSPHERE | {"name": f"p{number}"}
    return requests.post(f"{url}/v1/providers", json=body, headers={"X-Auth-Token": token}, timeout=60)


def test_forty_requests_of_one_project_that_wait_for_a_cloud_hold_up_nobody_else(url, hole):
    with ThreadPoolExecutor(41) as callers:
        anns = [callers.submit(add, url, n) for n in range(40)]
        for _ in range(turns.OF_CLOUDS):
            assert hole.asked.acquire(timeout=30)
        for path, token in (
            ("/healthz", None),
            ("/readyz", None),
            ("/v1/migrations", "bob"),
            ("/v1/migrations", "ann"),
        ):
            assert requests.get(url + path, headers={"X-Auth-Token": token}, timeout=30).status_code == 200, path
        bobs = callers.submit(add, url, 0, "bob")
        assert hole.asked.acquire(timeout=30), "another project's turn comes at once"
        assert not hole.asked.acquire(timeout=0.1), "and no more of Ann's"
        hole.answer.set()
        assert {one.result().status_code for one in [*anns, bobs]} == {201}


def test_whoever_waits_too_long_for_a_turn_is_told_when_to_come_again(url, hole, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    with ThreadPoolExecutor(turns.OF_CLOUDS) as callers:
        first = [callers.submit(add, url, n) for n in range(turns.OF_CLOUDS)]
        for _ in first:
            assert hole.asked.acquire(timeout=30)
        refused = add(url, "late")
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
        assert int(refused.headers["Retry-After"]) > 0
        hole.answer.set()
        assert {one.result().status_code for one in first} == {201}
    assert add(url, "last").status_code == 201


def test_whoever_comes_when_the_queue_is_full_is_told_so_at_once(no_queue, url, hole):
    with ThreadPoolExecutor(turns.OF_CLOUDS) as callers:
        first = [callers.submit(add, url, n) for n in range(turns.OF_CLOUDS)]
        for _ in first:
            assert hole.asked.acquire(timeout=30)
        assert add(url, "later").status_code == 429
        hole.answer.set()
        assert {one.result().status_code for one in first} == {201}


def test_of_all_that_a_project_sends_a_few_are_in_work_and_others_are_answered(tmp_path, monkeypatch):
    """Its other requests wait in a line of its own, beyond which they are told to come again."""
    monkeypatch.setattr(turns, "IN_WORK", 2)
    monkeypatch.setattr(turns, "LINE", 3)
    at_work, go_on = threading.Semaphore(0), threading.Event()
    find_all = Plans.all

    def find_slowly(plans):
        at_work.release()
        assert go_on.wait(60)
        return find_all(plans)

    monkeypatch.setattr(Plans, "all", find_slowly)
    store = Store(StateDirectory(tmp_path / "state"))

    def ask(path, token):
        return requests.get(url + path, headers={"X-Auth-Token": token}, timeout=60).status_code

    with serving(store) as url, ThreadPoolExecutor(6) as callers:
        asked = [callers.submit(ask, "/v1/plans", "ann") for _ in range(6)]
        for _ in range(2):
            assert at_work.acquire(timeout=30)
        assert next(as_completed(asked, timeout=30)).result() == 429
        assert ask("/v1/migrations", "bob") == 200
        assert not at_work.acquire(timeout=0.1)
        go_on.set()
        assert sorted(one.result() for one in asked) == [200] * 5 + [429]
    store.close()
