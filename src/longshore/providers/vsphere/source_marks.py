"""Marks of machines that have moved: see `longshore.providers.contract.source_marks`."""

from typing import Any

from pyVmomi import vim

from longshore.errors import InvalidInput
from longshore.model.source_marks import MarkKind
from longshore.providers.vsphere import tags
from longshore.providers.vsphere.places import datacenter_of, folder_called, kept_name
from longshore.providers.vsphere.properties import read
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.tasks import result

TIMEOUT = 300.0  # seconds for vCenter to change a machine


def before(session: VsphereSession, machine_ref: str, kind: MarkKind, text: str) -> str | None:
    with session.doing(f"look at {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        match kind:
            case MarkKind.NOTE:
                return None if text in _notes(session, machine).splitlines() else ""
            case MarkKind.SUFFIX:
                name: str = read(session, machine, ["name"])["name"]
                return None if name.endswith(kept_name(text)) else name
            case MarkKind.FOLDER:
                there, wanted = read(session, machine, ["parent"])["parent"], _folder(session, machine, text)
                if there is None:
                    raise InvalidInput(f"{machine_ref} is part of a vApp, which it can't be moved out of by itself.")
                return None if there._moId == wanted._moId else str(there._moId)
            case MarkKind.DISCONNECT:
                keys = [str(card.key) for card in _cards(session, machine) if card.connectable.startConnected]
                return " ".join(keys) or None
        return None if tags.is_attached(session, machine_ref, text) else ""


def put(session: VsphereSession, machine_ref: str, kind: MarkKind, text: str, before: str) -> None:
    with session.doing(f"mark {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        match kind:
            case MarkKind.NOTE:
                lines = _notes(session, machine).splitlines()
                if text not in lines:
                    _reconfigure(session, machine, annotation="\n".join([*lines, text]))
            case MarkKind.SUFFIX:
                _rename(session, machine, before, f"{before}{kept_name(text)}")
            case MarkKind.FOLDER:
                _move(session, machine, _folder(session, machine, text))
            case MarkKind.DISCONNECT:
                _connect(session, machine, before, on=False)
            case MarkKind.TAG:
                tags.attach(session, machine_ref, text, on=True)


def take_away(session: VsphereSession, machine_ref: str, kind: MarkKind, text: str, before: str) -> bool:
    with session.doing(f"take a mark from {machine_ref}"):
        machine = session.object(vim.VirtualMachine, machine_ref)
        match kind:
            case MarkKind.NOTE:
                lines = _notes(session, machine).splitlines()
                if text not in lines:
                    return False
                _reconfigure(session, machine, annotation="\n".join(line for line in lines if line != text))
                return True
            case MarkKind.SUFFIX:
                return _rename(session, machine, f"{before}{kept_name(text)}", before)
            case MarkKind.FOLDER:
                if read(session, machine, ["parent"])["parent"] != _folder(session, machine, text):
                    return False
                return _move(session, machine, session.object(vim.Folder, before))
            case MarkKind.DISCONNECT:
                return _connect(session, machine, before, on=True)
        return tags.attach(session, machine_ref, text, on=False)


def _folder(session: VsphereSession, machine: Any, path: str) -> Any:
    """Return the folder with this path in the machine's datacenter. Raises InvalidInput when there is none."""
    place = datacenter_of(session, machine)
    if place is None:
        raise InvalidInput(f"{machine._moId} is in no datacenter's folder: it can't be moved into another one.")
    if (found := folder_called(session, place, path)) is None:
        raise InvalidInput(
            f'There is no folder "{path}" where {machine._moId} is.', advice="Make it in vCenter, or name another."
        )
    return found


def _notes(session: VsphereSession, machine: Any) -> str:
    return read(session, machine, ["config.annotation"])["config.annotation"] or ""


def _rename(session: VsphereSession, machine: Any, before: str, after: str) -> bool:
    if read(session, machine, ["name"])["name"] != before:
        return False
    result(session, machine.Rename_Task(after), TIMEOUT)
    return True


def _move(session: VsphereSession, machine: Any, folder: Any) -> bool:
    if read(session, machine, ["parent"])["parent"] == folder:
        return False
    result(session, folder.MoveIntoFolder_Task([machine]), TIMEOUT)
    return True


def _cards(session: VsphereSession, machine: Any) -> list[Any]:
    """Return the adapters that can be connected and disconnected."""
    devices = read(session, machine, ["config.hardware.device"])["config.hardware.device"] or []
    cards = (device for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard))
    return [card for card in cards if card.connectable is not None]


def _connect(session: VsphereSession, machine: Any, keys: str, *, on: bool) -> bool:
    """Have these of its adapters connected when it is started, or not. Says whether any had to be changed."""
    changes = []
    for card in _cards(session, machine):
        if str(card.key) in keys.split() and card.connectable.startConnected != on:
            card.connectable.startConnected = on
            changes.append(
                vim.vm.device.VirtualDeviceSpec(operation=vim.vm.device.VirtualDeviceSpec.Operation.edit, device=card)
            )
    if changes:
        _reconfigure(session, machine, deviceChange=changes)
    return bool(changes)


def _reconfigure(session: VsphereSession, machine: Any, **changes: Any) -> None:
    result(session, machine.ReconfigVM_Task(vim.vm.ConfigSpec(**changes)), TIMEOUT)
