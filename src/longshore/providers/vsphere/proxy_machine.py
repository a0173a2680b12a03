"""A proxy: a machine of the same vSphere that disks of other machines are attached to, and that serves them.

What is attached is always read from vCenter, and never counted here: whoever attached it may be dead. Changes are made
one at a time, each against the configuration that was read before, so that no two choose the same slot. A disk is found
by its file's name: keys are vCenter's choice, and change.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pyVmomi import vim

from longshore.errors import Conflict, InvalidInput, LongshoreError, NotFound, Occupied, ProviderError, Unreachable
from longshore.model.proxy import Proxy
from longshore.providers.reaching import refused
from longshore.providers.vsphere import machine_list
from longshore.providers.vsphere.machines import capacity
from longshore.providers.vsphere.places import inventory_name
from longshore.providers.vsphere.properties import Properties, read, read_all
from longshore.providers.vsphere.proxy_credentials import Credentials
from longshore.providers.vsphere.proxy_disks import (
    DISK,
    DiskChange,
    HeldDisk,
    Mode,
    foreign,
    free_slots,
    is_written_by,
    mode_of,
    stores,
    writable,
)
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.tasks import await_earlier, result

TIMEOUT = 300.0  # seconds a change of its disks may take: in large sites a minute or two
SERVES_WITHIN = 60.0  # seconds until it has heard whom it serves, and said where
TRIES = 5  # changes that somebody else's changes came before
PAUSE = 1.0  # seconds between them
_SETTING = "guestinfo.longshore."
CLIENT = f"{_SETTING}client"  # the certificate of whoever it serves
_PATHS = (
    *("name", "config.hardware.device", "config.changeVersion", "config.extraConfig", "config.flags.diskUuidEnabled"),
    *(
        "config.files.vmPathName",
        "config.changeTrackingEnabled",
        "runtime.powerState",
        "runtime.connectionState",
        "runtime.host",
        "snapshot",
    ),
)


@dataclass(frozen=True, slots=True)
class ServedDisks:
    """The place where a proxy serves what is attached to it, and the certificate that it shows there."""

    address: str
    port: int
    certificate: str
    writes: int | None = None  # the port for writing; None: its image is one that can't yet

    def uri(self, export: str, tls: Path, mode: Mode = Mode.READING) -> str:
        """`tls`: the directory of `tls_files`."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        port = self.port if mode is Mode.READING else self.writes
        return f"nbds://{host}:{port}/{quote(export)}?tls-certificates={quote(str(tls))}"


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """The order in which proxies are tried: the least first."""

    silent: bool  # it didn't answer when it was last asked: to wait for it once more would take a minute
    off_vsan: bool  # a disk is on a vSAN on which the proxy has none of its own: nothing that VMware supports
    off_host: bool  # a disk is on NFS 3, and the proxy on another host: the machine may stand still for a while
    taken: int  # less than zero by each slot that is free


class ProxyMachine:
    """A proxy as vCenter knows it. Whoever uses one makes one change of it at a time."""

    def __init__(self, session: VsphereSession, ref: str, credentials: Credentials | None = None) -> None:
        """Take a proxy by its reference; without credentials, to detach disks from it and no more."""
        self._session = session
        self._machine = session.object(vim.VirtualMachine, ref)
        self._credentials = credentials
        self.ref = ref

    def attach(self, disks: Sequence[HeldDisk], mode: Mode) -> None:
        """Attach disks of one machine that aren't attached, all or none.

        Raises Conflict, InvalidInput, NotFound, ProviderError, Unreachable; Occupied when there is no room for them
        now, or (code file-locked) somebody has a file.
        """
        files = [disk.file for disk in disks]
        last: LongshoreError | None = None
        for _ in range(TRIES):
            if last is not None:
                time.sleep(PAUSE)
            now = self._read()
            attached = foreign(now)
            if all(file in attached and mode_of(attached[file]) is mode for file in files):  # whose answer was lost
                self._refuse_others(now, disks)
                return
            self._refuse_unfit(now, disks)
            slots = list(free_slots(now))
            if len(slots) < len(disks):
                raise Occupied(
                    f"The proxy {_name(now)} has room for {len(slots)} disks more, and is to get {len(disks)}.",
                    advice="Give it another SCSI controller, while it is off.",
                )
            places = list(zip(disks, slots, strict=False))
            changes = [DiskChange.attach(disk, mode, slot, number) for number, (disk, slot) in enumerate(places)]
            added = [(disk.uuid, unit) for disk, (_, unit) in places] if mode is Mode.WRITING else []
            try:
                self._change_disks("attach disks to", now, changes, attached.values(), added)
                last = None
            except LongshoreError as error:
                last = error
                if not _may_go_better(error):
                    with suppress(LongshoreError):  # what failed may have attached some of them all the same
                        self.detach(files)
                    raise
        self.detach(files)
        raise last or ProviderError(f"The proxy {self.ref} didn't get the disks that vCenter says it has.")

    def detach(self, files: Collection[str]) -> None:
        """Returns when none of these files is attached any more. What isn't is left alone, as is a proxy that is gone.

        Raises Occupied, ProviderError, Unreachable.
        """
        last: LongshoreError | None = None
        for attempt in range(TRIES):
            if attempt > 1 or last is not None:
                time.sleep(PAUSE)
            try:
                now = self._read()
            except NotFound:
                return
            attached = foreign(now)
            ours = [device for file, device in attached.items() if file in files]
            if not ours:
                return
            stay = [device for file, device in attached.items() if file not in files]
            try:
                self._change_disks("detach disks from", now, [DiskChange.detach(device) for device in ours], stay)
                last = None
            except LongshoreError as error:
                last = error
                if not _may_go_better(error):
                    raise
        raise last or ProviderError(
            f"The proxy {self.ref} still has disks that were detached from it.",
            advice="Look at the machine's tasks in vCenter.",
        )

    def seen(self, name: str) -> Proxy:
        """Return it as it is now. `name`: what the settings call it. Raises LongshoreError when it can't be read."""
        now = self._read()
        with self._session.doing(f"look at the host of the proxy {_name(now)}"):
            host = read(self._session, now["runtime.host"], ["name"])["name"]
        trouble, told = "", _told(now)
        try:
            self._refuse_unfit(now, ())
        except LongshoreError as error:
            trouble = str(error)
        return Proxy(
            name=name,
            ref=self.ref,
            power=str(now["runtime.powerState"]),
            host=host or "",
            address=told.address if told is not None else "",
            room=len(list(free_slots(now))),
            attached=tuple(sorted(foreign(now))),
            trouble=trouble,
        )

    def prepare(self, disks: Sequence[HeldDisk] = ()) -> ServedDisks:
        """Say whom it serves, if it doesn't know, and return where it does once it has said so. `disks`: what is to be
        attached to it.

        Raises Conflict when another Longshore has disks attached to it, InvalidInput for one that isn't fit, Occupied
        while it has the same disk at another moment.
        """
        for _ in range(TRIES):
            now = self._read()
            self._refuse_unfit(now, disks)
            if self._is_ours(now):
                break
            try:
                assert self._credentials is not None
                option = vim.option.OptionValue(key=CLIENT, value=self._credentials.published)
                self._reconfigure("set up", now, extraConfig=[option])
            except LongshoreError as error:
                if not _may_go_better(error):
                    raise
                time.sleep(PAUSE)
        return self.served()

    def served(self, within: float | None = None) -> ServedDisks:
        """Return where it serves what is attached to it. Raises Unreachable when it doesn't say so for that many
        seconds (None: as long as one takes that hears whom it serves)."""
        end = time.monotonic() + (SERVES_WITHIN if within is None else within)
        while (found := _told(now := self._read())) is None:
            if time.monotonic() > end:
                raise Unreachable(
                    f"The proxy {_name(now)} doesn't say where it serves its disks.",
                    advice=f"See that it runs the relay's image, and has {_SETTING}address; its console says more.",
                )
            time.sleep(PAUSE)
        reach = self._session.settings.reach
        if reach is not None and not reach.permits(found.address):
            raise refused(f"The proxy {_name(now)}")
        return found

    def rank(self, disks: Sequence[HeldDisk], host: Any) -> Rank:
        """Return how well it suits disks of a machine that runs on a host. Raises LongshoreError when it can't be
        read."""
        now = self._read()
        there = stores(disks)
        with self._session.doing("look at its datastores"):
            told = read_all(self._session, there, ["summary.type"]) if there else {}
        kinds = {store._moId: told[store._moId]["summary.type"] for store in there}
        attached = foreign(now).values()
        own = [one for one in now["config.hardware.device"] or [] if isinstance(one, DISK) and one not in attached]
        home = [getattr(one.backing, "datastore", None) for one in own]
        return Rank(
            silent=False,
            off_vsan=any(kinds[store._moId] == "vsan" and store not in home for store in there),
            off_host="NFS" in kinds.values() and now["runtime.host"] != host,
            taken=-len(list(free_slots(now))),
        )

    def power(self) -> str:
        """Return its power state, in vCenter's word."""
        return str(self._read()["runtime.powerState"])

    def _is_ours(self, now: Properties) -> bool:
        assert self._credentials is not None
        return _settings(now).get("client") == self._credentials.published

    def _read(self) -> Properties:
        """Read its configuration as it is when changes that are under way have ended."""
        with self._session.doing("look at the proxy"):
            await_earlier(self._session, self._machine, "reconfig", TIMEOUT)
            return read(self._session, self._machine, _PATHS)

    def _change_disks(
        self,
        doing: str,
        now: Properties,
        changes: Sequence[DiskChange],
        stay: Iterable[Any],
        added: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Make changes of its disks, and tell its program by the same call which it lets be written from now on: those
        that `stay`, attached for that, and those that are `added` for it."""
        kept = [(disk.backing.uuid, disk.unitNumber) for disk in stay if mode_of(disk) is Mode.WRITING]
        told = {}
        if (wanted := writable([*kept, *added])) != _settings(now).get("writable", ""):
            told["extraConfig"] = [vim.option.OptionValue(key=f"{_SETTING}writable", value=wanted)]
        self._reconfigure(doing, now, deviceChange=[change.spec for change in changes], **told)

    def _reconfigure(self, doing: str, now: Properties, **changes: Any) -> None:
        spec = vim.vm.ConfigSpec(changeVersion=now["config.changeVersion"], **changes)
        with self._session.doing(f"{doing} the proxy {_name(now)}"):
            result(self._session, self._machine.ReconfigVM_Task(spec), TIMEOUT)

    def _refuse_unfit(self, now: Properties, disks: Sequence[HeldDisk]) -> None:
        name = _name(now)
        if now["runtime.connectionState"] != "connected" or now["runtime.powerState"] != "poweredOn":
            raise Unreachable(
                f"The proxy {name} isn't on, or its host can't be reached "
                f"({now['runtime.powerState']}, {now['runtime.connectionState']}).",
                advice="Power it on.",
            )
        option = {str(one.key).lower(): str(one.value).lower() for one in now["config.extraConfig"] or []}
        if not now["config.flags.diskUuidEnabled"] and option.get("disk.enableuuid") != "true":
            raise InvalidInput(
                f"The proxy {name} can't tell disks apart: disk.EnableUUID isn't set.",
                advice="Set it to TRUE while the machine is off.",
            )
        if now["config.changeTrackingEnabled"] or now["snapshot"]:
            raise InvalidInput(
                f"The proxy {name} has snapshots or tracks changes, which would leave files beside others' disks.",
                advice="Remove its snapshots, switch tracking off (ctkEnabled), and take it out of all backups.",
            )
        self._refuse_others(now, disks)
        if disks:
            host = now["runtime.host"]
            with self._session.doing(f"look at the host of the proxy {name}"):
                host_name = read(self._session, host, ["name"])["name"]
                there = stores(disks)
                mounts = read_all(self._session, there, ["host"]) if there else {}
            for disk in disks:
                if disk.datastore is not None and not is_written_by(host, mounts[disk.datastore._moId]["host"]):
                    raise InvalidInput(
                        f"The proxy {name} is on {host_name}, which doesn't have the datastore of {disk.file}, or not "
                        "for writing.",
                        advice="Move it to a host that has all datastores of the machines, or add another proxy there.",
                    )

    def _refuse_others(self, now: Properties, disks: Sequence[HeldDisk]) -> None:
        attached = foreign(now)
        if attached and not self._is_ours(now):
            raise Conflict(
                f"Another Longshore, or another provider, has disks attached to the proxy {_name(now)}.",
                advice="Use a proxy for each.",
            )
        files, uuids = {disk.file for disk in disks}, [disk.uuid for disk in disks]
        if len(set(uuids)) < len(uuids):
            raise InvalidInput("Two disks of the machine have the same UUID: in the proxy they can't be told apart.")
        for file, device in attached.items():
            if file not in files and device.backing.uuid in uuids:
                raise Occupied(f"The proxy {_name(now)} has a disk of the same UUID at another moment ({file}).")
            wanted = next((disk for disk in disks if disk.file == file), None)
            if wanted is not None and (device.backing.uuid, capacity(device)) != (wanted.uuid, wanted.size):
                raise Conflict(f"{file} isn't the same disk in the proxy {_name(now)} as vCenter has told before.")


def find_proxy(session: VsphereSession, word: str) -> str:
    """Return the reference of the proxy that the settings name. Raises NotFound, Conflict."""
    return machine_list.find(session, word).ref


def _name(now: Properties) -> str:
    return inventory_name(now["name"] or "")


def _may_go_better(error: LongshoreError) -> bool:
    """Tell whether a change may be asked for again, once what is there now has been read: somebody else's came before,
    or the answer was lost."""
    return isinstance(error, Unreachable) or error.code == Occupied.code


def _settings(now: Properties) -> dict[str, str]:
    options = {str(option.key): str(option.value) for option in now["config.extraConfig"] or []}
    return {key.removeprefix(_SETTING): value for key, value in options.items() if key.startswith(_SETTING)}


def _told(now: Properties) -> ServedDisks | None:
    """Return where the proxy's program says that it serves; None while it has said nothing that can be meant."""
    settings = _settings(now)
    address, _, port = settings.get("endpoint", "").rpartition(":")
    with suppress(ValueError, binascii.Error):
        certificate = base64.b64decode(settings.get("server", ""), validate=True).decode()
        if certificate and 0 < int(port) < 1 << 16:
            writes = settings.get("writes", "")
            return ServedDisks(
                str(ipaddress.ip_address(address)), int(port), certificate, int(writes) if writes.isdecimal() else None
            )
    return None
