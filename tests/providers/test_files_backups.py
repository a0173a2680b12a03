"""Backups in files as machines: Trilio's shares, exported points, and images based on others, wherever they lie now."""

import json
import subprocess
from datetime import UTC, datetime

import pytest
from files_made import disk_bytes, make_image, qemu_img
from test_files_source import OWNER, disks_of, source_of
from trilio_share import MAC, VM, id_of, image_of, make_share

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.model.exported import FORMAT
from longshore.model.forms import form
from longshore.model.machine import Disk, Firmware, Machine, OverSsh, PowerState
from longshore.model.platform import Platform
from longshore.model.point import Consistency
from longshore.model.request import MigrationRequest
from longshore.planning.machine_checks import machine_concerns


@pytest.fixture
def share(tmp_path):
    """(its directory, what was in its disks by snapshot)"""
    held = make_share(tmp_path / "share")
    return tmp_path / "share", held


def snapshot_of(share, number):
    return next(share.rglob(f"snapshot_{id_of(f'snapshot {number}')}"))


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_every_snapshot_on_trilio_s_share_is_a_machine_as_it_was(share):
    directory, held = share
    source = source_of(directory)
    machines = sorted(source.machines(), key=lambda machine: machine.as_of.moment)
    assert [machine.as_of.moment for machine in machines] == [datetime(2026, 5, n, 2, tzinfo=UTC) for n in (1, 2, 3)]
    assert source.check()["machines"] == "3"
    for machine, contents in zip(machines, held, strict=True):
        source.check_machine(machine.ref, lambda _done, _total: None)
        assert disks_of(source, machine.ref) == [contents["vda"], contents["vdb"]]
    machine = machines[-1]
    assert (machine.name, machine.instance_uuid, machine.platform, machine.power) == ("web", VM, "openstack", "off")
    assert (machine.cpus, machine.memory_mib, machine.server.flavor) == (1, 256, "m1.small")
    assert [(disk.key, disk.name, disk.storage, disk.position) for disk in machine.disks] == [
        ("vda", "web-vda", "fast", 0),
        ("vdb", "web-vdb", "fast", 1),
    ]
    (nic,) = machine.nics
    assert (nic.mac, nic.network, nic.addresses, nic.security_groups) == (MAC, "private", ("10.0.0.7",), ("web",))
    assert machine.server_settings.key_name == "my-key"
    assert machine.as_of.consistency is Consistency.CRASH
    assert source.machine("web").ref == machine.ref, "by its name it isn't the newest one"
    assert machine.power is PowerState.OFF
    assert machine.firmware is Firmware.BIOS


def test_a_share_below_the_directory_that_is_named_is_found_too(share, tmp_path):
    directory, held = share
    (tmp_path / "mnt").mkdir()
    directory.rename(tmp_path / "mnt/MTAuMTA=")
    source = source_of(tmp_path / "mnt")
    assert disks_of(source, "web") == [held[-1]["vda"], held[-1]["vdb"]]


def test_a_missing_image_is_missed_by_those_alone_that_need_it(share):
    directory, held = share
    (snapshot_of(directory, 1) / image_of(1, "vdb")).unlink()
    source = source_of(directory)
    machines = {machine.as_of.moment.day: machine for machine in source.machines()}
    assert {day: machine.unreadable for day, machine in machines.items()} == {1: False, 2: True, 3: True}
    assert "There is no" in machines[2].unreadable_because
    assert "isn't there" in machines[3].unreadable_because
    assert disks_of(source, machines[1].ref) == [held[0]["vda"], held[0]["vdb"]]
    with pytest.raises(InvalidInput, match="isn't there"):  # and not an older one in its place
        source.machine("web")


def test_snapshots_that_were_never_finished_or_are_deleted_are_no_machines(share):
    directory, _ = share
    change(snapshot_of(directory, 1) / "snapshot_db", status="error")
    change(snapshot_of(directory, 2) / "snapshot_db", data_deleted=True)
    assert [machine.as_of.moment.day for machine in source_of(directory).machines()] == [1]


def test_a_damaged_document_is_said_and_the_others_stay(tmp_path):
    """One share for all of it: making one takes a second."""
    share = tmp_path / "share"
    make_share(share, snapshots=2, disks=("vda",))
    source = source_of(share)
    for document in ("snapshot_db", "resources_db", "snapshot_vms_db", "disk_db", "network_db"):
        (path,) = snapshot_of(share, 1).rglob(document)
        good = path.read_text()
        for content in ("", "{", "7", '"x"', "[7]", "{}", "[" * 100_000):
            path.write_text(content)
            machines = list(source.machines())
            readable = [machine for machine in machines if not machine.unreadable]
            assert 1 in {machine.as_of.moment.day for machine in readable}, (document, content)
            assert all(machine.unreadable_because for machine in machines if machine.unreadable)
        path.write_text(good)
    assert not any(machine.unreadable for machine in source.machines())


def test_an_address_that_is_none_is_left_out(share):
    directory, _ = share
    for document in directory.rglob("network_db"):
        document.write_text(document.read_text().replace("10.0.0.7", "10.0.0.7, 10.0.0.8"))
    (nic,) = source_of(directory).machine("web").nics
    assert (nic.addresses, nic.network) == ((), "private")


def test_a_share_that_changes_while_it_is_read_is_noticed_in_the_bases_too(share):
    directory, _ = share
    source = source_of(directory)
    snapshot = source.snapshot(source.machine("web").ref, "s", OWNER, quiesce=False)
    base = snapshot_of(directory, 0) / image_of(0, "vda")
    base.write_bytes(base.read_bytes()[:-512] + bytes(512))
    with pytest.raises(Conflict, match="changed"), source.open_disk(snapshot, "vda"):
        pass


def test_a_base_that_is_cut_off_is_found_before_anything_is_made(share):
    directory, _ = share
    base = snapshot_of(directory, 0) / image_of(0, "vda")
    whole = base.read_bytes()
    base.write_bytes(whole[: -2 << 16])
    source = source_of(directory)
    with pytest.raises(InvalidInput, match="damaged or cut off"):
        source.check_machine(source.machine("web").ref, lambda _done, _total: None)
    base.write_bytes(whole[: 3 << 16])  # before its tables
    with pytest.raises(InvalidInput, match="it ends before its tables"):
        source.machine("web")


def overlay(path, base, said=None, kind="qcow2"):
    """An image at `path` on one at `base`, which it calls `said`."""
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", kind, path)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 65536 512", path], check=True, capture_output=True)
    if said is not None:
        qemu_img("rebase", "-u", "-f", "qcow2", "-F", kind, "-b", said, path)


def with_sevens(data):
    return data[:65536] + b"\7" * 512 + data[66048:]


@pytest.mark.parametrize("kind", ["qcow2", "raw"])
@pytest.mark.parametrize("said", ["base.image", "../bases/base.image", "/var/lib/elsewhere/bases/base.image", None])
def test_an_image_is_read_with_its_base_wherever_that_was(tmp_path, kind, said):
    place = tmp_path / "place"
    base = place / ("bases" if said != "base.image" else "disks") / "base.image"
    base.parent.mkdir(parents=True)
    (place / "disks").mkdir(exist_ok=True)
    data = make_image(base, kind)
    overlay(place / "disks/web.qcow2", base, said, kind)
    source = source_of(place)
    assert disks_of(source, "web") == [with_sevens(data)]
    source.check_machine("disks/web.qcow2", lambda _done, _total: None)


def test_a_file_that_is_merely_called_like_the_base_isn_t_taken_for_it(tmp_path):
    make_image(tmp_path / "base.qcow2", "qcow2", seed=2)
    (tmp_path / "web").mkdir()
    overlay(tmp_path / "web/top.qcow2", tmp_path / "base.qcow2", "/images/web/base.qcow2")
    (machine,) = (one for one in source_of(tmp_path).machines() if one.name == "top")
    assert "isn't there" in machine.unreadable_because


def test_a_base_outside_is_never_opened(tmp_path):
    (tmp_path / "place").mkdir()
    make_image(tmp_path / "secret.qcow2", "qcow2")
    for number, said in enumerate(
        (str(tmp_path / "secret.qcow2"), "../secret.qcow2", "/etc/passwd", "nbd:localhost:1")
    ):
        overlay(tmp_path / f"place/{number}.qcow2", tmp_path / "secret.qcow2", said)
    machines = list(source_of(tmp_path / "place").machines())
    assert len(machines) == 4
    assert all(machine.unreadable and "isn't there" in machine.unreadable_because for machine in machines)


def test_a_base_that_is_reached_by_a_link_isn_t_opened_for_callers_of_a_server(tmp_path):
    (tmp_path / "place").mkdir()
    make_image(tmp_path / "secret.qcow2", "qcow2")
    overlay(tmp_path / "place/web.qcow2", tmp_path / "secret.qcow2", "base.qcow2")
    (tmp_path / "place/base.qcow2").symlink_to(tmp_path / "secret.qcow2")
    machines = {m.name: m for m in source_of(tmp_path / "place", beneath=str(tmp_path / "place")).machines()}
    assert machines["web"].unreadable
    assert "symbolic link" in machines["web"].unreadable_because


def test_images_in_a_circle_and_a_base_of_unknown_format_are_refused(tmp_path):
    data = disk_bytes()
    make_image(tmp_path / "base.qcow2", "qcow2", data=data)
    overlay(tmp_path / "a.qcow2", tmp_path / "base.qcow2", "b.qcow2")
    overlay(tmp_path / "b.qcow2", tmp_path / "base.qcow2", "a.qcow2")
    make_image(tmp_path / "base.data", "raw", data=data)
    overlay(tmp_path / "c.qcow2", tmp_path / "base.data", kind="raw")
    image = tmp_path / "c.qcow2"
    image.write_bytes(image.read_bytes().replace(bytes.fromhex("e2792aca"), b"none", 1))
    said = {machine.name: machine.unreadable_because for machine in source_of(tmp_path).machines()}
    assert "based on itself" in said["a"]
    assert "based on itself" in said["b"]
    assert "doesn't say what format" in said["c"]


def test_a_provider_of_one_image_opens_no_base(tmp_path):
    make_image(tmp_path / "base.qcow2", "qcow2")
    overlay(tmp_path / "web.qcow2", tmp_path / "base.qcow2")
    with pytest.raises(InvalidInput, match="names another file"):
        source_of(tmp_path / "web.qcow2").machine("web.qcow2")


def test_an_exported_point_that_isn_t_one_is_said(tmp_path):
    (tmp_path / "machine.json").write_text('{"format": "longshore export 1", "machine": {}}')
    (machine,) = source_of(tmp_path).machines()
    assert "longshore backup export" in machine.unreadable_because
    with pytest.raises(NotFound):
        source_of(tmp_path).machine("web")


def test_of_how_its_source_was_read_an_exported_point_says_nothing(tmp_path):
    """Its files are read here and there, whatever vSphere did."""
    size = len(make_image(tmp_path / "web.qcow2", "qcow2"))
    disk = Disk("2000", "Hard disk 1", 0, size, "[ds] web/web.vmdk", "ds")
    odd = {"streamed": True, "no_way": True, "over_ssh": OverSsh("esx1.lab", pinned=False)}
    web = Machine("vm-1", "web", PowerState.ON, 1, 256, (disk,), (), platform=Platform("vsphere"), **odd)
    document = {
        "format": FORMAT,
        "machine": form(Machine).dump_python(web, mode="json"),
        "moment": "2026-05-01T02:00:00+00:00",
        "point": "web/1",
        "consistency": "crash",
        "disks": [{"key": "2000", "file": "web.qcow2"}],
    }
    (tmp_path / "machine.json").write_text(json.dumps(document))
    machine = source_of(tmp_path).machine("web")
    assert (machine.streamed, machine.no_way, machine.over_ssh) == (False, False, None)
    said = {concern.code for concern in machine_concerns(machine, MigrationRequest())}
    assert not said & {"export-begins-anew", "no-way-to-disks", "ssh-host-unknown"}
