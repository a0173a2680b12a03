"""`longshore api`: the REST API by lines of JSON, as a program that has no server asks it."""

import io
import json

import pytest

from in_process import longshore


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.setattr("longshore.engine.embedded.ensure_running", lambda _state: None)
    (tmp_path / "images").mkdir()

    def ask(*lines):
        written = "".join(line if isinstance(line, str) else f"{json.dumps(line)}\n" for line in lines)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(written.encode())))
        done = longshore(tmp_path / "state", "api")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def test_each_line_is_answered_as_a_server_would(ask, tmp_path):
    images = {"url": f"file://{tmp_path}/images"}
    new = {"name": "images", "kind": "files", "settings": images, "secrets": {}}
    listed, added, gone = ask(
        {"method": "GET", "path": "/v1/providers"},
        {"method": "POST", "path": "/v1/providers", "body": new},
        {"method": "GET", "path": "/v1/providers/nobody"},
    )
    assert listed == {"status": 200, "body": []}
    assert (added["status"], added["body"]["provider"]["settings"]) == (201, images)
    assert (gone["status"], gone["body"]["code"]) == (404, "not-found")
    (removed,) = ask({"method": "DELETE", "path": "/v1/providers/images"})
    assert removed == {"status": 204, "body": None}


def test_a_plan_is_changed_only_as_it_was_read(ask, tmp_path):
    images = {"url": f"file://{tmp_path}/images"}
    for name in ("a", "b"):
        new = {"name": name, "kind": "files", "settings": images, "secrets": {}}
        ask({"method": "POST", "path": "/v1/providers", "body": new})
    plan = {"name": "shop", "source": "a", "target": "b", "machines": [{"machine": "web"}]}
    put = {"method": "PUT", "path": "/v1/plans/shop", "body": plan}
    answers = ask(put, {**put, "if_match": '"of-another-time"'})
    assert [one["status"] for one in answers] == [201, 412]


@pytest.mark.parametrize(
    "line",
    [
        "no JSON\n",
        "[1]\n",
        "\n",
        {"path": "/v1/plans"},
        {"method": "TRACE", "path": "/v1/plans"},
        {"method": "GET", "path": "v1/plans"},
        {"method": "GET", "path": "/v1/plans\r\nHost: x"},
        {"method": "GET", "path": "/v1/plans", "headers": {}},
        {"method": "GET", "path": "/v1/plans", "if_match": 'x"\nHost: x'},
    ],
)
def test_a_line_that_cannot_be_read_is_said_and_the_next_one_answered(ask, line):
    refused, answered = ask(line, {"method": "GET", "path": "/v1/plans"})
    assert refused["status"] == 400
    assert refused["body"]["message"]
    assert answered == {"status": 200, "body": []}
