from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.longshore.plugins.module_utils import client
from ansible_collections.longshore.longshore.plugins.module_utils.client import Api, Refused, identity


def test_a_refusal_has_the_services_sentence_and_code():
    api = Api(lambda *_asked: (409, json.dumps({"code": "conflict", "message": "It is there."})))
    with pytest.raises(Refused, match="It is there") as refused:
        api("POST", "/v1/providers", {})
    assert refused.value.code == "conflict"


def test_what_a_proxy_says_is_no_answer():
    with pytest.raises(Refused, match="No Longshore server answers there"):
        Api(lambda *_asked: (502, "<html>"))("GET", "/v1/plans")


class Server:
    """Answers with these, one after the other; None: it is away."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, *_asked):
        answer = self.answers.pop(0)
        if answer is None:
            raise Refused(0, "unreachable", "It doesn't answer: Connection refused.")
        return answer


def test_a_server_that_is_away_for_a_moment_is_asked_again(monkeypatch):
    monkeypatch.setattr(client, "PAUSE", 0)
    api = Api(Server((200, "1"), None, (502, "<html>"), (503, '{"code": "unreachable"}'), (200, "2")))
    assert [api("GET", "/v1/jobs/1"), api("GET", "/v1/jobs/1")] == [1, 2]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_changes_something_is_asked_once(monkeypatch, method):
    monkeypatch.setattr(client, "PAUSE", 0)
    api = Api(Server((200, "1"), None, (200, "2")))
    api("GET", "/v1/jobs/1")
    with pytest.raises(Refused, match="Connection refused"):
        api(method, "/v1/jobs/1")


def test_a_server_that_has_never_answered_is_not_waited_for():
    with pytest.raises(Refused, match="Connection refused"):
        Api(Server(None, (200, "1")))("GET", "/v1/plans")


def test_lists_are_read_page_by_page():
    asked = []

    def ask(_method, path, _body):
        asked.append(path)
        return 200, json.dumps([{"id": str(n)} for n in range(2 if len(asked) == 1 else 1)])

    assert len(Api(ask).all("/v1/providers", "id", page=2)) == 3
    assert asked == ["/v1/providers?limit=2", "/v1/providers?limit=2&marker=1"]


def test_an_application_credential_says_no_project():
    said = identity({"application_credential_id": "i", "application_credential_secret": "s"})
    assert said["auth"]["identity"]["methods"] == ["application_credential"]
    assert "scope" not in said["auth"]
