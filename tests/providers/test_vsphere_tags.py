"""Tags that somebody deletes while they are read: one that is gone ends nothing."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from longshore.providers.vsphere import tags

KNOWN = {
    "tag/kept": {"category_id": "c", "name": "blue"},
    "tag/of-a-gone-category": {"category_id": "gone", "name": "red"},
    "category/c": {"name": "Colour"},
}
ATTACHED = {"vm-1": ["kept", "deleted"], "vm-2": ["deleted", "of-a-gone-category"]}


class Connection:
    """One to a vCenter whose tags are KNOWN, and that still tells of others which are attached."""

    def request(self, _method, path, body, _headers):
        if path.endswith("action=list-attached-tags-on-objects"):
            self.answer = [{"object_id": one, "tag_ids": ATTACHED[one["id"]]} for one in json.loads(body)["object_ids"]]
        elif path == "/api/cis/tagging/tag":
            self.answer = ["kept", "deleted"]
        elif "list-attached-objects-on-tags" in path:
            self.answer = [{"object_ids": [{"type": "VirtualMachine", "id": "vm-1"}]}]
        else:
            self.answer = KNOWN.get(path.removeprefix("/api/cis/tagging/"))

    def getresponse(self):
        found = self.answer is not None
        return SimpleNamespace(status=200 if found else 404, read=lambda: json.dumps(self.answer).encode())


@pytest.fixture
def session(monkeypatch):
    session = SimpleNamespace(label="vc")

    @contextmanager
    def rest(_session):
        yield tags._Rest(session, Connection())

    monkeypatch.setattr(tags, "_rest", rest)
    return session


def test_the_tags_of_machines_are_those_that_are_left(session):
    assert tags.of(session, ["vm-1", "vm-2"]) == {"vm-1": ("Colour/blue",)}


def test_a_tag_is_found_among_those_that_are_left(session):
    assert tags.find_tagged(session, "blue") == {"vm-1"}
