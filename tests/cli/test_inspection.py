"""What a look into a machine's disks tells people and programs."""

import json
from contextlib import closing
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from in_process import longshore
from longshore.engine import embedded
from longshore.model.forms import form
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.hardware import BootDrivers
from longshore.model.machine import FileSystem, Machine, PowerState
from longshore.model.platform import Platform
from longshore.model.status import Status
from longshore.planning.kinds import blocker
from longshore.store import StateDirectory, Store

FOUND = GuestFindings(
    inspected=True,
    systems=(FoundSystem("/dev/sda2", "windows", product="Windows Server 2022 Standard", architecture="x86_64"),),
    drivers=BootDrivers(inspected=True, family="windows", boot=("ahci",), network=("e1000e",)),
    file_systems=(FileSystem("C:\\", 40 << 30, 9 << 30),),
    hibernated=True,
    luks=("/dev/sdb",),
)
HIBERNATED = blocker("guest-hibernated", "It sleeps.", "Shut it down for good.")("web", "web is in hibernation.")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command, with an engine that finds this at once."""
    machine = Machine("vm-1", "web", PowerState.ON, 1, 256, (), (), platform=Platform("vsphere"))
    source = SimpleNamespace(machine=lambda _name: machine, close=lambda: None)
    monkeypatch.setattr("longshore.flows.clouds.connect", lambda *_: source)
    guest = {**form(GuestFindings).dump_python(FOUND, mode="json"), "looked_at": "2026-11-22T00:00:00Z"}
    concerns = {"convert": [asdict(HIBERNATED)], "as-is": []}

    def find(_state):
        with closing(Store(StateDirectory(tmp_path))) as store:
            for record in store.migrations.all():
                result = {"guest": guest, "concerns": concerns}
                store.migrations.update(record.id, status=Status.DONE, phase="done", result=result)

    monkeypatch.setattr(embedded, "ensure_running", find)
    with closing(Store(StateDirectory(tmp_path))) as store:
        store.providers.add("vc", "vsphere", {}, {"password": "x"})
    return lambda *words: longshore(tmp_path, *words)


def test_people_read_what_was_found_and_what_stands_against_it(run):
    done = run("machine", "inspect", "vc", "web")
    assert done.returncode == 0, done.stderr
    for words in (
        "Windows Server 2022 Standard, x86_64, on /dev/sda2",
        "C:\\: 9.0 GiB of 40.0 GiB free",
        "hibernated, encrypted (LUKS) /dev/sdb",
        "blocker: web is in hibernation. Shut it down for good. (guest-hibernated)",
        "nothing stands against it",
    ):
        assert words in done.stdout
    # and later, of the same inspection
    [inspection] = json.loads(run("job", "list", "-f", "json").stdout)
    assert inspection["Type"] == "inspection"
    for command in ("show", "report"):
        told = run("migration", command, inspection["ID"])
        assert told.returncode == 0, told.stderr
        assert "Windows Server 2022 Standard, x86_64, on /dev/sda2" in told.stdout


def test_programs_get_all_of_it(run):
    told = json.loads(run("machine", "inspect", "vc", "web", "-f", "json").stdout)
    assert told["guest"]["hibernated"] is True
    assert told["concerns"]["convert"][0]["code"] == "guest-hibernated"
    assert told["concerns"]["as-is"] == []
