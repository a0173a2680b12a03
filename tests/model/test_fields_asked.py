"""What a kind of machine is read to have, and nobody asks afterwards, would be lost without a word."""

import ast
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import longshore
from longshore.model import machine as model
from longshore.model import source_names

SOURCE = Path(longshore.__file__).parent
KINDS = {
    "files": "providers/files",
    "vSphere": "providers/vsphere",
    "OpenStack": "providers/openstack",
    "vault point": "vault",
}
ASKING = ("planning", "flows", "guests", "tenancy", "service", "vault", "engine")  # not those that only show it
VALUES = {name: one for name, one in vars(model).items() if isinstance(one, type) and is_dataclass(one)}

# Read of each kind, and asked by nobody who decides anything. `longshore machine show` shows them, as all fields, and
# points keep them
PLACE = "Disk.unit"  # on its controller: the disks are in that order already
UNASKED = {
    "files": {PLACE},
    "vSphere": {
        PLACE,
        "Machine.pool",  # in which its own provider makes it anew
        "Machine.boot_order",  # which one made anew is told again by its own provider
        "Disk.thin",  # volumes are as thin as their backend makes them
        "Machine.hardware_version",  # what it was good for is asked of its single features
    },
    "OpenStack": set[str](),
    "vault point": set[str](),
}


def trees(*folders):
    for folder in folders:
        for path in sorted((SOURCE / folder).rglob("*.py")):
            yield ast.parse(path.read_text())


def read_by(folder):
    """The fields that its modules give to the values of the model, as Class.field."""
    found = set()
    for tree in trees(folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in VALUES:
                names = [field.name for field in fields(VALUES[node.func.id])]
                given = names[: len(node.args)] + [keyword.arg for keyword in node.keywords if keyword.arg]
                found |= {f"{node.func.id}.{name}" for name in given}
    return found


@pytest.fixture(scope="module")
def asked():
    """Names of attributes that anything looks at that decides what becomes of a machine."""
    names = {
        node.attr
        for tree in trees(*ASKING)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    # Properties of the values themselves stand for what they look at, and names of places for the places
    return names | {
        node.attr
        for module in (model, source_names)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_of_a_machine_is_asked_by_somebody(kind, asked):
    read = read_by(KINDS[kind])
    if kind != "vault point":  # whose machines are those of the others, as they were recorded
        assert {"Machine.name", "Disk.size"} <= read
    assert {field for field in read if field.rpartition(".")[2] not in asked} == UNASKED[kind]


def test_what_an_ovf_says_is_asked_by_its_provider():
    from longshore.providers.files.ovf import OvfSystem
    from longshore.providers.files.ovf_disks import OvfDisk

    looked = {
        node.attr
        for name in ("description", "machines", "families")
        for node in ast.walk(ast.parse((SOURCE / "providers" / "files" / f"{name}.py").read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    said = {field.name for one in (OvfSystem, OvfDisk) for field in fields(one)}
    # Disks are in the order in which they boot already
    assert said - looked == {"boots"}
