"""The list of machines: their references first, then the machines themselves, a page at a time.

Two pages are under way at once: while one is taken apart here, the server puts the next together.
"""

import difflib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from pyVmomi import vim

from longshore.errors import Conflict, NotFound
from longshore.model.machine import Disk, Machine
from longshore.model.selection import MachineFilter
from longshore.providers.vsphere import tags
from longshore.providers.vsphere.flat_files import host_of, over_ssh
from longshore.providers.vsphere.machines import MACHINE_PATHS, disks, machine, power_state
from longshore.providers.vsphere.places import NAMES_PAGE, Places, inventory_name, read_places
from longshore.providers.vsphere.properties import PAGE, Properties, read, read_present, sweep
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.trunks import note_trunks

PAGES_AT_ONCE = 2

_NAME_PATHS = ("name", "parent", "parentVApp")
_FILTER_PATHS = (*_NAME_PATHS, "runtime.host", "runtime.powerState", "runtime.connectionState")


def machines(session: VsphereSession, wanted: MachineFilter) -> Iterator[Machine]:
    """Yield the machines that the user may see and that fit, told as the pages come in. Tags are read when the filter
    names one."""
    refs = references(session, wanted)
    tagged = tags.of(session, refs) if wanted.tag is not None else {}
    for found in describe(session, refs):
        yield replace(found, tags=tagged.get(found.ref, ())) if tagged else found


def references(session: VsphereSession, wanted: MachineFilter) -> list[str]:
    """Return the references of the machines that fit, by what little has to be read of each to tell; in the order they
    were made. A proxy is nobody's machine, and left out."""
    tagged = None if wanted.tag is None else tags.find_tagged(session, wanted.tag)
    proxies = session.settings.proxies
    with session.doing("list its machines"):
        in_places = wanted.folder is not None or wanted.cluster is not None or "/" in "".join(proxies)
        places = read_places(session) if in_places else Places()
        paths = _FILTER_PATHS if wanted else _NAME_PATHS if proxies else ("name",)
        found = [
            ref._moId
            for ref, properties in sweep(session, {vim.VirtualMachine: paths}, page=NAMES_PAGE)
            if (tagged is None or ref._moId in tagged)
            and _fits(properties, places, wanted)
            and not (proxies and _is_proxy(session, ref._moId, _named(properties, places)))
        ]
    return sorted(found, key=lambda ref: (len(ref), ref))


def describe(session: VsphereSession, refs: Sequence[str]) -> Iterator[Machine]:
    """Yield the machines of these references. Those that are gone are left out."""
    with session.doing("read its machines"), ThreadPoolExecutor(PAGES_AT_ONCE) as readers:
        places = read_places(session)
        under_way: deque[Future[list[Machine]]] = deque()
        for start in range(0, len(refs), PAGE):
            under_way.append(readers.submit(_page, session, refs[start : start + PAGE], places))
            if len(under_way) == PAGES_AT_ONCE:
                yield from under_way.popleft().result()
        for page in under_way:
            yield from page.result()


def find(session: VsphereSession, word: str) -> Machine:
    """Find one machine by reference, by name, or by path ("Folder/Sub/name", with or without the datacenter before it).

    Raises NotFound, or Conflict when the word fits several machines; the message has their paths.
    """
    with session.doing(f"look up the machine {word!r}"):
        places = read_places(session)
        ref = _meant(session, word, places)
        properties = read(session, ref, MACHINE_PATHS)
        note_trunks(session, [properties], places)
        return _machine(session, ref, properties, places)


def by_reference(session: VsphereSession, ref: str) -> Machine:
    """Return the machine of a reference. Raises NotFound."""
    for found in describe(session, [ref]):
        return found
    raise NotFound(f"{session.label} has no machine {ref!r} that {session.settings.username} may see.")


def _machine(session: VsphereSession, ref: Any, properties: Properties, places: Places) -> Machine:
    """Describe a machine, with what there is to be said of how its disks are read, and whether it is a proxy."""
    found, settings = machine(ref, properties, places), session.settings
    if _is_proxy(session, found.ref, (found.datacenter, found.folder, found.name)):
        return replace(found, proxy=True)
    if settings.transport != "ssh":
        return replace(found, streamed=settings.transport == "export", no_way=settings.has_no_way)
    host = host_of(session, found.host)
    return replace(found, over_ssh=over_ssh(properties, host, places, settings.trusted_hosts, settings.ssh_port))


def _fits(properties: dict[str, Any], places: Places, wanted: MachineFilter) -> bool:
    if not wanted:
        return True
    host = properties["runtime.host"]
    return (
        wanted.has_name(inventory_name(properties["name"] or ""))
        and (wanted.power is None or power_state(properties) is wanted.power)
        and (wanted.cluster is None or (host is not None and places.cluster(host) == wanted.cluster))
        and wanted.has_folder(places.folder(properties["parent"] or properties["parentVApp"])[1])
    )


def _page(session: VsphereSession, refs: Sequence[str], places: Places) -> list[Machine]:
    objects = {ref: session.object(vim.VirtualMachine, ref) for ref in refs}
    found = read_present(session, objects.values(), MACHINE_PATHS)
    note_trunks(session, found.values(), places)
    return [_machine(session, objects[ref], found[ref], places) for ref in refs if ref in found]


def _meant(session: VsphereSession, wanted: str, places: Places) -> Any:
    """Return the reference of the one machine of that reference, name or path."""
    found: list[tuple[str, Any]] = []
    names: dict[str, str] = {}
    for ref, properties in sweep(session, {vim.VirtualMachine: _NAME_PATHS}, page=NAMES_PAGE):
        name = inventory_name(properties["name"] or "")
        names[name.lower()] = name
        if wanted not in (name, ref._moId) and not wanted.strip("/").endswith(name):
            continue
        if path := _path_if_meant(wanted, ref._moId, _named(properties, places)):
            found.append((path, ref))
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
            advice="Name one by its path, or by a reference that is no other one's name.",
        )
    return found[0][1]


def _named(properties: Properties, places: Places) -> tuple[str, str, str]:
    """Return a machine's datacenter, folder and name."""
    return *places.folder(properties["parent"] or properties["parentVApp"]), inventory_name(properties["name"] or "")


def _is_proxy(session: VsphereSession, ref: str, named: tuple[str, str, str]) -> bool:
    return any(_path_if_meant(word, ref, named) for word in session.settings.proxies)


def _path_if_meant(wanted: str, ref: str, named: tuple[str, str, str]) -> str:
    """Return the path of a machine that may be called so; empty for another."""
    datacenter, folder, name = named
    path, below = wanted.strip("/"), f"{folder}/{name}" if folder else name
    meant = wanted in (name, ref) or path in (below, f"{datacenter}/{below}", f"{datacenter}/vm/{below}")
    return f"{datacenter}/{below}" if meant else ""


def registered_as(session: VsphereSession, known: Machine) -> str | None:
    """Find the reference of a machine by its UUIDs, which it keeps when it is registered anew. Copies that were made by
    hand share the BIOS UUID, so that counts only where one machine has it, and has a disk where the known one had."""
    with session.doing(f"look for {known.name} by its UUIDs"):
        for uuid, of_instance in (known.instance_uuid, True), (known.uuid, False):
            find = session.content.searchIndex.FindAllByUuid
            found = find(uuid=uuid, vmSearch=True, instanceUuid=of_instance) if uuid else []
            if len(found) == 1 and (of_instance or _lies_where(session, found[0], known)):
                return str(found[0]._moId)
    return None


def _lies_where(session: VsphereSession, ref: Any, known: Machine) -> bool:
    """Tell whether a disk of this machine is in a directory in which one of the known machine's was. A snapshot gives
    its disk another file there."""
    devices = read(session, ref, ["config.hardware.device"])["config.hardware.device"] or []
    now = {_directory(disk) for disk in disks(devices, None, Places())} - {""}
    return not now.isdisjoint(map(_directory, known.disks))


def _directory(disk: Disk) -> str:
    return disk.location.rpartition("/")[0]
