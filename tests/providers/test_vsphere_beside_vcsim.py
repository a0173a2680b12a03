"""The lab's vCenter beside govmomi's vcsim, which others wrote: the same calls, and what each answers.

Both are stand-ins. Where they differ, `SETTLED` says what VMware's API reference (developer.broadcom.com) says of it.
A difference that isn't there fails. `make soak-vcsim` builds vcsim of Debian's source package, and runs this.
"""

import os
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyVmomi import vim, vmodl
from pyVmomi.VmomiSupport import DataObject, GetVmodlType
from vsphere_proxy import GOODS, PROXY, vcenter_at
from vsphere_server import ADDRESS, certificate

from longshore.providers.vsphere.certificate import fetch_fingerprint
from longshore.providers.vsphere.properties import read, sweep, wait
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.settings import VsphereSettings
from longshore.providers.vsphere.tasks import result

VCSIM = os.environ.get("LONGSHORE_VCSIM")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(VCSIM is None, reason="LONGSHORE_VCSIM doesn't say where vcsim is: make soak-vcsim"),
]

Device = vim.vm.device
MODE = "independent_nonpersistent"
STARTS_WITHIN = 60.0  # seconds
TASK = [f"info.{told.name}" for told in vim.TaskInfo._GetPropertyList()]
# What of a machine is compared: what Longshore reads of each
OF_A_MACHINE = (
    *("name", "config.uuid", "config.instanceUuid", "config.guestId", "config.version", "config.template"),
    *("config.files", "config.hardware.numCPU", "config.hardware.memoryMB", "config.extraConfig", "config.flags"),
    *("config.changeVersion", "config.hardware.device", "runtime.powerState", "runtime.connectionState"),
    *("runtime.host", "runtime.bootTime", "guest.toolsRunningStatus", "guest.guestState", "datastore"),
    *("parent", "resourcePool", "summary.config.name", "recentTask"),
)
UNTOLD = {"progress", "digestEnabled", "eagerlyScrub"}  # what a server needn't set, and Longshore doesn't read


class Fault(dict):
    """The shape of a fault: it isn't an answer."""


def shape(value):
    """Return a value's types and the names of the fields that are set in it."""
    if isinstance(value, DataObject):
        told = {one.name: getattr(value, one.name) for one in value._GetPropertyList()}
        made = {name: shape(one) for name, one in told.items() if _is_set(one)}
        kind = Fault if isinstance(value, vmodl.MethodFault) else dict
        return kind({"": type(value).__name__, **made})
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def _is_set(value):
    return value is not None and not (isinstance(value, list) and not value)


def differences(ours, theirs, at):
    """Yield where two shapes differ, and how. Fields that the lab's has alone are no difference, for vcsim leaves out
    much; a fault may be of a class that derives from vcsim's."""
    if isinstance(ours, Fault) or isinstance(theirs, Fault):
        if not _is_one(ours, theirs):
            yield at, f"{_kind(ours)}, not {_kind(theirs)}"
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in theirs.items():
            if name in UNTOLD:
                continue
            if name not in ours:
                yield f"{at}.{name}", "not set"
            else:
                yield from differences(ours[name], value, f"{at}.{name}" if name else at)
    elif isinstance(ours, list) and isinstance(theirs, list):
        yield from (one for pair in zip(ours[:1], theirs[:1], strict=False) for one in differences(*pair, at))
    elif ours != theirs:
        yield at, f"{_kind(ours)}, not {_kind(theirs)}"


def _is_one(ours, theirs):
    """Tell whether both are faults, and the lab's is of the other's class or derives from it."""
    if not isinstance(ours, Fault) or not isinstance(theirs, Fault):
        return False
    return issubclass(GetVmodlType(ours[""]), GetVmodlType(theirs[""]))


def _kind(found):
    return found.get("", "done") if isinstance(found, dict) else found


class Asked:
    """A vCenter with a machine that runs and one that is off, and what it answers."""

    def __init__(self, session, running, off):
        self.session = session
        known = {told["name"]: ref for ref, told in sweep(session, {vim.VirtualMachine: ["name"]}, 10)}
        self.proxy, self.goods = known[running], known[off]
        self.found = {}  # shapes of answers, by what was asked
        self.said = {}  # values

    def ask(self):
        self.inventory()
        self.snapshot_taken()
        self.disks()
        self.refusals()
        self.settings()
        self.snapshot_removed()
        self.power()
        return self

    def call(self, name, begin):
        """Note how a call, and its task if it has one, are answered."""
        try:
            answer = begin()
        except vmodl.MethodFault as fault:
            self.found[name] = shape(fault)
            return
        if not isinstance(answer, vim.Task):
            self.found[name] = shape(answer)
            return
        ended = wait(self.session, answer, ["info.state"], lambda now: now["info.state"] in ("success", "error"), 60)
        assert ended is not None
        told = {path.removeprefix("info."): value for path, value in read(self.session, answer, TASK).items()}
        error = told.pop("error")
        self.found[name] = shape(error) if error is not None else "done"
        self.found[f"task of {name}"] = {key: shape(value) for key, value in told.items() if _is_set(value)}

    def read(self, ref, *paths):
        return read(self.session, ref, paths)

    def devices(self, ref, kind=Device.VirtualDisk):
        return [one for one in self.read(ref, "config.hardware.device").popitem()[1] if isinstance(one, kind)]

    def inventory(self):
        content = self.session.content
        self.found["about"] = shape(content.about)
        told = self.read(self.proxy, *OF_A_MACHINE)
        told["config.hardware.device"] = None  # what each machine has differs; those of one kind are compared below
        self.found["machine"] = {path: shape(value) for path, value in told.items() if _is_set(value)}
        self.found["disk"] = shape(self.devices(self.proxy)[0])
        self.found["controller"] = shape(self.devices(self.proxy, Device.ParaVirtualSCSIController)[0])
        self.found["host"] = shape(self.read(self.read(self.proxy, "runtime.host").popitem()[1], "name")["name"])
        store = self.read(self.proxy, "datastore")["datastore"][0]
        self.found["datastore"] = {
            path: shape(one) for path, one in self.read(store, "name", "host", "summary.type").items()
        }

    def snapshot_taken(self):
        self.call("snapshot", lambda: self.goods.CreateSnapshot_Task("s", "of a test", False, False))
        told = self.read(self.goods, "snapshot")["snapshot"]
        self.found["snapshots"] = shape(told)
        self.snapshot = told.currentSnapshot
        held = self.read(self.snapshot, "config.hardware.device")["config.hardware.device"]
        self.file = next(one for one in held if isinstance(one, Device.VirtualDisk)).backing.fileName

    def add(self, unit=3, controller=None, file=None):
        backing = Device.VirtualDisk.FlatVer2BackingInfo(fileName=file or self.file, diskMode=MODE)
        key = self.devices(self.proxy, Device.VirtualSCSIController)[0].key if controller is None else controller
        disk = Device.VirtualDisk(key=-1, controllerKey=key, unitNumber=unit, backing=backing)
        return Device.VirtualDeviceSpec(operation="add", device=disk)

    def remove(self, key):
        return Device.VirtualDeviceSpec(operation="remove", device=Device.VirtualDisk(key=key))

    def reconfigure(self, name, *changes, **said):
        spec = vim.vm.ConfigSpec(deviceChange=list(changes), **said)
        self.call(name, lambda: self.proxy.ReconfigVM_Task(spec))

    def attached(self):
        return [one for one in self.devices(self.proxy) if one.backing.fileName == self.file]

    def disks(self):
        own = len(self.devices(self.proxy))
        self.reconfigure("attach", self.add())
        (disk,) = self.attached()
        self.found["attached"] = shape(disk)
        self.said["attached"] = (disk.key > 0, disk.unitNumber, disk.backing.diskMode)
        self.reconfigure("slot taken", self.add())
        self.reconfigure("detach", self.remove(disk.key))
        self.said["detached"] = len(self.devices(self.proxy)) - own
        self.reconfigure("attach after detach", self.add())  # the file is there still
        self.reconfigure("detach again", self.remove(self.attached()[0].key))

    def refusals(self):
        """Ask for what can't be. vcsim grants some of it, and it's taken back."""
        asked = {
            "the controller's slot": self.add(unit=7),
            "a slot beyond the last": self.add(unit=99),
            "no slot": self.add(unit=None),
            "no such controller": self.add(controller=1077),
            "no such file": self.add(file=self.file.replace(".vmdk", "-nowhere.vmdk")),
            "no such datastore": self.add(file="[nowhere] goods/goods.vmdk"),
            "no such disk": self.remove(2999),
        }
        for name, change in asked.items():
            self.reconfigure(name, change)
            for disk in self.attached():
                self.reconfigure("detach again", self.remove(disk.key))
        self.reconfigure("stale version", self.add(), changeVersion="of long ago")
        for disk in self.attached():
            self.reconfigure("detach again", self.remove(disk.key))

    def settings(self):
        for value in ("1", ""):
            option = vim.option.OptionValue(key="guestinfo.a", value=value)
            self.reconfigure("setting", extraConfig=[option])
            told = self.read(self.proxy, "config.extraConfig")["config.extraConfig"]
            self.said[f"setting {value!r}"] = [one.value for one in told if one.key == option.key]

    def snapshot_removed(self):
        self.call("snapshot removed", lambda: self.snapshot.RemoveSnapshot_Task(False, True))
        self.said["snapshots left"] = self.read(self.goods, "snapshot")["snapshot"]
        self.call("snapshot removed again", lambda: self.snapshot.RemoveSnapshot_Task(False, True))

    def power(self):
        self.call("power on", self.proxy.PowerOnVM_Task)  # it is on
        self.call("power off", self.goods.PowerOffVM_Task)  # it is off
        self.call("gone", lambda: vim.VirtualMachine("vm-987654", self.session._stub).PowerOnVM_Task())


@contextmanager
def vcsim(directory: Path):
    """Serve vcsim on this machine alone."""
    own = directory / "vcsim.pem"  # its own one is too weak for OpenSSL of today
    own.write_bytes(certificate("vcsim.test"))
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    log = directory / "vcsim.log"
    words = [VCSIM, "-l", f"{ADDRESS}:{port}", "-api-version", "7.0", "-tlscert", own, "-tlskey", own]
    with log.open("wb") as told:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
    try:
        end = time.monotonic() + STARTS_WITHIN
        while "GOVC_URL" not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def answers():
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "ours").mkdir()
        with vcenter_at(place / "ours") as lab, vcsim(place) as port:
            lab.add_machine()
            lab.add_proxy()
            lab.door.start_proxy(PROXY)
            ours = VsphereSession(lab.settings(), lambda: lab.served.password)
            said = VsphereSettings(ADDRESS, "user", port, fetch_fingerprint(ADDRESS, port))
            theirs = VsphereSession(said, lambda: "pass")
            other = Asked(theirs, "DC0_H0_VM0", "DC0_H0_VM1")
            result(theirs, other.goods.PowerOffVM_Task(), 60)
            yield Asked(ours, PROXY, GOODS).ask(), other.ask()
            lab.door.stop_proxy(PROXY)


# How the lab's vCenter answers otherwise than vcsim, and what VMware's API reference has to say for it
SETTLED = {
    "the controller's slot": (
        "vim.fault.InvalidDeviceSpec, not done",
        "VirtualSCSIController.scsiCtlrUnitNumber: the controller itself is at that unit",
    ),
    "a slot beyond the last": (
        "vim.fault.InvalidDeviceSpec, not done",
        "VirtualSCSIControllerOption.numSCSIDisks: a controller has so many disks",
    ),
    "no slot": (
        "vim.fault.InvalidDeviceSpec, not done",
        "VirtualDevice.unitNumber: it is to be set where a controller is, when a device is added",
    ),
    "no such controller": (
        "vim.fault.InvalidController, not done",
        "InvalidController: an invalid controller key was specified",
    ),
    "no such disk": (
        "vim.fault.InvalidDeviceSpec, not done",
        "VirtualDevice.key: in a specification it refers to an existing device",
    ),
    "stale version": (
        "vim.fault.ConcurrentAccess, not done",
        "ConfigSpec.changeVersion: if it doesn't match, the reconfigure fails with ConcurrentAccess",
    ),
    "task of snapshot removed.entity": (
        "vim.VirtualMachine, not vim.vm.Snapshot",
        "TaskInfo.entity is a ManagedEntity, which a snapshot isn't",
    ),
}


def test_both_answer_alike(answers):
    ours, theirs = answers
    assert ours.found.keys() == theirs.found.keys()
    found = {
        at: how for name, answer in theirs.found.items() for at, how in differences(ours.found[name], answer, name)
    }
    assert found == {at: how for at, (how, _) in SETTLED.items()}


def test_both_do_alike(answers):
    ours, theirs = answers
    assert ours.said == {**theirs.said, "setting ''": []}  # "keys with empty values will be removed": ConfigSpec
