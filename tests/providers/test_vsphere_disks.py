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


def session(libdir: str | None) -> SimpleNamespace:
    settings = VsphereSettings("vc.test", "user@test", vddk_libdir=libdir)
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
            "nbdkit's vddk plugin isn't installed",
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
