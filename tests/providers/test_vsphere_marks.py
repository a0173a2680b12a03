"""Marks of a machine that has moved, at the lab's vCenter."""

import pytest
from pyVmomi import vim
from test_vsphere_writing import NEEDS_PLUGIN, source, vcenter  # noqa: F401 fixtures

from longshore.errors import InvalidInput, NotFound
from longshore.model.source_marks import MarkKind
from longshore.providers.vsphere.properties import read

NOTE = "Moved to OpenStack on 2026-11-27, as server 1a2b. Don't start it here."
pytestmark = [pytest.mark.long, NEEDS_PLUGIN]


@pytest.fixture
def machine(vcenter, source):  # noqa: F811
    served, library = vcenter
    (library.parents[1] / "cache" / "guests" / "moved.raw").write_bytes(bytes(1 << 20))
    served.sidedoor.add_paper_machines(2, prefix="near")
    served.sidedoor.add_machine(
        "near00001",
        "web",
        disks=[{"datastore": "datastore1", "image": "moved.raw"}],
        nics=[{"network": "VM Network", "mac": "00:50:56:01:02:09"}, {"network": "DMZ", "mac": "00:50:56:01:02:0a"}],
        folder="web",
        annotation="the shop's",
        tags=["State/Running"],
    )
    served.sidedoor.add_machine("near00002", "other", folder="testing/tiny", tags=["State/Moved"])
    yield source.machine("web").ref
    served.sidedoor.remove_machines("web", "other", "near00001", "near00002")


def cards(source, ref):  # noqa: F811
    """By MAC, whether it is connected when the machine is started."""
    devices = read(source._session, source._session.object(vim.VirtualMachine, ref), ["config.hardware.device"])
    found = [d for d in devices["config.hardware.device"] if isinstance(d, vim.vm.device.VirtualEthernetCard)]
    return {card.macAddress: card.connectable.startConnected for card in found}


def seen(source, ref):  # noqa: F811
    machine = source.machine(ref)
    return machine.name, machine.folder, machine.annotation, source.tags([ref]), cards(source, ref)


MARKS = [
    (MarkKind.NOTE, NOTE),
    (MarkKind.SUFFIX, "-moved"),
    (MarkKind.TAG, "State/Moved"),
    (MarkKind.FOLDER, "testing/tiny"),
    (MarkKind.DISCONNECT, ""),
]


@pytest.mark.parametrize(("kind", "text"), MARKS)
def test_a_mark_is_made_once_and_taken_away_with_nothing_else(source, machine, kind, text):  # noqa: F811
    as_it_was = seen(source, machine)
    before = source.before_mark(machine, kind, text)
    assert before is not None
    assert seen(source, machine) == as_it_was
    for _ in range(2):  # as whoever was killed right after it
        source.mark(machine, kind, text, before)
        assert seen(source, machine) != as_it_was
    assert source.before_mark(machine, kind, text) is None
    assert source.unmark(machine, kind, text, before)
    assert seen(source, machine) == as_it_was
    assert not source.unmark(machine, kind, text, before)


def test_what_they_look_like(source, machine):  # noqa: F811
    before = {kind: source.before_mark(machine, kind, text) for kind, text in MARKS}
    for kind, text in MARKS:
        source.mark(machine, kind, text, before[kind])
    name, folder, notes, tags, connected = seen(source, machine)
    assert (name, folder, notes) == ("web-moved", "testing/tiny", f"the shop's\n{NOTE}")
    assert set(tags[machine]) == {"State/Running", "State/Moved"}
    assert set(connected.values()) == {False}
    for kind, text in MARKS:
        assert source.unmark(machine, kind, text, before[kind])


def test_what_somebody_has_changed_since_stays(source, machine):  # noqa: F811
    before = source.before_mark(machine, MarkKind.SUFFIX, "-moved")
    source.mark(machine, MarkKind.SUFFIX, "-moved", before)
    source.mark(machine, MarkKind.SUFFIX, "-by-hand", "web-moved")
    assert not source.unmark(machine, MarkKind.SUFFIX, "-moved", before)
    assert source.machine(machine).name == "web-moved-by-hand"
    source.mark(machine, MarkKind.SUFFIX, "", "web")


def test_what_isnt_there_is_said(source, machine):  # noqa: F811
    with pytest.raises(InvalidInput, match='There is no folder "testing/nowhere"'):
        source.before_mark(machine, MarkKind.FOLDER, "testing/nowhere")
    with pytest.raises(InvalidInput, match='has no tag "State/Unheard"'):
        source.before_mark(machine, MarkKind.TAG, "State/Unheard")
    with pytest.raises(NotFound):
        source.before_mark("vm-99999", MarkKind.NOTE, NOTE)
