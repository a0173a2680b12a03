"""Which machines there are: two sweeps whatever their number, names of places first, then the machines themselves."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from pyVmomi import vim, vmodl

from longshore.errors import Conflict, NotFound
from longshore.model.machine import Machine
from longshore.providers.vsphere.machines import MACHINE_PATHS, PLACE_PATHS, Places, inventory_name, machine
from longshore.providers.vsphere.properties import PAGE, read, sweep
from longshore.providers.vsphere.session import Session

NAMES_PAGE = 2000  # objects in one answer when little is asked of each

_REFERENCE = re.compile(r"^(vm-)?\d+$")  # vCenter's form, and an ESXi host's
_NAME_PATHS = ("name", "parent", "parentVApp")


def machines(session: Session) -> Iterator[Machine]:
    """Every machine the user may see, told as the pages come in."""
    with session.doing("list its machines"):
        places = _places(session)
        for ref, properties in sweep(session, {vim.VirtualMachine: MACHINE_PATHS}, page=PAGE):
            yield machine(ref, properties, places)


def find(session: Session, name_or_ref: str) -> Machine:
    """One machine by reference, by name, or by path ("Folder/Sub/name", with or without the datacenter before it).

    Raises NotFound, or Conflict when a name is that of several machines; the message has their paths.
    """
    with session.doing(f"look up the machine {name_or_ref!r}"):
        places = _places(session)
        if _REFERENCE.match(name_or_ref):
            ref = session.object(vim.VirtualMachine, name_or_ref)
            try:
                return machine(ref, read(session, ref, MACHINE_PATHS), places)
            except vmodl.fault.ManagedObjectNotFound:
                pass  # then it is a name that looks like a reference
        ref = _by_name(session, name_or_ref, places)
        return machine(ref, read(session, ref, MACHINE_PATHS), places)


def _places(session: Session) -> Places:
    places = Places()
    for ref, properties in sweep(session, PLACE_PATHS, page=NAMES_PAGE):
        places.add(ref, properties)
    return places


def _by_name(session: Session, wanted: str, places: Places) -> Any:
    """The reference of the one machine of that name or path."""
    path = wanted.strip("/")
    named: list[tuple[str, Any]] = []
    placed: list[tuple[str, Any]] = []
    names: dict[str, str] = {}
    for ref, properties in sweep(session, {vim.VirtualMachine: _NAME_PATHS}, page=NAMES_PAGE):
        name = inventory_name(properties["name"] or "")
        names[name.lower()] = name
        if name != wanted and not path.endswith(name):
            continue
        datacenter, folder = places.folder(properties["parent"] or properties["parentVApp"])
        below = f"{folder}/{name}" if folder else name
        if name == wanted:
            named.append((f"{datacenter}/{below}", ref))
        if path in (below, f"{datacenter}/{below}", f"{datacenter}/vm/{below}"):
            placed.append((f"{datacenter}/{below}", ref))
    found = named or placed
    if not found:
        close = difflib.get_close_matches(wanted.lower(), names, n=1)
        raise NotFound(
            f"{session.label} has no machine {wanted!r} that {session.settings.username} may see.",
            advice=f"Did you mean {names[close[0]]!r}?" if close else "",
        )
    if len(found) > 1:
        listed = ", ".join(f"{where} ({ref._moId})" for where, ref in sorted(found, key=lambda pair: pair[0]))
        raise Conflict(
            f"{session.label} has {len(found)} machines {wanted!r}: {listed}.",
            advice="Name one by its path or reference.",
        )
    return found[0][1]
