"""Finding one machine among many by reference, name or path."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from pyVmomi import vim, vmodl

from longshore.errors import Conflict, NotFound
from longshore.providers.vsphere import machine_list
from longshore.providers.vsphere.machines import MACHINE_PATHS
from longshore.providers.vsphere.places import Places

MACHINES = {  # reference: (name, folder)
    "vm-1": ("web01", "group-v4"),
    "vm-2": ("web01", "group-v5"),
    "vm-3": ("db01", "group-v5"),
    "vm-4": ("db01/old", "group-v5"),
    "vm-5": ("vm-3", "group-v4"),
    "vm-6": ("vm-77", "group-v4"),
    "vm-7": ("loose", "group-v3"),
}
PLACES = [
    (vim.Folder("group-d1"), {"name": "Datacenters", "parent": None}),
    (vim.Datacenter("datacenter-2"), {"name": "DC0", "parent": vim.Folder("group-d1")}),
    (vim.Folder("group-v3"), {"name": "vm", "parent": vim.Datacenter("datacenter-2")}),
    (vim.Folder("group-v4"), {"name": "Prod", "parent": vim.Folder("group-v3")}),
    (vim.Folder("group-v5"), {"name": "Test", "parent": vim.Folder("group-v4")}),
    (vim.Folder("group-v6"), {"name": "Test", "parent": vim.Folder("group-v3")}),
]


@pytest.fixture
def session(monkeypatch):
    def sweep(session, kinds, page):
        for ref, (name, folder) in MACHINES.items():
            escaped = name.replace("/", "%2f")
            found = {"name": escaped, "parent": vim.Folder(folder), "parentVApp": None}
            yield vim.VirtualMachine(ref), dict.fromkeys(kinds[vim.VirtualMachine]) | found

    def read(session, ref, paths):
        if ref._moId not in MACHINES:
            raise vmodl.fault.ManagedObjectNotFound(obj=ref)
        name, folder = MACHINES[ref._moId]
        return dict.fromkeys(MACHINE_PATHS) | {"name": name.replace("/", "%2f"), "parent": vim.Folder(folder)}

    places = Places()
    for ref, properties in PLACES:
        places.add(ref, properties)
    monkeypatch.setattr(machine_list, "read_places", lambda _session: places)
    monkeypatch.setattr(machine_list, "sweep", sweep)
    monkeypatch.setattr(machine_list, "read", read)
    settings = SimpleNamespace(username="user@test", transport="vddk", proxies=(), has_no_way=False)
    return SimpleNamespace(
        label="vc", settings=settings, doing=lambda what: nullcontext(), object=lambda kind, ref: kind(ref)
    )


@pytest.mark.parametrize(
    ("asked", "ref"),
    [
        ("vm-1", "vm-1"),
        ("vm-5", "vm-5"),
        ("vm-77", "vm-6"),  # no such reference: then it is a name
        ("Prod/vm-3", "vm-5"),
        ("db01", "vm-3"),
        ("db01/old", "vm-4"),  # a slash in a name
        ("Prod/web01", "vm-1"),
        ("Prod/Test/web01", "vm-2"),
        ("DC0/Prod/Test/web01", "vm-2"),
        ("/DC0/vm/Prod/Test/web01", "vm-2"),
        ("DC0/loose", "vm-7"),
        ("loose", "vm-7"),
    ],
)
def test_found(session, asked, ref):
    assert machine_list.find(session, asked).ref == ref


def test_a_name_of_several_machines(session):
    with pytest.raises(Conflict, match=r"2 machines 'web01': DC0/Prod/Test/web01 \(vm-2\), DC0/Prod/web01 \(vm-1\)"):
        machine_list.find(session, "web01")


@pytest.mark.parametrize(
    ("asked", "both"),
    [
        ("vm-3", r"DC0/Prod/Test/db01 \(vm-3\), DC0/Prod/vm-3 \(vm-5\)"),  # one's reference, and another's name
        ("Prod/loose", r"DC0/Prod/loose \(vm-8\), DC0/Test/Prod/loose \(vm-9\)"),  # one's path, and another's name
    ],
)
def test_a_word_that_fits_two_machines_in_two_ways_is_never_the_first_that_fits(session, monkeypatch, asked, both):
    monkeypatch.setitem(MACHINES, "vm-8", ("loose", "group-v4"))
    monkeypatch.setitem(MACHINES, "vm-9", ("Prod/loose", "group-v6"))
    with pytest.raises(Conflict, match=f"2 machines '{asked}': {both}"):
        machine_list.find(session, asked)


@pytest.mark.parametrize(
    ("asked", "hint"), [("WEB01", "'web01'"), ("bd01", "'db01'"), ("Test/web01", ""), ("vm-99x", "")]
)
def test_not_found(session, asked, hint):
    with pytest.raises(NotFound) as caught:
        machine_list.find(session, asked)
    assert hint in caught.value.advice
