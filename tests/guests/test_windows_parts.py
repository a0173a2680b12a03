"""What of virtio-win and rhsrvany is found, and what the command says of it."""

import json
import os
import subprocess

import pytest
from phony_windows import virtio_win

from longshore.cli.app import main
from longshore.configuration import Configuration
from longshore.guests import machine_check
from longshore.guests.iso9660 import NotAnImage, contents
from longshore.guests.machine_check import ALL_GUESTS, ConversionNeed
from longshore.guests.windows_parts import windows_parts

FOUND = ("2k19/amd64", "2k22/amd64", "2k25/amd64", "2k8r2/amd64", "w10/amd64")


@pytest.fixture
def tree(tmp_path):
    return virtio_win(tmp_path / "virtio-win", "2k19", "2k22", "2k25", "w10", "2k8R2")


def test_a_directory_or_an_iso_tells_for_which_windows_it_is(tree, tmp_path):
    iso = tmp_path / "drivers.iso"
    make = ("genisoimage", "-quiet", "-J", "-r", "-V", "virtio-win-0.1.240", "-o", iso, tree)  # of libguestfs
    subprocess.run(make, check=True)
    assert windows_parts({"VIRTIO_WIN": str(tree)}).drivers == FOUND
    found = windows_parts({"VIRTIO_WIN": str(iso)})
    assert (found.drivers, found.version, found.faults) == (FOUND, "0.1.240", ())


def test_directories_as_distributions_name_them(tmp_path):
    for place in ("amd64/Win2012R2", "amd64/w11", "x86/Win8.1", "i386/Win2003", "amd64/Win2008"):
        directory = tmp_path / "drivers" / place
        directory.mkdir(parents=True)
        (directory / "viostor.inf").touch()
    found = windows_parts({"VIRTIO_WIN": str(tmp_path)})
    assert found.drivers == ("2k12r2/amd64", "2k3/x86", "2k8/amd64", "w11/amd64", "w8.1/x86")


def test_what_is_named_and_is_not_there_is_said(tmp_path):
    (tmp_path / "not.iso").write_bytes(b"CD001" * 20000)
    found = windows_parts({"VIRTIO_WIN": "/nowhere/virtio-win.iso", "VIRT_TOOLS_DATA_DIR": str(tmp_path)})
    assert (found.virtio_win, found.first_boot) == ("", "")
    assert "there is no /nowhere/virtio-win.iso" in found.faults[0]
    assert f"is in {tmp_path}" in found.faults[1]
    assert "isn't a CD image" in windows_parts({"VIRTIO_WIN": str(tmp_path / "not.iso")}).faults[0]


@pytest.mark.parametrize("size", [0, 40 << 10, 1 << 20])
def test_a_broken_image_is_none(tmp_path, size):
    image = tmp_path / "broken.iso"
    descriptor = b"\1CD001\1".ljust(2048, b"\xff")  # whose root directory is somewhere far away
    image.write_bytes(bytes(32 << 10) + descriptor if size else b"")
    with image.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(NotAnImage):
        contents(image)


def test_the_settings_are_handed_on_with_whole_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("VIRTIO_WIN", "/elsewhere")
    monkeypatch.setenv("VIRT_TOOLS_DATA_DIR", "tools")
    monkeypatch.chdir(tmp_path)
    Configuration(virtio_win="virtio-win.iso", file=None).name_converter_parts()
    assert os.environ["VIRTIO_WIN"] == str(tmp_path / "virtio-win.iso")
    assert os.environ["VIRT_TOOLS_DATA_DIR"] == str(tmp_path / "tools")


@pytest.mark.long
@pytest.mark.parametrize(("ready", "status"), [(True, 0), (False, 1)])
def test_the_command_fails_for_what_linux_guests_need(tree, monkeypatch, capsys, ready, status):
    monkeypatch.setattr(
        machine_check, "_appliance", lambda _: ConversionNeed("appliance", ALL_GUESTS, True, "libguestfs 1.54.1")
    )
    monkeypatch.setattr(
        machine_check, "_bubblewrap", lambda: ConversionNeed("bubblewrap", ALL_GUESTS, ready, "", "It is not.")
    )
    monkeypatch.setenv("VIRTIO_WIN", str(tree))
    monkeypatch.setenv("VIRT_TOOLS_DATA_DIR", "/nowhere")
    assert main(["check", "guests", "-f", "json"]) == status
    said = capsys.readouterr()
    parts = {part["part"]: part for part in json.loads(said.out)}
    assert parts["virtio-win"]["ready"]
    assert not parts["rhsrvany"]["ready"]
    assert "Windows guests can't be converted." in said.err
    assert ("without bubblewrap" in said.err) is not ready
