"""Channels over REST: made, changed, tested and deleted by those who may, and no secret is ever shown."""

import json

import pytest
from test_tenants import Api

from longshore.model.channel import OPERATORS
from longshore.model.reach import Reach
from longshore.store import StateDirectory, Store
from receivers import Webhook, trusted

CHANNELS = "/v1/channels"
NEW = {"name": "oncall", "kind": "webhook", "address": "https://hooks.example.org/swordfish", "key": "marlin"}
MAIL = {"host": "smtp.example.org", "sender": "a@example.org", "to": "b@example.org"}


@pytest.fixture
def api(tmp_path):
    store = Store(StateDirectory(tmp_path / "state", reach=Reach(("127.0.0.0/8",))))
    yield Api(store)
    store.close()


def test_a_member_makes_changes_and_deletes_one_and_its_secrets_are_shown_to_nobody(api):
    made = api.did("ann", "POST", CHANNELS, NEW | {"quiet": "22:00-07:00 Europe/Berlin", "waits_after": "1h"})
    said = {"name": "oncall", "kind": "webhook", "waits_after": 3600.0, "signed": True, "waiting": 0, "lost": 0}
    assert made | said == made
    assert "window" in made["occasions"]
    changed = api.did("ann", "PATCH", f"{CHANNELS}/oncall", {"occasions": ["failed"], "quiet": "", "key": ""})
    assert (changed["occasions"], changed["quiet"], changed["signed"]) == (["failed"], None, False)
    assert api.did("ann-reader", "GET", f"{CHANNELS}/oncall") == changed
    assert api.did("ann-reader", "GET", CHANNELS) == [changed]
    assert api.store.channels.secrets(made["id"]) == {"address": NEW["address"]}
    assert not any(secret in json.dumps([made, changed]) for secret in ("swordfish", "marlin"))
    assert api("ann-reader", "DELETE", f"{CHANNELS}/oncall").status_code == 403
    api.did("ann", "DELETE", f"{CHANNELS}/oncall")
    assert api.did("ann", "GET", CHANNELS) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "command"}, "kind"),
        ({"address": "http://hooks.example.org/swordfish"}, "address"),
        ({"address": "https://ann:swordfish@hooks.example.org/"}, "address"),
        ({"address": "https://h:99999/swordfish"}, "address"),
        ({"address": "https://h/swordfish\r\nX: y"}, "address"),
        ({"address": None}, "address"),
        ({"password": "swordfish"}, "password"),
        ({"kind": "slack"}, "key"),
        ({"mail": MAIL}, "mail"),
        ({"quiet": "at night"}, "quiet"),
        ({"quiet": "22:00-07:00 Nowhere/Land"}, "quiet"),
        ({"quiet": "25:00-07:00 UTC"}, "quiet"),
        ({"occasions": []}, "occasions"),
        ({"kind": "mail", "address": None, "key": None}, "mail"),
        ({"kind": "mail", "address": None, "key": None, "mail": MAIL | {"user": "ann"}}, "password"),
        ({"kind": "mail", "address": None, "key": None, "mail": MAIL | {"user": "ann", "tls": "none"}}, "tls"),
        ({"kind": "mail", "address": None, "key": None, "mail": MAIL | {"to": "b@example.org\r\nX: y"}}, "to"),
    ],
)
def test_what_is_no_channel_is_refused_where_it_is_wrong_and_says_no_secret(api, change, field):
    answer = api("ann", "POST", CHANNELS, {k: v for k, v in (NEW | change).items() if v is not None})
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"].split(".")[-1] == field
    assert "swordfish" not in answer.text
    assert api.did("ann", "GET", CHANNELS) == []


def test_a_change_may_not_leave_it_without_what_it_needs(api):
    api.did("ann", "POST", CHANNELS, NEW)
    assert api("ann", "PATCH", f"{CHANNELS}/oncall", {"address": ""}).status_code == 400
    assert api("ann", "PATCH", f"{CHANNELS}/oncall", {"mail": MAIL}).status_code == 400


def test_a_password_goes_to_no_other_server_than_it_was_given_for(api):
    kept = MAIL | {"user": "ann"}
    made = {"name": "mail", "kind": "mail", "mail": kept, "password": "swordfish"}
    id_ = api.did("ann", "POST", CHANNELS, made)["id"]
    api.did("ann", "PATCH", f"{CHANNELS}/mail", {"mail": kept | {"to": "c@example.org"}})
    for other in ({"host": "evil.example.org"}, {"port": 25}, {"tls": "implicit"}, {"user": "bob"}):
        answer = api("ann", "PATCH", f"{CHANNELS}/mail", {"mail": kept | other})
        assert (answer.status_code, answer.json()["field"]) == (400, "password")
    assert api.store.channels.secrets(id_) == {"password": "swordfish"}
    assert api.store.channels.get(id_).mail.host == "smtp.example.org"


def test_two_of_one_name_are_refused_but_not_in_two_projects(api):
    api.did("ann", "POST", CHANNELS, NEW)
    assert api("ann", "POST", CHANNELS, NEW).status_code == 409
    api.did("bob", "POST", CHANNELS, NEW)
    assert len(api.did("admin", "GET", f"{CHANNELS}?all_projects=true")) == 2


def test_another_projects_channel_is_not_there(api):
    id_ = api.did("ann", "POST", CHANNELS, NEW)["id"]
    for name in ("oncall", id_):
        for method in ("GET", "PATCH", "DELETE"):
            assert api("bob", method, f"{CHANNELS}/{name}", {} if method == "PATCH" else None).status_code == 404
        assert api("bob", "POST", f"{CHANNELS}/{name}/test").status_code == 404


def test_the_operators_command_is_seen_by_administrators_and_changed_by_nobody(api):
    api.store.channels.keep_operators(there=True)
    assert api("ann", "GET", f"{CHANNELS}/{OPERATORS}").status_code == 404
    every = "?all_projects=true"
    assert api.did("admin", "GET", f"{CHANNELS}/{OPERATORS}{every}")["kind"] == "command"
    assert api("admin", "DELETE", f"{CHANNELS}/{OPERATORS}{every}").status_code == 409
    assert api("admin", "PATCH", f"{CHANNELS}/{OPERATORS}{every}", {"digest": 60}).status_code in (400, 409)


def test_a_test_says_whether_it_was_taken(api, tmp_path, monkeypatch):
    with trusted(tmp_path, monkeypatch) as context:
        webhook = Webhook(context)
    try:
        api.did("ann", "POST", CHANNELS, NEW | {"address": webhook.url, "quiet": "00:00-23:59 UTC"})
        api.did("ann", "POST", f"{CHANNELS}/oncall/test")
        (message,) = webhook.messages
        assert (message["occasion"], message["name"]) == ("test", "oncall")
        webhook.answers = [500]
        answer = api("ann", "POST", f"{CHANNELS}/oncall/test")
        assert answer.status_code == 502
        assert "It answered with status 500" in answer.json()["message"]
        assert "swordfish" not in answer.text
    finally:
        webhook.end()
