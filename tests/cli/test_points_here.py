"""Points of a vault for other tools, as one asks for them: served over NBD, and exported as files."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from in_process import longshore
from longshore.model.forms import form
from longshore.model.machine import Disk, Machine, PowerState, ServerSettings
from longshore.model.platform import Platform
from longshore.vault.directory import Directory
from longshore.vault.disks import NewDisk
from longshore.vault.geometry import BLOCK, Top
from longshore.vault.packs import name_of
from longshore.vault.points import Point, folder_of, new_name
from longshore.vault.points import points as all_points
from longshore.vault.vault import Vault
from longshore.vault.writers import finish, leave, register
from point_in_vault import with_point as any_point

pytestmark = pytest.mark.long

PHRASE = "as long as a sentence"
SECRET = "what the server was told at its first boot"
SIZE = 64 * BLOCK
COMMAND = Path(sys.executable).with_name("longshore")
WORDS = {"2000": b"the first disk" * 1000, "2001": b"and the second" * 500}


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Of an installation that knows an encrypted vault, `offsite`, with a point of a machine with two disks."""
    place = tmp_path_factory.mktemp("installation")
    (place / "phrase").write_text(PHRASE)
    words = ("vault", "create", "offsite", place / "vault", "--pass-phrase-file", place / "phrase")
    assert longshore(place / "state", *words).returncode == 0
    with_point(Vault.open(Directory(place / "vault"), "write", PHRASE), place)
    return place / "state"


@pytest.fixture
def damaged(state):
    """A bit of each pack is another one, while the test runs."""
    packs = {path: path.read_bytes() for path in (state.parent / "vault/packs").rglob("*.pack")}
    for path, data in packs.items():
        path.chmod(0o600)
        path.write_bytes(data[: len(data) // 3] + bytes((data[len(data) // 3] ^ 1,)) + data[len(data) // 3 + 1 :])
    yield
    for path, data in packs.items():
        path.write_bytes(data)


def with_point(vault, directory):
    register(vault, "w", ())
    tops = {}
    for key, word in WORDS.items():
        disk = NewDisk(vault, Top(SIZE, None), directory / f"journal-{key}")
        disk.write(3 * BLOCK, word)
        tops[key] = disk.finish()
        disk.close()
    disks = tuple(Disk(key, f"Hard disk {n}", n - 1, SIZE, "[ds] web", "ds") for n, key in enumerate(WORDS, 1))
    settings = ServerSettings(key_name="my-key", user_data=SECRET)
    machine = Machine(
        "vm-1", "web", PowerState.ON, 2, 256, disks, (), platform=Platform("vsphere"), server_settings=settings
    )
    content = {"machine": form(Machine).dump_python(machine, mode="json"), "consistency": "crash", "power": "on"}
    name, now = new_name(folder_of(vault, "web"), datetime.now(UTC)), datetime.now(UTC)
    finish(vault, "w", Point(name, now, tops, content))
    leave(vault, "w")


def held(key):
    return WORDS[key].rjust(3 * BLOCK + len(WORDS[key]), b"\0").ljust(SIZE, b"\0")


def asked(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=60).stdout


def as_raw(image, tmp_path, image_format):
    raw = tmp_path / "foreign.raw"
    asked("qemu-img", "convert", "-f", image_format, "-O", "raw", image, raw)
    return raw.read_bytes()


@pytest.mark.parametrize(("where", "end"), [((), signal.SIGINT), (("--port", "0"), signal.SIGTERM)])
def test_a_disk_is_served_read_only_to_foreign_tools_until_it_is_told_to_end(state, tmp_path, where, end):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    words = ("backup", "serve", "web", "--vault", "offsite", "--disk", "2", *where)
    serving = subprocess.Popen(
        [COMMAND, "--state", state, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        uri = serving.stdout.readline().strip()
        assert uri, serving.stderr.read()
        assert uri.startswith("nbd://127.0.0.1:" if where else f"nbd+unix:///?socket={temporary}/")
        assert as_raw(uri, tmp_path, "raw") == held("2001")
        asked("nbdcopy", uri, tmp_path / "copied")
        assert (tmp_path / "copied").read_bytes() == held("2001")
        assert json.loads(asked("nbdinfo", "--json", uri))["exports"][0]["is_read_only"] is True
        serving.send_signal(end)
        _, said = serving.communicate(timeout=60)
    finally:
        serving.kill()
        serving.wait()
    assert (serving.returncode, list(temporary.iterdir())) == (0, []), said
    assert subprocess.run(["nbdinfo", uri], capture_output=True, check=False, timeout=60).returncode != 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve", "web"), "has 2 disks. Say which one"),
        (("serve", "web", "--disk", "3"), "has no disk 3: it has 2"),
        (("serve", "web", "--disk", "0"), "has no disk 0: it has 2"),
        (("serve", "web", "--disk", "1", "--port", "65536"), '"65536" is no port'),
        (("serve", "mail", "--disk", "1"), "There is no point mail"),
        (("export", "mail", "out"), "There is no point mail"),
    ],
)
def test_what_cannot_be_served_or_exported_is_said_in_a_sentence(state, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    refused = longshore(state, "backup", *words, "--vault", "offsite")
    assert refused.returncode != 0
    assert said in refused.stderr
    assert refused.stdout == ""
    assert not (tmp_path / "out").exists()


def test_no_server_is_asked_for_what_is_in_a_vault(state):
    refused = longshore(state, "--server", "http://127.0.0.1:9", "backup", "serve", "web", "--vault", "offsite")
    assert refused.returncode != 0
    assert "not through a server" in refused.stderr


def test_an_export_is_read_by_foreign_tools_and_describes_the_machine(state, tmp_path):
    out = tmp_path / "out"
    done = longshore(state, "backup", "export", "web", "--vault", "offsite", out, "-f", "json")
    assert done.returncode == 0, done.stderr
    assert [(row["File"], row["Size"]) for row in json.loads(done.stdout)] == [
        ("disk-1.qcow2", SIZE),
        ("disk-2.qcow2", SIZE),
    ]
    told = json.loads((out / "machine.json").read_text())
    assert (told["format"], told["consistency"], told["machine"]["name"]) == ("longshore export 1", "crash", "web")
    assert told["machine"]["server_settings"]["key_name"] == "my-key"
    assert SECRET not in (out / "machine.json").read_text()
    for disk in told["disks"]:
        image = out / disk["file"]
        asked("qemu-img", "check", "-f", "qcow2", image)
        assert as_raw(image, tmp_path, "qcow2") == held(disk["key"])
        assert image.stat().st_blocks * 512 < SIZE // 8
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (out, *out.iterdir())}
    assert modes == {"out": 0o700, "disk-1.qcow2": 0o600, "disk-2.qcow2": 0o600, "machine.json": 0o600}


@pytest.fixture
def history(tmp_path):
    """Make four points of a machine, and return what its disk held at each: changed, with a block less, changed again
    and grown, changed at its end."""
    first = bytearray(os.urandom(64 * BLOCK))
    second = bytearray(first)
    second[3 * BLOCK : 4 * BLOCK], second[10 * BLOCK : 11 * BLOCK] = os.urandom(BLOCK), bytes(BLOCK)
    third = second + os.urandom(2 * BLOCK + 1024)
    third[3 * BLOCK : 4 * BLOCK] = os.urandom(BLOCK)
    fourth = bytearray(third)
    fourth[-10:] = b"the end of"
    vault = Vault.create(Directory(tmp_path / "vault"), None)
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    for day, content in enumerate((first, second, third, fourth)):
        any_point(vault, tmp_path, "web", begin + timedelta(days=day), bytes(content))
    any_point(vault, tmp_path, "another", begin, b"x")
    words = ("provider", "add", "vault", "offsite", "--directory", tmp_path / "vault")
    assert longshore(tmp_path / "state", *words).returncode == 0
    return [bytes(content) for content in (first, second, third, fourth)]


def test_a_chain_of_a_machines_points_may_be_moved_and_is_read_by_foreign_tools(history, tmp_path):
    words = ("backup", "export", "web", tmp_path / "out", "--vault", "offsite", "--chain", "-f", "json")
    done = longshore(tmp_path / "state", *words)
    assert done.returncode == 0, done.stderr
    assert [row["Size"] for row in json.loads(done.stdout)] == [len(content) for content in history]
    (tmp_path / "out").rename(tmp_path / "moved")
    folders = sorted((tmp_path / "moved").iterdir())
    for folder, content in zip(folders, history, strict=True):
        image = folder / "disk-1.qcow2"
        asked("qemu-img", "check", "-f", "qcow2", image)
        assert as_raw(image, tmp_path, "qcow2") == content
        assert json.loads((folder / "machine.json").read_text())["point"].endswith(folder.name)
    told = [json.loads(asked("qemu-img", "info", "--output=json", folder / "disk-1.qcow2")) for folder in folders]
    assert [one.get("backing-filename") for one in told] == [
        None,
        f"../{folders[0].name}/disk-1.qcow2",
        None,
        f"../{folders[2].name}/disk-1.qcow2",
    ]
    assert [one["actual-size"] < 8 * BLOCK for one in told] == [False, True, False, True], "only what is new"


@pytest.mark.parametrize("whole", [[2, 3, 4], [1, 3, 4], [1, 2, 3], []])
def test_a_chain_is_without_points_that_are_damaged_and_tells_them(history, tmp_path, whole):
    vault = Vault.open(Directory(tmp_path / "vault"), "write", None)
    points = {one.moment.day: one for one in all_points(vault) if one.content["machine"]["name"] == "web"}
    damaged = points.keys() - set(whole)
    for day in damaged:
        pack = vault.store.root / name_of(points[day].disks["2000"].entry.pack)
        pack.chmod(0o600)
        pack.write_bytes(bytes(pack.stat().st_size))
    out = tmp_path / "out"
    failed = longshore(tmp_path / "state", "backup", "export", "web", out, "--vault", "offsite", "--chain")
    assert (failed.returncode, "pack" in failed.stderr) == (1, True), failed.stderr
    assert out.exists() is bool(whole)
    assert not whole or all(points[day].name in failed.stderr for day in damaged)
    folders = sorted(out.iterdir()) if whole else []
    assert [folder.name for folder in folders] == [points[day].name.rpartition("/")[2] for day in whole]
    for folder, day in zip(folders, whole, strict=True):
        assert as_raw(folder / "disk-1.qcow2", tmp_path, "qcow2") == history[day - 1]


def test_a_directory_with_something_in_it_is_left_as_it_is(state, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    refused = longshore(state, "backup", "export", "web", "--vault", "offsite", out)
    assert refused.returncode != 0
    assert "isn't an empty directory" in refused.stderr
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("mine", "mine")]


@pytest.mark.usefixtures("damaged")
@pytest.mark.parametrize("there", [True, False])
def test_an_export_of_a_damaged_point_says_so_and_leaves_nothing(state, tmp_path, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    failed = longshore(state, "backup", "export", "web", "--vault", "offsite", out)
    assert failed.returncode != 0
    assert "pack" in failed.stderr
    assert list(out.iterdir()) == [] if there else not out.exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_broken_off_leaves_nothing(state, tmp_path, end):
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "qemu-img").write_text(
        f'#!/bin/sh\nfor last; do :; done\necho half > "$last"\ntouch {tmp_path}/begun\nexec sleep 600\n'
    )
    (slow / "qemu-img").chmod(0o755)
    out = tmp_path / "out"
    exporting = subprocess.Popen(
        [COMMAND, "--state", state, "backup", "export", "web", "--vault", "offsite", out],
        stderr=subprocess.PIPE,
        env={**os.environ, "PATH": f"{slow}:{os.environ['PATH']}"},
    )
    try:
        while not (tmp_path / "begun").exists():
            assert exporting.poll() is None, exporting.stderr.read()
            time.sleep(0.02)
        assert (out / "disk-1.qcow2").read_text() == "half\n"
        exporting.send_signal(end)
        exporting.communicate(timeout=60)
    finally:
        exporting.kill()
        exporting.wait()
    assert exporting.returncode != 0
    assert not out.exists()
