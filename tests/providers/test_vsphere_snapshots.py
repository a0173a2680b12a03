"""What is still being made at a vCenter, and what was done to a machine there."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
from pyVmomi import vim

from longshore.errors import ProviderError
from longshore.model.target import Owner
from longshore.providers.vsphere import power, snapshots, tasks

OWNER = Owner("m", "snapshot")


class Session:
    label = "vc"

    def __init__(self, events=()):
        told = None if events is None else SimpleNamespace(QueryEvents=self.query)
        self.content = SimpleNamespace(eventManager=told)
        self.events = events
        self.asked = []

    @contextmanager
    def doing(self, _what):
        with nullcontext():
            yield

    def object(self, kind, ref):
        return kind(ref, None)

    def query(self, wanted):
        self.asked.append(wanted)
        return [SimpleNamespace(key=key) for key in self.events]


@pytest.fixture
def creating(monkeypatch):
    """A snapshot that is being made: it is there when its task has ended."""
    task = vim.Task("task-1", None)
    there = []

    def ended(_session, awaited, _timeout):
        assert awaited is task
        there.append("snapshot")

    running = {"info.state": "running", "info.descriptionId": "VirtualMachine.createSnapshot"}
    monkeypatch.setattr(tasks, "read", lambda *_: {"recentTask": [task]})
    monkeypatch.setattr(tasks, "read_all", lambda *_: {"task-1": running})
    monkeypatch.setattr(tasks, "result", ended)
    monkeypatch.setattr(snapshots, "_find", lambda *_: there[0] if there else None)


def test_a_snapshot_that_is_being_made_is_waited_for_before_it_is_said_that_there_is_none(creating):
    assert snapshots.find(Session(), "vm-1", OWNER) == "snapshot"


def test_nobody_says_that_there_is_none_while_it_is_still_being_made(creating, monkeypatch):
    def never(*_):
        raise ProviderError("vc has been busy with a task", code="task-timeout")

    monkeypatch.setattr(tasks, "result", never)
    with pytest.raises(ProviderError, match="busy with a task"):
        snapshots.find(Session(), "vm-1", OWNER)


@pytest.mark.parametrize(("events", "mark"), [((), ""), ((7, 31, 12), "31"), (None, None)])
def test_the_last_start_is_the_newest_event_of_one(events, mark):
    session = Session(events)
    assert power.last_start(session, "vm-1") == mark
    for wanted in session.asked:
        assert wanted.entity.entity._moId == "vm-1"
        assert "VmPoweredOnEvent" in wanted.eventTypeId
