"""Marks of servers that have moved, as Nova takes them."""

from types import SimpleNamespace

import pytest
from openstack import exceptions as sdk

from longshore.errors import InvalidInput, NotFound
from longshore.model.source_marks import MarkKind
from longshore.providers.openstack.source_marks import NovaSourceMarks


class Nova:
    """Holds a name and a description to Nova's rules: one line that can be printed, at most 255 characters."""

    def __init__(self, **server):
        self.server = SimpleNamespace(
            **{"id": "s-1", "name": "web", "description": None, "tags": [], "is_locked": False} | server
        )

    def get_server(self, id_):
        if id_ != "s-1":
            raise sdk.NotFoundException
        return SimpleNamespace(**vars(self.server))

    def update_server(self, _server, **changes):
        for value in changes.values():
            assert value.isprintable()
            assert len(value) <= 255
        vars(self.server).update(changes)

    def add_tag_to_server(self, _server, tag):
        self.server.tags = [*self.server.tags, tag] if tag not in self.server.tags else self.server.tags

    def remove_tag_from_server(self, _server, tag):
        self.server.tags = [other for other in self.server.tags if other != tag]

    def lock_server(self, _server):
        self.server.is_locked = True

    def unlock_server(self, _server):
        self.server.is_locked = False


NOTE = "Moved to OpenStack on 2026-11-27, as server 1a2b. Don't start it here."
MARKS = [(MarkKind.NOTE, NOTE), (MarkKind.SUFFIX, "-moved"), (MarkKind.TAG, "moved"), (MarkKind.DISCONNECT, "")]


def marked(**server):
    nova = Nova(**server)
    return nova, NovaSourceMarks(SimpleNamespace(compute=nova))


@pytest.mark.parametrize(("kind", "text"), MARKS)
@pytest.mark.parametrize("description", [None, "the shop's"])
def test_a_mark_is_made_once_and_taken_away_with_nothing_else(kind, text, description):
    nova, marks = marked(description=description, tags=["blue"])
    as_it_was = vars(nova.server) | {"description": description or ""}
    before = marks.before_mark("s-1", kind, text)
    for _ in range(2):
        marks.mark("s-1", kind, text, before)
    assert marks.before_mark("s-1", kind, text) is None
    assert marks.unmark("s-1", kind, text, before)
    assert vars(nova.server) | {"description": nova.server.description or ""} == as_it_was
    assert not marks.unmark("s-1", kind, text, before)


def test_a_description_without_room_and_what_isnt_there_is_said():
    nova, marks = marked(description="x" * 250)
    with pytest.raises(InvalidInput, match="no room for another sentence"):
        marks.mark("s-1", MarkKind.NOTE, NOTE, "")
    assert nova.server.description == "x" * 250
    with pytest.raises(InvalidInput, match="in no folders"):
        marks.before_mark("s-1", MarkKind.FOLDER, "Moved")
    with pytest.raises(NotFound, match="The project has no server s-2"):
        marks.before_mark("s-2", MarkKind.NOTE, NOTE)
