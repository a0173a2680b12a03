from __future__ import annotations

import pytest

from ansible_collections.longshore.longshore.plugins.module_utils import jobs
from ansible_collections.longshore.longshore.plugins.module_utils.client import Refused
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed

JOB = dict(
    id="m1",
    status="running",
    phase="copying",
    interrupted=False,
    stranded=None,
    parked=None,
    error=None,
    error_code=None,
    server_id=None,
)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(jobs.time, "sleep", lambda _seconds: None)


@pytest.mark.parametrize("status", ["done", "failed", "cancelled", "rehearsed", "waits-with-copy"])
def test_a_wait_is_over_when_it_has_ended_or_a_person_is_asked(status):
    answers = [dict(JOB), dict(JOB, status=status)]
    assert jobs.waited(lambda *_asked: answers.pop(0), "m1", 1)["status"] == status
    assert not answers


def test_the_end_of_a_wait_tells_why_it_goes_on():
    parked = dict(JOB, status="parked", parked="The target has no room.")
    with pytest.raises(Failed, match="Migration m1 goes on: The target has no room.") as failed:
        jobs.waited(lambda *_asked: parked, "m1", 0)
    assert failed.value.code == "timeout"
    assert failed.value.answered["id"] == "m1"


def test_what_was_interrupted_with_its_host_goes_on():
    asked = []

    def ask(method, path, _body=None):
        asked.append((method, path))
        return dict(JOB, interrupted=method == "GET", status="running" if method == "GET" else "done")

    assert jobs.waited(ask, "m1", 1)["status"] == "done"
    assert asked == [("GET", "/v1/jobs/m1"), ("POST", "/v1/migrations/m1/resume")]


def test_what_another_playbook_has_begun_meanwhile_is_taken():
    def refused():
        raise Refused(409, "conflict", "It is being migrated already.")

    assert jobs.begun(refused, lambda: JOB) == (JOB, False)
    with pytest.raises(Refused):
        jobs.begun(refused, lambda: None)
    assert jobs.begun(lambda: JOB, lambda: None) == (JOB, True)


def test_a_path_is_told_by_its_reference():
    asked = []

    class Ask:
        def found(self, path):
            asked.append(path)
            return {"ref": "vm-7"} if "Shop" in path else None

    assert jobs.reference(Ask(), "vc", "web") == "web"
    assert jobs.reference(Ask(), "vc", "Shop/web") == "vm-7"
    assert jobs.reference(Ask(), "vc", "Gone/web") == "web"
    assert asked[0] == "/v1/providers/vc/machines/Shop%2Fweb"
