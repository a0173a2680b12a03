"""What is still being made at a vCenter, and what was done to a machine there."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
from pyVmomi import vim, vmodl

from longshore.errors import ProviderError
from longshore.model.source_marks import MarkKind
from longshore.model.target import Owner
from longshore.providers.vsphere import power, snapshots, source_marks, tasks

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


def test_a_snapshot_is_not_gone_because_its_task_is_forgotten(monkeypatch):
    def forgotten(_session, task, *_):
        raise vmodl.fault.ManagedObjectNotFound(obj=task)

    task = vim.Task("task-1", None)
    node = SimpleNamespace(snapshot=SimpleNamespace(RemoveSnapshot_Task=lambda **_: task))
    monkeypatch.setattr(tasks, "wait", forgotten)
    monkeypatch.setattr(snapshots, "_node", lambda *_: node)
    monkeypatch.setattr(snapshots, "_owner", lambda _: OWNER.tag)
    monkeypatch.setattr(snapshots, "_consolidate", lambda *_: None)
    with pytest.raises(ProviderError, match="vc has forgotten a task"):
        snapshots.remove(Session(), "vm-1", "snapshot-1")


@pytest.mark.parametrize(("events", "mark"), [((), ""), ((7, 31, 12), "31"), (None, None)])
def test_the_last_start_is_the_newest_event_of_one(events, mark):
    session = Session(events)
    assert power.last_start(session, "vm-1") == mark
    for wanted in session.asked:
        assert wanted.entity.entity._moId == "vm-1"
        assert "VmPoweredOnEvent" in wanted.eventTypeId


def test_an_adapter_that_cannot_be_unplugged_is_no_reason_to_leave_the_others_plugged_in(monkeypatch):
    plug = vim.vm.device.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True)
    plain = vim.vm.device.VirtualVmxnet3(key=4001, connectable=plug)
    devices = [vim.vm.device.VirtualSriovEthernetCard(key=4000), plain]
    monkeypatch.setattr(source_marks, "read", lambda *_: {"config.hardware.device": devices})
    assert source_marks.before(Session(), "vm-1", MarkKind.DISCONNECT, "") == "4001"
