"""Opening disks: what has to be there, and VDDK's riddles in plain words."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from longshore.errors import (
    AccessDenied,
    Conflict,
    ExportError,
    FingerprintMismatch,
    InvalidInput,
    NotFound,
    Unreachable,
)
from longshore.model.machine import Snapshot, SnapshotDisk
from longshore.providers.vsphere import disks
from longshore.providers.vsphere.certificate import ServerCertificate
from longshore.providers.vsphere.settings import VsphereSettings

SNAPSHOT = Snapshot("snapshot-2", "vm-1", "s", (SnapshotDisk("2000", "[ds] a/a.vmdk", 1 << 20, None),))
CERTIFICATE = ServerCertificate(b"the one we know")


def session(libdir: str | None, **said: str) -> SimpleNamespace:
    settings = VsphereSettings("vc.test", "user@test", vddk_libdir=libdir, **said)
    return SimpleNamespace(settings=settings, label="vc.test", password="secret", certificate=CERTIFICATE)


def test_without_a_library():
    with (
        pytest.raises(InvalidInput, match="No VMware disk library") as caught,
        disks.serve(session(None), SNAPSHOT, "2000"),
    ):
        pass
    assert caught.value.code == "no-vddk"
    assert "--transport ssh" in (caught.value.advice or ""), "not everybody can get the library"


def test_a_directory_without_the_library(tmp_path):
    with pytest.raises(InvalidInput, match="has no lib64"), disks.serve(session(str(tmp_path)), SNAPSHOT, "2000"):
        pass


def test_a_copy_is_told_how_much_one_read_may_ask_for(tmp_path, monkeypatch):
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libvixDiskLib.so.8").touch()
    served = SimpleNamespace(probe=lambda: SimpleNamespace(size=1 << 20), last_words=lambda: "")
    monkeypatch.setattr(disks, "serve_nbdkit", lambda *_args, **_options: nullcontext(served))
    with disks.serve(session(str(tmp_path)), SNAPSHOT, "2000") as export:
        assert export.maximum_read == 2 << 20


def test_a_plugin_of_another_name_is_given_the_same_and_may_do_without_the_library(monkeypatch):
    served = SimpleNamespace(probe=lambda: SimpleNamespace(size=1 << 20), last_words=lambda: "")
    asked = []
    monkeypatch.setattr(disks, "serve_nbdkit", lambda *words, **_options: asked.append(words) or nullcontext(served))
    with disks.serve(session(None, vddk_plugin="nfc"), SNAPSHOT, "2000"):
        pass
    ((plugin, parameters),) = asked
    assert (plugin, parameters["vm"], parameters["snapshot"]) == ("nfc", "moref=vm-1", "snapshot-2")
    assert parameters["thumbprint"] == CERTIFICATE.sha1, "who is connected to is pinned, whichever plugin it is"
    assert "libdir" not in parameters


@pytest.mark.parametrize("name", ["", "/tmp/own.so", "../own", "vddk --run", "vddk;"])
def test_what_is_no_name_of_a_plugin_is_refused(name):
    with pytest.raises(InvalidInput, match="isn't the name of a plugin of nbdkit"):
        session(None, vddk_plugin=name)


def nbdkit_says(tmp_path, monkeypatch, text, code=0):
    """Have the program nbdkit say this when it is asked about a plugin."""
    (tmp_path / "nbdkit").write_text(f"#!/bin/sh\n{text}\nexit {code}\n")
    (tmp_path / "nbdkit").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_a_check_names_the_versions_of_plugin_and_library(tmp_path, monkeypatch):
    (tmp_path / "libvixDiskLib.so.8.0.3").touch()
    (tmp_path / "libvixDiskLib.so.8").symlink_to("libvixDiskLib.so.8.0.3")
    said = f'[ "$*" = "vddk --dump-plugin libdir={tmp_path}" ] && echo version=1.42.2'
    nbdkit_says(tmp_path, monkeypatch, f"{said} && echo vddk_dll={tmp_path}/libvixDiskLib.so.8")
    assert disks.versions(session(str(tmp_path)).settings) == {"plugin": "vddk 1.42.2", "library": "8.0.3"}
    assert disks.versions(session(None).settings) == {}, "nothing is set up"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("nbdkit: error: cannot open plugin 'vddk': no such file", "isn't installed"),
        ("nbdkit: error: libvixDiskLib.so.8: cannot open shared object file: no such file", "libvixDiskLib.so.9"),
        ("nbdkit: error: oops", "nbdkit's plugin vddk can't be loaded: oops."),
    ],
)
def test_a_check_says_which_of_them_do_not_go_together(tmp_path, monkeypatch, said, told):
    nbdkit_says(tmp_path, monkeypatch, f'echo "{said}" >&2', 1)
    assert told in disks.versions(session(str(tmp_path)).settings)["plugin"]


def test_a_check_without_nbdkit_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "nbdkit isn't installed" in disks.versions(session(str(tmp_path)).settings)["plugin"]


# What nbdkit 1.32 with its vddk plugin 1.42 prints, as Export.probe() and serve_nbdkit() raise it
OPEN = (
    "nbdkit (plugin vddk) runs, but refuses to open its disk: "
    "nbdkit: vddk[1]: error: VixDiskLib_Open: [ds] a/a.vmdk: {}"
)


@pytest.mark.parametrize(
    ("printed", "error", "sentence"),
    [
        (OPEN.format("Incorrect user name or password"), AccessDenied, "vc.test refused Longshore's login"),
        (OPEN.format("You do not have access rights to this file"), AccessDenied, "may not read it"),
        (OPEN.format("Insufficient permissions in the host operating system"), AccessDenied, "may not read it"),
        (OPEN.format("A file was not found"), NotFound, "isn't there, or its snapshot is gone"),
        (OPEN.format("The file is already in use"), Conflict, "locked by another program"),
        (OPEN.format("Cannot connect to host"), Unreachable, "can't reach vc.test or its ESXi host"),
        (
            "nbdkit (plugin vddk) couldn't be started (exit status 1): nbdkit: error: cannot open plugin 'vddk': "
            "/usr/lib/x86_64-linux-gnu/nbdkit/plugins/nbdkit-vddk-plugin.so: cannot open shared object file: "
            "No such file or directory; Use 'nbdkit --help' or read the nbdkit(1) manual page for documentation.",
            InvalidInput,
            "nbdkit's plugin vddk isn't installed",
        ),
        (
            "nbdkit (plugin vddk) couldn't be started (exit status 1): nbdkit: error: /opt/v/lib64/libvixDiskLib.so.8: "
            "cannot open shared object file: No such file or directory; If 'lib64/libvixDiskLib.so.8' is located on",
            InvalidInput,
            "can't be loaded: /opt/v/lib64/libvixDiskLib.so.8: cannot open shared object file",
        ),
    ],
)
def test_plain_words(printed, error, sentence):
    explained = disks._explain(ExportError(printed), "The disk [ds] a/a.vmdk of vm-1", session("/x"))
    assert type(explained) is error
    assert sentence in explained.message
    assert explained.advice


def test_a_plugin_that_knows_no_vddk_9():
    printed = (
        "nbdkit (plugin vddk) couldn't be started (exit status 1): nbdkit: error: libvixDiskLib.so.8: "
        "cannot open shared object file: No such file or directory"
    )
    explained = disks._explain(ExportError(printed), "The disk [ds] a/a.vmdk of vm-1", session("/x"))
    assert explained.code == "no-vddk"
    assert "beside a libvixDiskLib.so.9, make a link to it of that name" in (explained.advice or "")


def test_a_library_of_version_9_is_found(tmp_path):
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libvixDiskLib.so.9").touch()
    assert disks.library(str(tmp_path)) == tmp_path


def test_unknown_error_is_looked_into(monkeypatch):
    """VDDK says "Unknown error" for a certificate that isn't the expected one, and for many other things."""
    error = ExportError(OPEN.format("Unknown error"))
    what = "The disk [ds] a/a.vmdk of vm-1"
    monkeypatch.setattr(disks, "fetch_certificate", lambda host, port, reach: ServerCertificate(b"another"))
    swapped = disks._explain(error, what, session("/x"))
    assert type(swapped) is FingerprintMismatch
    assert CERTIFICATE.sha1 in swapped.message
    monkeypatch.setattr(disks, "fetch_certificate", lambda host, port, reach: CERTIFICATE)
    other = disks._explain(error, what, session("/x"))
    assert type(other) is ExportError
    assert "VDDK says: [ds] a/a.vmdk: Unknown error" in other.message
