"""The converter: what runs in it, which one is used, and what a machine without one says."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

import longshore
from longshore.cli.app import main
from longshore.errors import ConversionError, InvalidInput, LongshoreError
from longshore.guests import machine_check, start
from longshore.guests.confined import GuestLimits, run_confined
from longshore.guests.converter import build, updates
from longshore.guests.converter.tree import Converter, current, in_use
from longshore.guests.start import Started, start_appliance
from longshore.processes import debian
from longshore.processes.launcher import Sandbox

# What runs in the converter's own Python, which may be newer than this one
IMPORTS = """
import importlib, json, pkgutil, sys
import longshore.guests.work, longshore.blocks.exports, longshore.model, longshore.errors
for found in pkgutil.iter_modules(longshore.model.__path__, "longshore.model."):
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as missing:
        if missing.name.startswith("longshore"):
            raise
print(json.dumps({"result": {"version": sys.version_info[:2], "guestfs": sys.modules["guestfs"].__file__}}))
"""


def test_its_own_python_runs_what_works_on_guests():
    code = {f"/code/{package.__name__}": Path(package.__file__).parent for package in (longshore, yaml)}
    sandbox = Sandbox(GuestLimits(60.0), files=code, environment={"PYTHONPATH": "/code"}, root=current().root)
    said = run_confined(sandbox, ("/usr/bin/python3", "-c", IMPORTS), {}, print)
    assert said["guestfs"].startswith("/usr/lib/python3/")  # the converter's, not this environment's
    assert said["version"] >= [3, 13]


@pytest.mark.long
def test_an_appliance_starts_in_it():
    started = start_appliance()
    assert not started.by_kvm  # the tests' own environment says so
    assert current().version("libguestfs0t64") == started.library


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Of converters, empty."""
    place = tmp_path / "converters"
    place.mkdir()
    monkeypatch.setenv("LONGSHORE_CONVERTER", str(place))
    return place


def made_up(place: Path, recipe: str = "0123", **packages: str) -> Path:
    """A tree that has records, and nothing else."""
    (place / "converter/appliance").mkdir(parents=True)
    place.chmod(0o755)
    for name in ("usr/bin", "var/lib/dpkg"):
        (place / name).mkdir(parents=True)
    (place / "converter/recipe").write_text(f"{recipe}\n")
    (place / "converter/made").write_text("1764115200\n")
    (place / "converter/packages").write_text("".join(f"{name} {version}\n" for name, version in packages.items()))
    return place


def packed(root: Path, file: Path) -> Path:
    subprocess.run(["tar", "-C", root, "--zstd", "-cf", file, "."], check=True)
    return file


@pytest.fixture
def starts(monkeypatch):
    monkeypatch.setattr(build, "start_appliance", lambda _: Started(3.0, "1.54.1", by_kvm=True))


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="converters belong to root")


@root_only
def test_what_was_exported_is_unpacked_and_used(directory, starts, tmp_path):
    tree = made_up(directory / "current", **{"virt-v2v": "2.6.0-1", "libguestfs0t64": "1:1.54.1-2+deb13u1"})
    build.export(tmp_path / "converter.tar.zst")
    shutil.rmtree(tree)
    assert main(["converter", "unpack", str(tmp_path / "converter.tar.zst"), "-f", "json"]) == 0
    found = current()
    assert (found.version("virt-v2v"), found.version("libguestfs0t64")) == ("2.6.0", "1.54.1")
    assert (directory / "current").is_symlink()


@root_only
def test_one_whose_appliance_does_not_start_is_not_taken(directory, starts, tmp_path, monkeypatch):
    build.unpack(packed(made_up(tmp_path / "old", "old"), tmp_path / "old.tar.zst"), print)
    used = current()
    monkeypatch.undo()
    monkeypatch.setenv("LONGSHORE_CONVERTER", str(directory))
    (tree := made_up(tmp_path / "new", "new"), tree.joinpath("usr/bin/python3").write_text("no program"))
    with pytest.raises(ConversionError):
        build.unpack(packed(tree, tmp_path / "new.tar.zst"), print)
    assert current() == used
    assert sorted(path.name for path in directory.iterdir()) == sorted(["current", used.root.name])


@root_only
def test_an_old_one_stays_until_nobody_works_in_it(directory, starts, tmp_path, monkeypatch):
    monkeypatch.setattr(build.time, "strftime", lambda *_: next(moments))
    moments = iter(["first", "second", "third"])
    file = packed(made_up(tmp_path / "tree"), tmp_path / "tree.tar.zst")
    first = build.unpack(file, print).converter.root
    with in_use() as used:
        assert used.root == first
        second = build.unpack(file, print).converter.root
        assert first.is_dir()
        assert current().root == second
    third = build.unpack(file, print).converter.root
    assert [path for path in directory.iterdir() if not path.is_symlink()] == [third]


@root_only
def test_one_of_the_same_recipe_is_not_built_again(directory):
    made_up(directory / "current", build.recipe_digest())
    assert build.build(print).started is None


def test_a_file_that_is_none_is_refused(directory, tmp_path, capsys):
    (tmp_path / "none").write_text("nothing")
    assert main(["converter", "unpack", str(tmp_path / "missing")]) == 1
    assert "There is no file" in capsys.readouterr().err
    if os.geteuid() == 0:
        assert main(["converter", "unpack", str(tmp_path / "none")]) == 1
        assert "tar failed" in capsys.readouterr().err
        assert list(directory.iterdir()) == []


@root_only
def test_what_a_machine_lacks_to_unpack_one_is_named(directory, starts, tmp_path, monkeypatch, capsys):
    file = packed(made_up(tmp_path / "one"), tmp_path / "converter.tar.zst")
    monkeypatch.setattr("longshore.guests.converter.build.shutil.which", lambda _program: None)
    assert main(["converter", "unpack", str(file)]) == 1
    assert "by zstd, which isn't installed here. Run, as root: apt-get install zstd." in capsys.readouterr().err
    assert list(directory.iterdir()) == []


def test_one_that_others_may_change_is_not_run(directory):
    made_up(directory / "current").chmod(0o777)
    with pytest.raises(ConversionError, match="can be changed by others than root") as caught:
        current()
    assert caught.value.code == "no-converter"


def test_mirrors_are_those_of_this_machine_for_the_suites_of_the_converter(monkeypatch):
    known = [
        debian.DebianArchive("Debian", "bookworm", "http://mirror.example/debian/"),
        debian.DebianArchive("Debian", "bookworm-updates", "http://mirror.example/debian/"),
        debian.DebianArchive("Debian-Security", "bookworm-security", "http://mirror.example/security/"),
        debian.DebianArchive("Debian Backports", "bookworm-backports", "http://elsewhere.example/"),
    ]
    monkeypatch.setattr(build, "known_archives", lambda: known)
    lines = [line.partition("] ")[2] for line in build.sources().splitlines()]
    assert lines == [
        "http://mirror.example/debian/ trixie main",
        "http://mirror.example/debian/ trixie-updates main",
        "http://mirror.example/security/ trixie-security main",
    ]
    monkeypatch.setattr(build, "known_archives", list)
    with pytest.raises(InvalidInput, match="knows no mirror of Debian") as caught:
        build.sources()
    assert "longshore converter unpack FILE" in caught.value.advice


def repository(place: Path, version: str) -> str:
    """A line for apt: a mirror with one package of that version."""
    place.mkdir()
    (place / "Packages").write_text(
        f"Package: libxml2\nVersion: {version}\nArchitecture: amd64\nFilename: x.deb\nSize: 1\n"
        "Maintainer: x\nDescription: x\n"
    )
    return f"deb [trusted=yes] file:{place} ./ # -security\n"


@pytest.mark.parametrize(("there", "told"), [("2.12-2", ["libxml2"]), ("2.12-1", [])])
def test_security_updates_that_wait_are_told(tmp_path, monkeypatch, there, told):
    tree = made_up(tmp_path / "tree")
    (tree / "var/lib/dpkg/status").write_text(
        "Package: libxml2\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.12-1\nMaintainer: x\n"
        "Description: x\n\n"
    )
    line = repository(tmp_path / "mirror", there)
    monkeypatch.setattr(updates, "sources", lambda: line)
    assert updates.waiting(Converter(tree, "", 0.0, {})) == told


@contextmanager
def parts(monkeypatch, capsys):
    """What the command says of each part; its exit code."""
    status = main(["check", "guests", "-f", "json"])
    said = json.loads(capsys.readouterr().out)
    yield {part["part"]: part for part in said}, status


def test_a_machine_without_one_is_not_ready(directory, monkeypatch, capsys):
    with parts(monkeypatch, capsys) as (found, status):
        assert status == 1
        assert not found["converter"]["ready"]
        assert "longshore converter build" in found["converter"]["remark"]


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (lambda: ["libxml2", "qemu", "zlib", "perl", "bash"], "wait for libxml2, qemu, zlib, perl and 1 more: run lo"),
        (list, "No security updates wait."),
    ],
)
def test_the_command_says_which_one_is_there(directory, monkeypatch, capsys, which, said):
    tree = made_up(directory / "current", build.recipe_digest(), **{"virt-v2v": "2.6.0-1"})
    (tree / "usr/bin/virt-v2v-in-place").write_bytes(b"\0".join([b"", b"w11", b"2k19", b"", b"2k22", b""]))
    monkeypatch.setattr(machine_check, "waiting", lambda _: which())
    monkeypatch.setattr(machine_check, "start_appliance", lambda _: Started(3.0, "1.54.1", by_kvm=True))
    with parts(monkeypatch, capsys) as (found, status):
        assert status == 0
        assert found["converter"]["version"] == "virt-v2v 2.6.0"
        assert "Debian's packages of 2025-11-26." in found["converter"]["remark"]
        assert said in found["converter"]["remark"]
        assert "It has no drivers for Windows of 2k25." in found["converter"]["remark"]
        assert found["appliance"]["remark"] == "Started in 3 s, by KVM."


# Only here could /dev/kvm be opened, while nothing boots by it
def test_a_kvm_that_boots_nothing_is_done_without(directory, monkeypatch, capsys):
    made_up(directory / "current", build.recipe_digest())
    tried = []

    def started(_root, *, by_kvm):
        tried.append(by_kvm)
        if by_kvm:
            raise ConversionError("It took longer than 60 s, the most it may; it was ended.")
        return Started(30.0, "1.54.1", by_kvm=False)

    monkeypatch.setattr(start, "may_try_kvm", lambda: True)
    monkeypatch.setattr(start, "_started", started)
    monkeypatch.setattr(start, "_kvm_boots", None)
    monkeypatch.setattr(machine_check, "waiting", lambda _: [])
    with parts(monkeypatch, capsys) as (found, status):
        assert status == 0
        assert "/dev/kvm can be opened, but nothing boots by it" in found["appliance"]["remark"]
    assert start.acceleration() == start.acceleration() == {"LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}
    assert tried == [True, False, True]  # who works on guests tries it once


def test_an_appliance_that_does_not_start_is_not_ready(directory, monkeypatch, capsys):
    made_up(directory / "current", build.recipe_digest())

    def started(_root):
        raise LongshoreError("It didn't start.")

    monkeypatch.setattr(machine_check, "waiting", lambda _: [])
    monkeypatch.setattr(machine_check, "start_appliance", started)
    with parts(monkeypatch, capsys) as (found, status):
        assert status == 1
        assert (found["appliance"]["ready"], found["appliance"]["remark"]) == (False, "It didn't start.")
