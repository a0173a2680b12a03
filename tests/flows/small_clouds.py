"""Two small clouds with real disks (files behind real nbdkit), whose every call can be made to fail or to kill.

They stand in for vCenter and OpenStack where a flow is tried with a fault at each of its steps, dozens of times, which
takes hours on real ones. What they hold is kept in files, so that it outlives a killed process, as a cloud does.

`faults.json` is a list of {"call": name, "number": n, "when": "before"|"after", "how": "error"|"kill"|…}: each strikes
once, at the n-th call of that name or the next after it.
"""

import asyncio
import fcntl
import itertools
import json
import os
import re
import shutil
import signal
import threading
import uuid
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from longshore.blocks.exports import serve_nbdkit
from longshore.errors import (
    FAULT,
    AccessDenied,
    Conflict,
    ConversionError,
    InvalidInput,
    LoginRefused,
    NotFound,
    Occupied,
    ProviderError,
    QuotaExceeded,
    Unreachable,
)
from longshore.model.changes import Changed, Unknown
from longshore.model.extents import Extent, merge
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.hardware import BootDrivers
from longshore.model.machine import (
    VOLUME,
    Disk,
    LooseVolume,
    Machine,
    Nic,
    PowerState,
    ServerSettings,
    Snapshot,
    SnapshotDisk,
    ToolsState,
)
from longshore.model.platform import Platform
from longshore.model.source_marks import MarkKind
from longshore.model.target import (
    Choices,
    Flavor,
    FloatingAddress,
    Marked,
    MarkedSnapshot,
    MarkedVolume,
    Network,
    Port,
    Present,
    QuotaRoom,
    Server,
    SourceRoom,
    Subnet,
    Taken,
    Volume,
    VolumeSnapshot,
)
from longshore.providers import registry
from longshore.providers.files.settings import FilesSettings
from longshore.providers.files.source import FilesSource
from longshore.providers.vault.settings import VaultSettings
from longshore.providers.vault.source import VaultSource

MIB = 1 << 20
SIZES = {"2000": 3 * MIB, "2001": 2 * MIB}
INSTANCE = "50230000-0000-0000-0000-000000000001"
LOOSE = "3000"  # a volume that no machine has
LOOSE_SIZE = 4 * MIB
MAC = "00:50:56:00:00:01"
OWN_MAC = "fa:16:3e:00:00:21"
ROOT = "root"  # key of a root disk that is no volume
CHANGES = re.compile("create_|delete_|remove_|open_|snapshot|finish_|revert|set_|shut_down|power_o|st(op|art)_server")
MARK = b"converted once".ljust(512, b"\0")


class World:
    """Both clouds' memory, one JSON file, changed under a lock."""

    def __init__(self, root):
        self.root = Path(root)

    @classmethod
    def create(cls, root, *, loose=True, data=MIB):
        """Create a world. `loose`: with the volume that no machine has. `data`: bytes at each end of a disk that aren't
        zeroes."""
        world = cls(root)
        world.root.mkdir(parents=True)
        for key, size in {**SIZES, **({LOOSE: LOOSE_SIZE} if loose else {})}.items():
            with (world.root / f"source-{key}").open("wb") as disk:
                disk.write(os.urandom(data))
                disk.seek(size - data)
                disk.write(os.urandom(data))
        nothing = {
            "snapshots": {},
            "volumes": {},
            "vsnaps": {},
            "networks": {},
            "ports": {},
            "servers": {},
            "probes": {},
        }
        world.write({"power": "on", "starts": 1, "tracking": False, "life": 1, "moment": 0, "log": [], **nothing})
        return world

    def grown(self):
        path = self.root / "sizes.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def guest_writes(self, key, offset, data):
        """Write as the running guest does: what is on the disk, and, while it is tracked, when and where it was
        written."""
        with self.change() as state:
            assert state["power"] == "on", "a guest that is off can't write"
            self._write(state, key, offset, data)

    def hide(self, key, offset, data):
        """The guest writes, and the source keeps no account of it."""
        with (self.root / f"source-{key}").open("r+b") as disk:
            disk.seek(offset)
            disk.write(data)

    def _write(self, state, key, offset, data):
        with (self.root / f"source-{key}").open("r+b") as disk:
            disk.seek(offset)
            disk.write(data)
        if state["tracking"]:
            state["log"].append([state["moment"], key, offset, len(data)])

    def read(self):
        return json.loads((self.root / "world.json").read_text())

    def write(self, state):
        new = self.root / "world.new"
        new.write_text(json.dumps(state))
        new.replace(self.root / "world.json")

    @contextmanager
    def change(self):
        with (self.root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            self.write(state)

    def mentions(self, text):
        """Tell whether it has anything of this id or owner."""
        return f'"{text}"' in (self.root / "world.json").read_text()

    def volume_file(self, volume_id):
        return self.root / f"volume-{volume_id}"

    def calls(self):
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def callers(self):
        """The processes that changed something, each once for as long as no other one did."""
        path = self.root / "callers"
        called = path.read_text().split() if path.exists() else []
        return [int(caller) for caller, _ in itertools.groupby(called)]

    def plan_fault(self, call, number, when, how, *, stays=False):
        """Plan a fault. `stays`: it strikes each call from the `number`th on, until faults are lifted."""
        with self._faults() as faults:
            faults.append({"call": call, "number": number, "when": when, "how": how, "stays": stays})

    def lift_faults(self):
        with self._faults() as faults:
            faults.clear()

    @contextmanager
    def _faults(self):
        """Yield the faults that are still to strike. What is changed of them is kept."""
        path = self.root / "faults.json"
        with (self.root / "calls.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = path.read_text() if path.exists() else "[]"
            faults = json.loads(before)
            yield faults
            if (after := json.dumps(faults)) != before:  # whole or not at all: who writes may be killed
                new = self.root / "faults.new"
                new.write_text(after)
                new.replace(path)

    def lose_machine(self):
        """It is gone where it was, with its disks and snapshots."""
        with self.change() as state:
            state.update(power="off", tracking=False, snapshots={}, ref=None)
        for key in SIZES:
            (self.root / f"source-{key}").unlink()

    def register_anew(self):
        """Unregister the machine and register it again, as somebody may."""
        with self.change() as state:
            state["ref"] = "vm-77"

    def set_up_anew(self):
        """Have the machine's reference be that of another one, as where a vCenter is set up anew."""
        with self.change() as state:
            state["instance"] = "50230000-0000-0000-0000-00000000000f"

    def hand(self, do, text=b""):
        """Act as an operator: the machine is powered on, and its guest writes, or it is powered off."""
        with self.change() as state:
            if do == "on":
                switch_on(state, self)
            elif do == "off":
                state["power"] = "off"
            state["last_hand"] = do
            if text and state["power"] == "on":
                self._write(state, "2000", 524288, text)
                self._write(state, "2001", 524288 + 8192 * state["starts"], text)

    def leave(self):
        """Kill the process at the leaving of a volume that somebody named (`dies_leaving`), with all of it copied."""
        if "leaves" not in self.read():
            return
        with self.change() as state:  # two disks may be left at once
            state["leaves"] -= 1
            dies = not state["leaves"]
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def dies_leaving(self, number):
        with self.change() as state:
            state["leaves"] = number

    def add_server(self, *, local=False, ports_of_nova=False):
        """One that runs, and was there before anybody moved anything; its id. `local`: its root disk is no volume.
        `ports_of_nova`: its port goes when it is taken from it."""
        ref, port = str(uuid.uuid4()), str(uuid.uuid4())
        with self.change() as state:
            state["power"] = "off"  # there is no other machine
            keys = [ROOT if local else str(uuid.uuid4()), str(uuid.uuid4())]
            for key, size in zip(keys, SIZES.values(), strict=True):
                self.disk_file(ref, key).write_bytes(os.urandom(MIB) + bytes(size - 2 * MIB) + os.urandom(MIB))
                if key != ROOT:
                    volume = {"size": size, "reserved": None, "bootable": False, "owner": "theirs", "name": "theirs"}
                    state["volumes"][key] = volume
            state["ports"][port] = {
                "owner": "theirs",
                "mac": OWN_MAC,
                "network": "net-1",
                "addresses": ["10.0.0.21"],
                "device": ref,
                "of_nova": ports_of_nova,
            }
            volumes = [key for key in keys if key != ROOT]
            server = {"owner": "theirs", "name": "web", "volume_ids": volumes, "port_ids": [port], "disk_buses": []}
            state["servers"][ref] = {**server, "local": local}
        return ref

    def disks_of(self, server_id):
        server = self.read()["servers"][server_id]
        return [ROOT, *server["volume_ids"]] if server.get("local") else list(server["volume_ids"])

    def disk_file(self, server_id, key):
        return self.root / f"root-{server_id}" if key == ROOT else self.volume_file(key)

    def held_by(self, server_id):
        """Return what its disks hold."""
        return [self.disk_file(server_id, key).read_bytes() for key in self.disks_of(server_id)]

    def running(self):
        """Its servers that are on."""
        return [ref for ref, server in self.read()["servers"].items() if server.get("status") != "SHUTOFF"]

    def refuse_twin(self):
        """Note a server that starts in this cloud beside one that it must not run beside."""
        state = self.read()
        if "twin" in state and (self.running() or World(state["twin"]).running()):
            with (self.root / "violations").open("a") as file:
                file.write("two servers of one machine run\n")

    def server_writes(self, server_id, number, offset, data):
        """Write as its guest does, to the disk of this number."""
        with self.disk_file(server_id, self.disks_of(server_id)[number]).open("r+b") as disk:
            disk.seek(offset)
            disk.write(data)

    def guest_wrote(self, text):
        """Its guest writes, if it runs."""
        with self.change() as state:
            if state["power"] == "on":
                self._write(state, "2001", 524288 + 4096, text)

    def plan_hand(self, call, when, do, text=b"", *, every=False):
        """Plan a hand at the next call of this name, or at each."""
        path = self.root / "hands.json"
        hands = json.loads(path.read_text()) if path.exists() else []
        hand = {"call": call, "when": when, "do": do, "text": text.decode(), "every": every}
        path.write_text(json.dumps([*hands, hand]))

    def _strike_hands(self, call, when):
        path = self.root / "hands.json"
        hands = json.loads(path.read_text()) if path.exists() else []
        mine = [hand for hand in hands if (hand["call"], hand["when"]) == (call, when)]
        if mine:
            path.write_text(json.dumps([hand for hand in hands if hand not in mine or hand["every"]]))
        for hand in mine:
            self.hand(hand["do"], hand["text"].encode())

    @property
    def violations(self):
        """Return what was done that must never be."""
        path = self.root / "violations"
        return path.read_text().splitlines() if path.exists() else []

    def kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def strike(self, call, when):
        """Count the call (before), and let a fault strike if it is this one's turn."""
        with self._faults() as faults:
            if when == "before":
                with (self.root / "calls").open("a") as log:
                    log.write(call + "\n")
                if CHANGES.match(call):
                    with (self.root / "callers").open("a") as log:
                        log.write(f"{os.getpid()}\n")
            self._strike_hands(call, when)
            count = self.calls().count(call)
            mine = [f for f in faults if f["call"] == call and f["when"] == when and count >= f["number"]]
            if not mine:
                return
            if not mine[0]["stays"]:
                faults.remove(mine[0])
        if mine[0]["how"] == "kill":
            self.kill()
        if mine[0]["how"] == "conflict":
            raise Conflict(f"The cloud can't {call} now.")
        if mine[0]["how"] == "quota":
            raise QuotaExceeded(f"The quota has no room to {call}.")
        if mine[0]["how"] == "occupied":
            raise Occupied(f"Somebody's backup is under way where {call} was asked for.")
        if mine[0]["how"] == "login":
            raise LoginRefused(f"The small cloud refused the log-in for {call}.")
        if mine[0]["how"] == "away":
            raise Unreachable(f"The small cloud didn't answer to {call}.")
        if mine[0]["how"] == "fault":
            raise ProviderError(f"The small cloud didn't answer to {call}.", code=FAULT)
        raise ProviderError(f"The cloud had a moment of weakness in {call}.")


def switch_on(state, world):
    """Whoever does it. What the disks held until then is kept."""
    if state["power"] == "off":
        state["power"], state["starts"] = "on", state["starts"] + 1
        for key in SIZES:
            shutil.copyfile(world.root / f"source-{key}", world.root / f"before-start-{state['starts']}-{key}")


class Struck:
    """Every public call of a cloud goes past the fault."""

    def __init__(self, world):
        self._world = world

    def by_reference(self, ref):
        """Every machine and volume here has but one word."""
        return self.volume(ref.removeprefix(VOLUME)) if ref.startswith(VOLUME) else self.machine(ref)

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name.startswith("_") or name in ("close", "by_reference") or not callable(found):
            return found

        def call(*args, **kwargs):
            self._world.strike(name, "before")
            answer = found(*args, **kwargs)
            self._world.strike(name, "after")
            return answer

        return call

    def close(self):
        pass


class SmallSource(Struck):
    """Its guest writes to both disks at every snapshot, right after it, and once more while it shuts down."""

    def _require(self, ref):
        """Return the state. Raises NotFound when the machine is gone: in its place there may be another one by now."""
        state = self._world.read()
        if "ref" in state and (state["ref"] is None or ref not in (state["ref"], "web")):
            raise NotFound(f"The small source has no machine {ref}.")
        return state

    def before_mark(self, ref, kind, text):
        marks = self._require(ref).get("marks", {})
        if (kind, text) == (MarkKind.FOLDER, "Nowhere"):
            raise InvalidInput("There is no folder Nowhere.")
        return None if marks.get(kind) == text else marks.get(kind, "nothing")

    def mark(self, ref, kind, text, before):
        with self._world.change() as state:
            assert state.get("marks", {}).get(kind, "nothing") in (before, text)
            state["marks"] = {**state.get("marks", {}), kind: text}

    def unmark(self, ref, kind, text, before):
        with self._world.change() as state:
            marks = state.get("marks", {})
            if marks.get(kind) != text:
                return False
            state["marks"] = {
                k: before if k == kind else t for k, t in marks.items() if k != kind or before != "nothing"
            }
        return True

    def check_new_machine(self, like):
        if (self._world.root / "no-room").exists():
            raise InvalidInput("The datastore that it was on isn't there any more.")
        if self._world.read().get("ref", "vm-1"):
            raise Conflict(f"There is a machine called {like.name} already.")

    def create_machine(self, like, owner):
        with self._world.change() as state:
            if state.get("made") == owner.tag:
                return state["ref"]
            if state.get("ref", "vm-1"):
                raise Conflict(f"There is a machine called {like.name} already.")
            assert [disk.key for disk in like.disks] == list(SIZES)
            assert [nic.mac for nic in like.nics] == [MAC]
            for disk in like.disks:
                (self._world.root / f"source-{disk.key}").write_bytes(bytes(disk.size))
            state["machines"] = state.get("machines", 1) + 1
            instance = f"50230000-0000-0000-0000-{state['machines']:012}"  # as vCenter gives each one another
            state.update(ref=f"vm-{state['machines']}", made=owner.tag, instance=instance)
            return state["ref"]

    def set_boot_order(self, ref, like):
        if (self._world.root / "no-boot-order").exists():
            raise AccessDenied("The account may not change settings.")
        keys = {device.key for device in (*like.disks, *like.nics)}
        with self._world.change() as state:
            assert (state["ref"], state["power"]) == (ref, "off")
            state["boot_order"] = [key for key in like.boot_order if key in keys]
        return tuple(key for key in like.boot_order if key not in keys)

    def find_machine(self, name, owner):
        state = self._world.read()
        return state["ref"] if name == "web" and state.get("made") == owner.tag else None

    def delete_machine(self, ref, owner):
        with self._world.change() as state:
            if state["ref"] != ref:
                return
            assert state["made"] == owner.tag, "it isn't ours"
            if state["power"] == "on":
                raise Conflict(f"{ref} runs.")
            state.update(ref=None, made=None, snapshots={}, tracking=False)
            for key in SIZES:
                (self._world.root / f"source-{key}").unlink()

    def machines(self, wanted):
        if wanted.has_name("web"):
            yield self.machine("vm-1")

    def registered_as(self, known):
        state = self._world.read()
        return state.get("ref", "vm-1") if known.instance_uuid == state.get("instance", INSTANCE) else None

    def machine(self, name_or_ref):
        state = self._require(name_or_ref)
        disks = tuple(
            Disk(key, f"Hard disk {n + 1}", n, size, f"[ds] {key}", "ds")
            for n, (key, size) in enumerate({**self._world.grown(), **SIZES}.items())  # with those that were added
        )
        floating = {one["fixed"]: one["address"] for one in state.get("floating", {}).values()}
        nic = Nic(
            "4000",
            "Network adapter 1",
            MAC,
            "VM Network",
            addresses=("10.0.0.5",),
            pci_slot=192,
            floating_addresses=floating,
        )
        told = self._world.root / "user-data"
        unreadable = (self._world.root / "unreadable").exists()
        return Machine(
            state.get("ref", "vm-1"),
            "web",
            PowerState(state["power"]),
            1,
            256,
            () if unreadable else disks,
            (nic,),
            unreadable=unreadable,
            change_tracking=state["tracking"],
            guest_id=state.get("guest_id", ""),
            guest_name=state.get("guest_name", ""),
            annotation="The shop's web server",
            boot_order=tuple(state.get("boot_order", ())),
            instance_uuid=state.get("instance", INSTANCE) if (self._world.root / "tells-instance").exists() else "",
            tools=ToolsState(tools.read_text() if (tools := self._world.root / "tools").exists() else "not-installed"),
            attributes={"owner": "shop"},
            platform=Platform("vsphere"),
            server_settings=ServerSettings(user_data=told.read_text() if told.exists() else None),
        )

    def tags(self, refs):
        if (self._world.root / "no-tags").exists():
            raise AccessDenied("The account may not read tags.")
        return dict.fromkeys(refs, ("stage/production",))

    def volume(self, name_or_id):
        if (self._world.root / "attached").exists():
            raise Conflict(f"Volume {name_or_id} is attached to server s-1.", code="volume-attached")
        disk = Disk(
            LOOSE, "volume archive", 0, LOOSE_SIZE, LOOSE, "slow", name="archive", image_properties={"os_type": "linux"}
        )
        return Machine(
            f"volume:{LOOSE}",
            "archive",
            PowerState.OFF,
            0,
            0,
            (disk,),
            (),
            platform=Platform("openstack"),
            annotation="kept for years",
            server_settings=ServerSettings(availability_zone="nova", metadata={"team": "web"}),
            loose_volume=LooseVolume("available", bootable=True),
        )

    def room(self):
        """One without a single snapshot left, if somebody says so."""
        if not (self._world.root / "no-snapshots").exists():
            return None
        return SourceRoom(QuotaRoom(None, None, None, None, None, 0, None), reads_volumes=False)

    def power_state(self, ref):
        if self._world.read().get("ref", "vm-1") is None:
            raise NotFound(f"The small source has no machine {ref}.")
        return PowerState(self._world.read()["power"])

    def shut_down(self, _ref):
        if (self._world.root / "stays-on").exists():
            return
        with self._world.change() as state:
            if state["power"] == "on":
                for number, key in enumerate(SIZES):
                    self._world._write(state, key, MIB + 8192 * (number + 1), f"last words {key}".encode())
                state["last_hand"] = None
            state["power"] = "off"

    def power_off(self, _ref):
        with self._world.change() as state:
            state["power"], state["last_hand"] = "off", None

    def power_on(self, ref):
        self._require(ref)
        with self._world.change() as state:
            if any(server.get("status") != "SHUTOFF" for server in state["servers"].values()):
                with (self._world.root / "violations").open("a") as file:
                    file.write("the source is powered on beside a server that runs\n")
            switch_on(state, self._world)
            state["last_hand"] = None

    def last_start(self, _ref):
        starts = str(self._world.read()["starts"])
        (self._world.root / "looked").write_text(starts)
        return None if (self._world.root / "no-events").exists() else starts

    def wait_powered_off(self, ref, _timeout):
        return self._require(ref)["power"] == "off"

    def set_change_tracking(self, ref, on):
        self._require(ref)
        with self._world.change() as state:
            if state["snapshots"] and state["tracking"] != on:
                raise Conflict("It has snapshots.")
            changed, state["tracking"] = state["tracking"] != on, on
            return changed

    def snapshot(self, ref, name, owner, *, quiesce):
        if ref.startswith("volume:"):
            return self._snapshot_of_volume(ref, owner)
        if quiesce and (self._world.root / "no-quiesce").exists():
            raise Conflict("The guest couldn't be frozen.", code="quiesce-failed")
        self._require(ref)
        with self._world.change() as state:
            if owner.tag not in state["snapshots"]:
                state["moment"] += 1
                made = f"snapshot-{state['moment']}"
                ids = {k: f"{state['life']}/{state['moment']}" if state["tracking"] else None for k in SIZES}
                for key in SIZES:
                    shutil.copyfile(self._world.root / f"source-{key}", self._world.root / f"{made}-{key}")
                state["snapshots"][owner.tag] = {"ref": made, "ids": ids}
                if state["power"] == "on":
                    for number, key in enumerate(SIZES):
                        place = (state["moment"] * 65536 + number * 4096) % (MIB - 4096)
                        self._world._write(state, key, place, f"after {made} on {key}".encode())
            return self._snapshot(ref, name, state["snapshots"][owner.tag])

    def _snapshot(self, ref, name, made):
        if LOOSE in made["ids"]:
            return Snapshot(made["ref"], ref, name, (SnapshotDisk(LOOSE, LOOSE, LOOSE_SIZE, None),))
        sizes = {**SIZES, **self._world.grown()}
        disks = tuple(SnapshotDisk(k, k, s, made["ids"].get(k)) for k, s in sizes.items())
        return Snapshot(made["ref"], ref, name, disks, is_base=self._keeps_bases)

    def _snapshot_of_volume(self, ref, owner):
        with self._world.change() as state:
            if owner.tag not in state["snapshots"]:
                state["moment"] += 1
                made = f"snapshot-{state['moment']}"
                shutil.copyfile(self._world.root / f"source-{LOOSE}", self._world.root / f"{made}-{LOOSE}")
                state["snapshots"][owner.tag] = {"ref": made, "ids": {LOOSE: None}}
            made = state["snapshots"][owner.tag]["ref"]
        if (self._world.root / "attached-meanwhile").exists():
            (self._world.root / "attached").touch()
        return Snapshot(made, ref, "", (SnapshotDisk(LOOSE, LOOSE, LOOSE_SIZE, None),))

    @property
    def _keeps_bases(self):
        """Tell whether it can tell what changed since a snapshot only while that is there."""
        return (self._world.root / "keeps-bases").exists()

    def find_snapshot(self, ref, owner):
        if not ref.startswith("volume:"):
            self._require(ref)
        found = self._world.read()["snapshots"].get(owner.tag)
        return self._snapshot(ref, "", found) if found else None

    def remove_snapshot(self, _ref, snapshot_ref):
        with self._world.change() as state:
            state["snapshots"] = {o: s for o, s in state["snapshots"].items() if s["ref"] != snapshot_ref}
        if (self._world.root / "keeps-no-moments").exists():  # else tests compare points with them
            for key in SIZES:
                (self._world.root / f"{snapshot_ref}-{key}").unlink(missing_ok=True)

    def changed(self, snapshot, disk_key, since):
        if (self._world.root / "forgets").exists():
            return Unknown("The small cloud has forgotten that change id.")
        now = next(d.change_id for d in snapshot.disks if d.key == disk_key)
        if self._keeps_bases and since not in {s["ids"][disk_key] for s in self._world.read()["snapshots"].values()}:
            return Unknown("The snapshot of the earlier moment is gone.")
        if now is None or now.split("/")[0] != since.split("/")[0]:
            return Unknown("Change tracking was reset since.")
        first, last = (int(change_id.split("/")[1]) for change_id in (since, now))
        log = self._world.read()["log"]
        found = [Extent(o, n) for moment, key, o, n in log if key == disk_key and first <= moment < last]
        return Changed(tuple(merge(found)), tried=(self._world.root / "is-tried").exists())

    def check_machine(self, _ref, _on_progress, _accept=()):
        return ()

    def make_ready(self, _owner, _ref):
        pass

    def check_way_back(self, _ref):
        if (self._world.root / "read-only").exists():
            raise InvalidInput("Disks at the small source can't be written.")

    @contextmanager
    def _written(self, snapshot, disk_key, size):
        """Note a write that the tracking misreports: from then on only new change ids mean anything."""
        with self._world.change() as state:
            assert any(s["ref"] == snapshot.ref for s in state["snapshots"].values()), "nothing keeps what it held"
            if state["power"] == "on":
                raise Conflict("The machine isn't off.")
            state["life"] += 1
        (self._world.root / f"source-{disk_key}").touch()
        file = {"file": str(self._world.root / f"source-{disk_key}"), "truncate": str(size)}
        with serve_nbdkit("file", file, filters=("truncate",), read_only=False) as export:
            yield export

    def open_disk_to_write(self, snapshot, disk_key, size):
        return self._written(snapshot, disk_key, size)

    def tracks_writes(self):
        return not (self._world.root / "writes-untracked").exists()

    def revert(self, ref, snapshot_ref):
        self._require(ref)
        with self._world.change() as state:
            assert any(s["ref"] == snapshot_ref for s in state["snapshots"].values())
            state["power"] = "off"
            state["life"] += 1
            for key in SIZES:
                shutil.copyfile(self._world.root / f"{snapshot_ref}-{key}", self._world.root / f"source-{key}")

    def open_disk(self, snapshot, disk_key):
        if not any(s["ref"] == snapshot.ref for s in self._world.read()["snapshots"].values()):
            raise NotFound(f"There is no snapshot {snapshot.ref}.")
        file = {"file": str(self._world.root / f"{snapshot.ref}-{disk_key}")}
        with suppress(FileNotFoundError):
            (self._world.root / "cut").unlink()  # by one of several that are opened at once
            return cut_off(file)
        if (self._world.root / "bad-from").exists() and disk_key == "2000":
            return bad_from(int((self._world.root / "bad-from").read_text()), file["file"], SIZES[disk_key])
        if (self._world.root / "hang").exists():
            return serve_nbdkit("file", {**file, "rdelay": "600"}, filters=("delay",), read_only=True)
        return serve_nbdkit("file", file, read_only=True)


@contextmanager
def cut_off(file):
    """A server that dies while it is being read."""
    with serve_nbdkit("file", {**file, "rdelay": "0.3"}, filters=("delay",), read_only=True) as export:
        threading.Timer(0.2, os.kill, (export.pid, signal.SIGKILL)).start()
        yield export


def bad_from(offset, path, size):
    """A disk that can't be read from there on."""
    fails = f"if [ $(($4 + $3)) -gt {offset} ]; then echo EPERM a bad sector >&2; exit 1; fi; "
    reads = f"dd if={path} bs=1M iflag=skip_bytes,count_bytes,fullblock skip=$4 count=$3 status=none"
    return serve_nbdkit("eval", {"get_size": f"echo {size}", "pread": fails + reads})


class SmallTarget(Struck):
    def present(self):
        return []

    def present_volumes(self):
        volumes = self._world.read()["volumes"]
        return [Present(i, v["name"], v.get("metadata", {}).get("longshore:source")) for i, v in volumes.items()]

    def choices(self):
        return Choices(("nova",), ("nova",), (), (), ())

    def networks(self):
        return [Network("net-1", "private", False, True, (Subnet("s", "10.0.0.0/24", True),))]

    def volume_types(self):
        return ["ceph"]

    def flavors(self):
        return [Flavor("f", "small", 1, 256, 0), Flavor("l", "large", 2, 512, 0)]

    def quota_room(self):
        return QuotaRoom(None, None, None, None, None, None, None)

    def taken(self, _network, macs, _addresses):
        ports = self._world.read()["ports"].values()
        held = frozenset(address for port in ports for address in port["addresses"])
        return Taken(frozenset(port["mac"] for port in ports) & frozenset(macs), held & frozenset(_addresses))

    def _make(self, kind, owner, thing):
        with self._world.change() as state:
            for id_, one in state[kind].items():
                if one["owner"] == owner.tag:
                    return id_
            id_ = str(uuid.uuid4())
            state[kind][id_] = {"owner": owner.tag, **thing}
            return id_

    def _find(self, kind, owner):
        return next((i for i, one in self._world.read()[kind].items() if one["owner"] == owner.tag), None)

    def _delete(self, kind, id_):
        with self._world.change() as state:
            state[kind].pop(id_, None)

    def create_volume(self, request, owner):
        thing = {"name": request.name, "type": request.volume_type, "description": request.description}
        thing["snapshot"] = request.snapshot_id
        id_ = self._make("volumes", owner, {"size": request.size, "reserved": None, "bootable": False, **thing})
        if request.snapshot_id and not self._world.volume_file(id_).exists():
            copy = self._world.root / f"clone-{id_}"
            shutil.copyfile(self._world.root / f"vsnap-{request.snapshot_id}", copy)
            copy.rename(self._world.volume_file(id_))
        with self._world.volume_file(id_).open("ab") as file:  # again, whenever a process died in here
            file.truncate(request.size)
        return Volume(id_, request.name, request.size)

    def find_volume(self, owner):
        id_ = self._find("volumes", owner)
        return Volume(id_, "", 0) if id_ else None

    def has_volume(self, volume_id):
        return volume_id in self._world.read()["volumes"]

    @contextmanager
    def _opened(self, volume_id, owner):
        with self._world.change() as state:
            volume = state["volumes"][volume_id]
            if volume["reserved"] not in (None, owner.tag):
                raise ProviderError(f"Volume {volume_id} is attached to something else.")
            volume["reserved"] = owner.tag
        try:
            with serve_nbdkit("file", {"file": str(self._world.volume_file(volume_id))}, read_only=False) as export:
                yield export
        except (Exception, asyncio.CancelledError):  # whoever was killed leaves it as it is
            with self._world.change() as state:
                state["volumes"][volume_id]["reserved"] = None
            raise
        self._world.leave()
        if (self._world.root / "no-leaving").exists():
            (self._world.root / "no-leaving").unlink()
            raise Unreachable("The small cloud didn't answer to the end of it.")
        with self._world.change() as state:
            state["volumes"][volume_id]["reserved"] = None

    def make_ready(self, _owner):
        pass

    def open_volume(self, volume_id, owner):
        return self._opened(volume_id, owner)

    def finish_volume(self, volume_id, request):
        with self._world.change() as state:
            volume = state["volumes"][volume_id]
            volume["bootable"] = request.bootable
            volume["image_properties"], volume["metadata"] = request.image_properties, request.metadata

    def snapshot_volume(self, volume_id, owner, notes=None):
        id_ = self._make("vsnaps", owner, {"volume": volume_id, "notes": dict(notes or {})})
        copy = self._world.root / f"vsnap-{id_}"
        if not copy.exists():
            whole = copy.with_name(f"{copy.name}-begun")  # a process may die in the middle
            shutil.copyfile(self._world.volume_file(volume_id), whole)
            whole.rename(copy)
        return VolumeSnapshot(id_, volume_id)

    def find_volume_snapshot(self, owner):
        id_ = self._find("vsnaps", owner)
        return VolumeSnapshot(id_, "") if id_ else None

    def snapshots_of(self, volume_ids):
        return frozenset(id_ for id_, one in self._world.read()["vsnaps"].items() if one["volume"] in volume_ids)

    def marked(self, key):
        state = self._world.read()
        volumes = [
            MarkedVolume(id_, one["size"], {**one.get("metadata", {}), "longshore:owner": one["owner"]})
            for id_, one in state["volumes"].items()
        ]
        snapshots = [
            MarkedSnapshot(
                id_,
                one["volume"],
                state["volumes"][one["volume"]]["size"],
                True,
                {**one["notes"], "longshore:owner": one["owner"]},
            )
            for id_, one in state["vsnaps"].items()
        ]
        return Marked(
            tuple(one for one in volumes if key in one.metadata),
            tuple(one for one in snapshots if key in one.metadata),
        )

    def revert_volume(self, volume_id, snapshot_id):
        if any(volume_id in server["volume_ids"] for server in self._world.read()["servers"].values()):
            raise Conflict(f"Volume {volume_id} is attached to a server.")
        if snapshot_id not in self._world.read()["vsnaps"]:
            raise NotFound(f"The small target has no snapshot {snapshot_id}.")
        with self._world.change() as state:
            state["volumes"][volume_id]["reserved"] = None
        shutil.copyfile(self._world.root / f"vsnap-{snapshot_id}", self._world.volume_file(volume_id))

    def delete_volume_snapshot(self, snapshot_id):
        if any(volume.get("snapshot") == snapshot_id for volume in self._world.read()["volumes"].values()):
            raise Conflict(f"Snapshot {snapshot_id} can't be deleted: a volume made from it depends on it.")
        self._delete("vsnaps", snapshot_id)
        (self._world.root / f"vsnap-{snapshot_id}").unlink(missing_ok=True)

    def delete_volume(self, volume_id):
        if any(s["volume"] == volume_id for s in self._world.read()["vsnaps"].values()):
            raise ProviderError(f"Volume {volume_id} has snapshots.")
        if any(volume_id in server["volume_ids"] for server in self._world.read()["servers"].values()):
            raise Conflict(f"Volume {volume_id} is attached to a server.")
        self._delete("volumes", volume_id)
        self._world.volume_file(volume_id).unlink(missing_ok=True)

    def create_isolated_network(self, name, subnets, owner):
        return Network(self._make("networks", owner, {"name": name}), name, False, True, subnets)

    def find_isolated_network(self, owner):
        id_ = self._find("networks", owner)
        return Network(id_, "", False, True, ()) if id_ else None

    def delete_isolated_network(self, network_id):
        if any(port["network"] == network_id for port in self._world.read()["ports"].values()):
            raise ProviderError(f"Network {network_id} has ports.")
        self._delete("networks", network_id)

    def create_port(self, request, owner):
        return self._port(request, owner)

    def _port(self, request, owner):
        mac, addresses = request.mac or "fa:16:3e:00:00:99", list(request.fixed_addresses)
        there = [one for one in self._world.read()["ports"].values() if one["network"] == request.network_id]
        if request.mac in {one["mac"] for one in there if one["owner"] != owner.tag}:
            raise Conflict(f"A port has the MAC {request.mac} already.")
        thing = {"mac": mac, "network": request.network_id, "addresses": addresses, "device": None}
        return self._told(self._make("ports", owner, thing))

    def _told(self, id_):
        port = self._world.read()["ports"][id_]
        return Port(id_, port["mac"], tuple(port["addresses"]), port["network"], bool(port["device"]))

    def port(self, port_id):
        if port_id not in self._world.read()["ports"]:
            raise NotFound(f"There is no port {port_id}.")
        return self._told(port_id)

    def free_port(self, port, owner):
        with self._world.change() as state:
            there = state["ports"].get(port.id)
            if there and there["device"] == port.server_id:
                server = state["servers"][port.server_id]
                assert server["status"] == "SHUTOFF", "the port of a server that runs is taken"
                server["port_ids"].remove(port.id)
                there["device"] = None
                if there.get("of_nova"):
                    del state["ports"][port.id]
        self._world.strike("port_gone", "before")
        if port.id not in self._world.read()["ports"]:
            return self._port(port.like, owner)
        assert not there["device"], "it is another server's"
        return self._told(port.id)

    def give_port_back(self, port, owner):
        state = self._world.read()
        if port.server_id not in state["servers"]:
            self._delete("ports", self._find("ports", owner))
            return
        id_ = port.id if port.id in state["ports"] else self._port(port.like, owner).id
        with self._world.change() as state:
            device = state["ports"][id_]["device"]
            if device not in (None, port.server_id):
                raise Conflict(f"Port {id_} belongs to {device}.")
            if device is None:
                state["ports"][id_]["device"] = port.server_id
                state["servers"][port.server_id]["port_ids"].append(id_)

    def find_port(self, owner):
        id_ = self._find("ports", owner)
        return Port(id_, "", (), "") if id_ else None

    def delete_port(self, port_id):
        self._delete("ports", port_id)
        with self._world.change() as state:
            for one in state.get("floating", {}).values():
                one["port"] = None if one["port"] == port_id else one["port"]

    def create_server(self, request, owner):
        state = self._world.read()
        for volume in request.volume_ids:
            if state["volumes"][volume]["reserved"]:
                raise ProviderError(f"Volume {volume} is reserved.")
        if self._find("servers", owner) is None:
            self._world.refuse_twin()
        id_ = self._make("servers", owner, asdict(request))
        with self._world.change() as state:
            for port in request.port_ids:
                if port in state["ports"]:
                    assert state["ports"][port]["device"] in (None, id_), "the port is another server's"
                    state["ports"][port]["device"] = id_
        return Server(id_, request.name, "ACTIVE")

    def find_server(self, owner):
        id_ = self._find("servers", owner)
        return Server(id_, "", "ACTIVE") if id_ else None

    def server(self, server_id):
        state = self._world.read()
        if server_id not in state["servers"]:
            raise NotFound(f"There is no server {server_id}.")
        return Server(server_id, "", state["servers"][server_id].get("status", "ACTIVE"))

    def floating_addresses(self):
        """Return those that somebody has reserved, and one that leads to each port, if somebody says so."""
        self._require_routers()
        path, state = self._world.root / "floating", self._world.read()
        address = path.read_text() if path.exists() else None
        reserved = state.get("floating", {}).items()
        return [
            *(FloatingAddress("fip", address, "ext", port) for port in state["ports"] if address),
            *(FloatingAddress(id_, one["address"], "ext", one["port"]) for id_, one in reserved),
        ]

    def external_networks(self):
        self._require_routers()
        return []

    def _require_routers(self):
        """Raise NotFound if somebody says that this cloud has none: then it knows no floating addresses."""
        if (self._world.root / "no-routers").exists():
            raise NotFound("The resource could not be found.")

    def attach_floating_address(self, address_id, port_id, _fixed):
        with self._world.change() as state:
            assert state["floating"][address_id]["port"] in (None, port_id)
            state["floating"][address_id]["port"] = port_id

    def detach_floating_address(self, address_id, port_id):
        with self._world.change() as state:
            leads = state["floating"][address_id]["port"] == port_id
            if leads:
                state["floating"][address_id]["port"] = None
        return leads

    def agent_answers(self, server_id, owner):
        """If there is one, and the server's first volume says that Nova has to hear it."""
        state = self._world.read()
        properties = state["volumes"][state["servers"][server_id]["volume_ids"][0]]["image_properties"]
        if (self._world.root / "no-agents").exists():
            raise AccessDenied("The project's user may not ask the guest agent.")
        if not {"hw_qemu_guest_agent", "os_require_quiesce"} <= properties.keys():
            raise ProviderError("QEMU guest agent is not enabled.")
        answers = (self._world.root / "agent").exists()
        if answers:
            self._make("probes", owner, {})
        return answers

    def remove_agent_probe(self, owner):
        id_ = self._find("probes", owner)
        self._delete("probes", id_)
        return id_ is not None

    def stop_server(self, server_id):
        with self._world.change() as state:
            state["servers"][server_id]["status"] = "SHUTOFF"

    def start_server(self, server_id):
        with self._world.change() as state:
            state["servers"][server_id]["status"] = "ACTIVE"

    def delete_server(self, server_id):
        with self._world.change() as state:
            state["servers"].pop(server_id, None)
            for port in state["ports"].values():
                port["device"] = None if port["device"] == server_id else port["device"]

    def console(self, server_id):
        """It boots only from disks that hold what the source holds, converted exactly once."""
        if (self._world.root / "no-boot").exists():
            return "Kernel panic - not syncing: VFS"
        if (self._world.root / "silent").exists():
            return ""
        server = self._world.read()["servers"][server_id]
        if (self._world.root / "one-moment").exists():  # the machine runs on: it is enough that it is whole
            return "web login: "
        # One that landed as it is boots unconverted, on the hardware it was given
        converted = not server["disk_buses"]
        whole = all(
            self._world.volume_file(v).read_bytes() == expected(self._world, key, converted=converted)
            for v, key in zip(server["volume_ids"], SIZES, strict=True)
        )
        return "web login: " if whole else "Kernel panic - not syncing: VFS"


class SmallServers(Struck):
    """The target's servers, as what is read. What changed between two snapshots is seen by comparing them."""

    def machine(self, ref):
        state = self._world.read()
        if ref not in state["servers"]:
            raise NotFound(f"There is no server {ref}.")
        server = state["servers"][ref]
        volumes = [*self._world.disks_of(ref), *self._others()]
        disks = tuple(
            Disk(v, f"volume {n}", n, self._size(state, v), v, "ceph", tracked=v != ROOT) for n, v in enumerate(volumes)
        )
        nics = tuple(
            Nic(id_, f"port {id_}", port["mac"], "private", addresses=tuple(port["addresses"]))
            for id_, port in state["ports"].items()
            if port["device"] == ref
        )
        power = self.power_state(ref)
        return Machine(
            ref, server["name"], power, 1, 256, disks, nics, platform=Platform("openstack"), change_tracking=True
        )

    def _size(self, state, volume):
        if volume == ROOT:
            return SIZES["2000"]
        return state["volumes"][volume]["size"] if volume in state["volumes"] else 0

    def tags(self, refs):
        return {}

    def room(self):
        return None

    def check_machine(self, _ref, _on_progress, _accept=()):
        return ()

    def power_state(self, ref):
        off = self._world.read()["servers"][ref].get("status") == "SHUTOFF"
        return PowerState.OFF if off else PowerState.ON

    def last_start(self, ref):
        return str(self._world.read()["servers"][ref].get("starts", 1))

    def shut_down(self, ref):
        if (self._world.root / "server-stays-on").exists():
            return
        if self.power_state(ref) is PowerState.ON:
            words = f"the server's last words, {ref}"
            self._world.server_writes(ref, 1, MIB + 65536, words.encode())
        with self._world.change() as state:
            state["servers"][ref]["status"] = "SHUTOFF"

    def wait_powered_off(self, ref, _timeout):
        return self.power_state(ref) is PowerState.OFF

    def power_on(self, ref):
        with self._world.change() as state:
            if state["power"] == "on":
                with (self._world.root / "violations").open("a") as file:
                    file.write("a server is started beside the source, which runs\n")
            server = state["servers"][ref]
            if server.get("status") == "SHUTOFF":
                self._world.refuse_twin()
                server["status"], server["starts"] = "ACTIVE", server.get("starts", 1) + 1

    def make_ready(self, _owner, _ref):
        pass

    def snapshot(self, ref, name, owner, *, quiesce):
        volumes = [*self._world.disks_of(ref), *self._others()]
        with self._world.change() as state:
            if owner.tag not in state["snapshots"]:
                for volume in volumes:
                    copy = self._world.root / f"{owner.step}-{volume}"
                    shutil.copyfile(self._world.disk_file(ref, volume), copy)
                ids = {volume: None if volume == ROOT else f"{owner.step}-{volume}" for volume in volumes}
                state["snapshots"][owner.tag] = {"ref": owner.tag, "ids": ids}
                if "twin" in state and self.power_state(ref) is PowerState.ON:
                    self._world.server_writes(ref, 0, 65536, f"after {owner.step} on {ref}".encode())
        return self._found(ref, owner)

    def _others(self):
        """A volume that somebody has attached since."""
        path = self._world.root / "attached-since"
        if path.exists():
            self._world.volume_file("other").touch()
        return ["other"] if path.exists() else []

    def find_snapshot(self, ref, owner):
        return self._found(ref, owner)

    def _found(self, ref, owner):
        state = self._world.read()
        found = state["snapshots"].get(owner.tag)
        ids = found["ids"] if found else {}
        disks = tuple(SnapshotDisk(volume, volume, self._size(state, volume), id_) for volume, id_ in ids.items())
        return Snapshot(owner.tag, ref, owner.tag, disks, is_base=True) if found else None

    def remove_snapshot(self, ref, snapshot_ref):
        with self._world.change() as state:
            state["snapshots"].pop(snapshot_ref, None)

    def changed(self, snapshot, disk_key, since):
        state = self._world.read()
        if (self._world.root / "server-forgets").exists():
            return Unknown("The small cloud can't compare snapshots.")
        there = {id_ for one in state["snapshots"].values() for id_ in one["ids"].values()}
        if since not in there and since not in state["vsnaps"]:
            return Unknown("The snapshot of the earlier moment is gone.")
        earlier = self._world.root / (since if since in there else f"vsnap-{since}")
        now = (self._world.root / snapshot.disk(disk_key).change_id).read_bytes()
        before = earlier.read_bytes()
        places = range(0, len(now), 512)
        return Changed(tuple(merge(Extent(p, 512) for p in places if now[p : p + 512] != before[p : p + 512])))

    def open_disk(self, snapshot, disk_key):
        step = snapshot.ref.partition("/")[2]
        return serve_nbdkit("file", {"file": str(self._world.root / f"{step}-{disk_key}")}, read_only=True)


def expected(world, key, *, converted=True, held=None):
    """Return what a disk must hold after the migration, if the source's is `held` in another file than its own."""
    data = (world.root / (held or f"source-{key}")).read_bytes()
    if not converted:
        return data
    return data[:MIB] + MARK + data[MIB + len(MARK) :] if key == "2000" else data


async def small_convert(
    disks, _directory, on_message, *, nics, first_boot, addresses=(), keys=(), system=None, agents=(), **new
):
    """A conversion that can be told from two: it marks the first disk, and spoils a disk that is marked already."""
    import nbd

    from longshore.guests.report import ConversionReport, OperatingSystem

    world = World(os.environ["SMALL_WORLD"])
    world.strike("convert", "before")
    on_message("Converting.")
    on_message("Warning: The serial console couldn't be set up.")
    (world.root / "first-boot").write_text("".join(first_boot))
    note_new_addresses(world, **new)
    (world.root / "keys-to-convert").write_text("".join(keys))
    while (world.root / "takes-long").exists():
        await asyncio.sleep(0.05)
    handle = nbd.NBD()
    handle.connect_uri(disks[0])
    there = handle.pread(len(MARK), MIB)
    handle.pwrite(bytes(MARK) if not any(there) else b"converted twice".ljust(512, b"\0"), MIB)
    handle.flush()
    handle.shutdown()
    world.strike("convert", "after")
    looked = OperatingSystem("/dev/sda1", "linux", "debian", "12", "Debian 12", "x86_64", "deb", "web", {})
    return ConversionReport(system or looked, (), (), tuple(f"{n.mac} stays {n.name}" for n in nics), 0.1, "")


def note_new_addresses(world, *, new_addresses, keep_former, addresses_only=False):
    """Note what a guest is given, where something is."""
    if new_addresses:
        told = {"new": asdict(new_addresses), "keep": keep_former, "only": addresses_only}
        (world.root / "new-addresses").write_text(json.dumps(told))


async def small_put_back(disks, _directory, _on_message, *, keys=()):
    world = World(os.environ["SMALL_WORLD"])
    world.strike("put_back", "before")
    (world.root / "put-back").write_text(str(len(disks)))
    world.strike("put_back", "after")
    return ["The guest has the network configuration again that it had before: /etc/network/interfaces."]


async def small_look_into(disks, _directory, _on_message, *, nics=(), keys=(), adapters=()):
    """A guest that knows SATA, on disks that hold what the source's do, unless told otherwise.

    It is read beside whatever else goes on, as by the process of its own that really does it: a disk may hang.
    """
    world = World(os.environ["SMALL_WORLD"])
    world.strike("look", "before")
    (world.root / "keys-to-look").write_text("".join(keys))
    for uri in disks:
        assert any(await asyncio.to_thread(_beginning_of, uri))
    found = found_by(world)
    world.strike("look", "after")
    return found


def _beginning_of(uri):
    import nbd

    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)  # what TLS needs
    handle.connect_uri(uri)
    held = handle.pread(512, 0)
    handle.shutdown()
    return held


def found_by(world):
    if (world.root / "holds-nothing").exists():
        return GuestFindings(why_not="No operating system was found on the machine's disks.")
    known = () if (world.root / "knows-nothing").exists() else ("ahci",)
    drivers = BootDrivers(
        inspected=True,
        family="linux",
        boot=known,
        later=known,
        network=("vmxnet3",),
        interface_names=("ens192",) if (world.root / "names-interfaces").exists() else (),
        mounts={"/": "/dev/sda1"},
    )
    system = FoundSystem("/dev/sda1", "linux", "debian", "12.0", "Debian 12", "x86_64", host_name="looked-at")
    odd = {MAC: "netplan has no ens192"} if (world.root / "cannot-be-addressed").exists() else {}
    signature = signature_of(world)
    return GuestFindings(inspected=True, systems=(system,), drivers=drivers, signature=signature, unaddressable=odd)


def signature_of(world):
    """Its guest is another one, as far as it boots by that, whenever somebody says so (`guest`)."""
    path = world.root / "guest"
    return path.read_text() if path.exists() else "as installed"


async def small_check(_disks, _directory, _on_message, *, signature, **_known):
    as_found(World(os.environ["SMALL_WORLD"]), "check", signature)


async def small_finish(
    _disks, _directory, _on_message, *, new_addresses, keep_former, addresses_only, signature="", **_known
):
    new = {"new_addresses": new_addresses, "keep_former": keep_former, "addresses_only": addresses_only}
    note_new_addresses(World(os.environ["SMALL_WORLD"]), **new)
    return as_found(World(os.environ["SMALL_WORLD"]), "finish", signature)


def as_found(world, call, signature):
    """Require that the guest is still that of the signature, where there is one."""
    world.strike(call, "before")
    if signature and signature != signature_of(world):
        raise ConversionError("The guest has changed since its disks were looked into.", code="guest-changed")
    world.strike(call, "after")
    return ["The interface keeps its name ens192."]


def small_ensure_confinement():
    if (World(os.environ["SMALL_WORLD"]).root / "cannot-confine").exists():
        raise ConversionError("Guests can't be confined on this machine: it is small.", code="not-confined")


def small_connect(kind, settings, _secrets, side=None, _servers=None):
    if kind == "vsphere" and "host" in settings:  # the lab's vCenter
        return registry.connect(kind, settings, _secrets, side, _servers)
    assert kind != "vsphere" or not (Path(settings["root"]) / "source-is-gone").exists()
    if kind == "files":  # which need no stand-in
        return FilesSource(FilesSettings(**{name: value for name, value in settings.items() if name != "root"}))
    if kind == "vault":  # nor does this
        return VaultSource(VaultSettings(**settings), _secrets.get("pass_phrase"), _secrets.get("secret_key"))
    world = World(settings["root"])
    if kind == "vsphere":
        return SmallSource(world)
    return SmallServers(world) if side == "source" else SmallTarget(world)


def install(put=setattr):
    """Put the small clouds in the place of the real ones, in this process."""
    from longshore.engine import embedded_process, outages, parking, retry, undoing, worker
    from longshore.flows import clouds
    from longshore.flows.moves import bootcheck, conversion, copying, late_conversion, look, migration
    from longshore.flows.moves import syncs as moves_syncs
    from longshore.flows.replicas import former_addresses, looking
    from longshore.store import jobs, syncs

    put(clouds, "connect", small_connect)
    put(conversion, "convert", small_convert)
    put(migration, "ensure_confinement", small_ensure_confinement)
    put(late_conversion, "ensure_confinement", small_ensure_confinement)
    put(looking, "ensure_confinement", small_ensure_confinement)
    put(conversion, "finish_as_is", small_finish)
    put(former_addresses, "put_back", small_put_back)
    put(look, "look_into", small_look_into)
    put(look, "check_as_found", small_check)
    put(bootcheck, "_POLL", 0.05)
    put(bootcheck, "_AGENT_EVERY", 0.05)
    put(undoing, "_PAUSE", 0.01)
    put(undoing, "_APPEARS_WITHIN", 0.01)
    put(retry, "FIRST_PAUSE", 0.01)
    put(outages, "_PAUSES", (0.05, 0.2))
    put(outages, "_LOOK_EVERY", 0.05)
    put(outages, "LONGEST", 3.0)
    put(outages, "BRIEFLY", 0.2)
    put(outages, "OCCUPIED", 1.0)
    root = Path(os.environ.get("SMALL_WORLD", "/nowhere"))
    seconds = float((root / "pauses").read_text()) if (root / "pauses").exists() else 0.3
    put(parking, "PAUSES", (timedelta(seconds=seconds),))
    if (root / "keeps-little").exists():
        put(jobs, "_KEPT", 5)
        put(syncs, "_KEPT", 5)
        put(syncs, "_EVENTS_KEPT", 10)
    if (root / "soon-stale").exists():
        put(moves_syncs, "FRESH", timedelta(seconds=0.3))
    put(copying, "STALLED_AFTER", 12.0)
    put(worker, "_POLL", 0.05)
    put(embedded_process, "_LINGER", 0.01)
