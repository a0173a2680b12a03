"""Marking the machine of a migration that is done: who may ask for it, and what is refused."""

import pytest
from test_retry_api import anns, begun  # noqa: F401 fixtures
from test_tenants import api  # noqa: F401 a fixture

from longshore.model.job import JobKind
from longshore.model.status import Status

MARKS = {"mark_source": {"suffix": "-moved"}, "mark_source_later": {"folder": "Gone"}, "grace": 3600}


@pytest.fixture
def done(anns):  # noqa: F811
    id_ = begun(anns)
    job = anns.store.migrations.get(id_).job
    anns.store.migrations.end_job(id_, job.id, status=Status.DONE, phase="done", result={})
    return id_


def jobs(anns):  # noqa: F811
    return [job.kind for job in anns.store.queue.records()]


def test_it_is_marked_anew_and_not_at_all(anns, done):  # noqa: F811
    anns.did("ann", "POST", f"/v1/migrations/{done}/source-marks", MARKS)
    assert anns.store.migrations.get(done).request["mark_source"]["suffix"] == "-moved"
    assert jobs(anns) == [JobKind.MARK]
    shown = anns.did("ann", "DELETE", f"/v1/migrations/{done}/source-marks")
    assert shown["status"] == "done"
    asked = anns.store.migrations.get(done).request
    assert not asked["mark_source"]["suffix"]
    assert not asked["mark_source_later"]["folder"]
    assert jobs(anns) == [JobKind.MARK]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"mark_source": {"colour": "red"}}, "colour"),
        ({"mark_source": {"suffix": "a\nb"}}, "suffix"),
        ({"mark_source": {"tag": "x" * 300}}, "tag"),
        ({"grace": -1}, "grace"),
    ],
)
def test_what_is_no_mark_is_refused(anns, done, body, said):  # noqa: F811
    answer = anns("ann", "POST", f"/v1/migrations/{done}/source-marks", body)
    assert 400 <= answer.status_code < 500
    assert said in answer.text
    assert jobs(anns) == []


def test_only_whoever_may_and_only_what_is_done(anns, done):  # noqa: F811
    assert anns("bob", "POST", f"/v1/migrations/{done}/source-marks", MARKS).status_code == 404
    moving = begun(anns)
    answer = anns("ann", "POST", f"/v1/migrations/{moving}/source-marks", MARKS)
    assert (answer.status_code, "has moved no machine" in answer.text) == (409, True)
    assert JobKind.MARK not in jobs(anns)
