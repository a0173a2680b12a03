"""A machine's disk, read or written through VMware's own disk library (VDDK) and served over NBD by nbdkit."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from longshore.blocks.exports import Export, serve_nbdkit
from longshore.errors import (
    AccessDenied,
    Conflict,
    ExportError,
    FingerprintMismatch,
    InvalidInput,
    LongshoreError,
    NotFound,
    Unreachable,
)
from longshore.model.machine import Snapshot
from longshore.providers.vsphere.certificate import fetch_certificate
from longshore.providers.vsphere.meanings import Meaning, find_meaning, with_last_words
from longshore.providers.vsphere.session import VsphereSession
from longshore.providers.vsphere.settings import VsphereSettings

# VDDK fails on reads of more than 2 MiB through a vCenter when its host is short of buffers (NFC_NO_MEMORY)
LARGEST_READ = 2 << 20  # bytes
SECTOR = "512"  # the library knows whole sectors only
# The library answers several requests at once; with one thread every read would wait for the one before. Measured with
# 5 ms a read: 2.1 s with one thread, 0.39 s with four, 0.34 s with eight, no less with sixteen
THREADS = 8
PLUGIN = "vddk"  # of nbdkit, which comes with distributions
_TOLD_WITHIN = 30.0  # seconds until nbdkit has loaded a plugin and its library
NETWORK = ("nbdssl", "nbd")  # transports that may write above a snapshot


@contextmanager
def serve(session: VsphereSession, snapshot: Snapshot, disk_key: str) -> Iterator[Export]:
    """Serve the disk as the snapshot holds it, read-only; it is open and answers.

    Raises InvalidInput when VDDK isn't set up, NotFound, AccessDenied, FingerprintMismatch, Conflict, Unreachable,
    ExportError, with VDDK's own words. A CopyError raised inside is raised with what VDDK said about its reads.
    """
    disk = snapshot.disk(disk_key)
    place = {"snapshot": snapshot.ref, "transports": session.settings.transports, "file": disk.location}
    what = f"The disk {disk.location} of {snapshot.machine_ref}"
    with _vddk(session, snapshot.machine_ref, place, "read") as export:
        _refuse_other_size(export, disk.size, what)
        with with_last_words(export, _READING, "VDDK"):
            yield export


@contextmanager
def serve_to_write(session: VsphereSession, machine_ref: str, location: str, size: int, shown: int) -> Iterator[Export]:
    """Serve the disk of a machine that is off as it is now, `location` being its newest layer, as one of `shown` bytes.
    Networks' transports alone write above a snapshot. Raises as `serve`."""
    asked = [one for one in session.settings.transports.split(":") if one in NETWORK]
    place = {"transports": ":".join(asked or NETWORK), "file": location}
    what = f"The disk {location} of {machine_ref}"
    # What lies beyond its end is read as zero, and may only be that
    beyond = {"truncate": str(shown)} if shown > size else {}
    with _vddk(session, machine_ref, place, "write") as library, ExitStack() as stack:
        try:
            # One connection to the library for all clients, who come several times
            once = {"uri": library.uri, "shared": "true", **beyond}
            filters = ("truncate",) if beyond else ()
            export = stack.enter_context(serve_nbdkit("nbd", once, filters=filters, read_only=False, threads=THREADS))
            export.probe()
        except ExportError as error:
            said = ExportError(library.last_words() or error.message)
            raise _explain(said, what, session, "write") from error
        _refuse_other_size(export, max(size, shown), what)
        export.maximum_read = LARGEST_READ
        with with_last_words(library, _READING, "VDDK"):
            yield export


@contextmanager
def _vddk(session: VsphereSession, machine_ref: str, place: dict[str, str], verb: str) -> Iterator[Export]:
    """One to write isn't open yet: the library opens a disk for each client, and for writing but once."""
    settings = session.settings
    refuse_missing(settings)
    parameters = {
        **_libdir(settings),
        "server": settings.host,
        "port": str(settings.port),
        "user": settings.username,
        "thumbprint": session.certificate.sha1,
        "vm": f"moref={machine_ref}",
        "minblock": SECTOR,
        "maxdata": str(LARGEST_READ),
        **place,
    }
    secrets = {"password": session.password}
    serving = serve_nbdkit(
        settings.vddk_plugin,
        parameters,
        filters=("blocksize",),
        read_only=verb == "read",
        threads=THREADS,
        secrets=secrets,
    )
    with ExitStack() as stack:
        try:
            export = stack.enter_context(serving)
            if verb == "read":
                export.probe()
        except ExportError as error:
            raise _explain(error, f"The disk {place['file']} of {machine_ref}", session, verb) from error
        export.maximum_read = LARGEST_READ
        yield export


def _refuse_other_size(export: Export, wanted: int, what: str) -> None:
    if (size := export.probe().size) != wanted:
        raise ExportError(f"{what} has {size} bytes as VDDK opens it, but {wanted} as vCenter tells it.")


def refuse_missing(settings: VsphereSettings) -> None:
    """Raise InvalidInput where VDDK isn't. A plugin of another name may do without it."""
    if settings.vddk_plugin == PLUGIN or settings.vddk_libdir is not None:
        library(settings.vddk_libdir)


def versions(settings: VsphereSettings) -> dict[str, str]:
    """Return which library and plugin read disks on this machine, for people; empty where none is set up. What stands
    against them is said in their place."""
    if settings.vddk_plugin == PLUGIN and settings.vddk_libdir is None:
        return {}
    libdir = [f"{name}={value}" for name, value in _libdir(settings).items()]
    words = ["nbdkit", settings.vddk_plugin, "--dump-plugin", *libdir]
    try:
        asked = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TOLD_WITHIN, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {"plugin": "nbdkit isn't installed, or doesn't answer."}
    told = dict(line.partition("=")[::2] for line in asked.stdout.splitlines())
    if asked.returncode or "version" not in told:
        said = asked.stderr.strip().removeprefix("nbdkit: error: ") or "it says nothing"
        plugin = settings.vddk_plugin
        known = find_meaning(_OF_LOADING, asked.stderr, plugin=plugin, said=said)
        return {"plugin": str(known or f"nbdkit's plugin {plugin} can't be loaded: {said}.")}
    found = {"plugin": f"{settings.vddk_plugin} {told['version']}"}
    if loaded := told.get("vddk_dll"):
        found["library"] = Path(loaded).resolve().name.rpartition(".so.")[2] or loaded
    return found


def _libdir(settings: VsphereSettings) -> dict[str, str]:
    return {} if settings.vddk_libdir is None else {"libdir": settings.vddk_libdir}


def library(libdir: str | None) -> Path:
    """Return where VDDK is. Raises InvalidInput."""
    advice = (
        "Unpack VMware's VDDK and give Longshore the directory that its lib64 is in; who can't get it reads disks "
        "through a proxy (--transport proxy), over SSH (--transport ssh), or has vSphere export them (--transport "
        "export): never warm, each as a whole, and from its first byte again when its connection breaks."
    )
    if libdir is None:
        raise InvalidInput("No VMware disk library (VDDK) is configured.", advice=advice, code="no-vddk")
    path = Path(libdir)
    if not any(path.glob("lib64/libvixDiskLib.so*")):
        raise InvalidInput(f"{libdir} has no lib64/libvixDiskLib.so.", advice=advice, code="no-vddk")
    return path


_OF_LOADING = (
    Meaning(
        r"cannot open plugin",
        InvalidInput,
        "nbdkit's plugin {plugin} isn't installed.",
        "Install nbdkit-plugin-vddk, or the plugin that the provider names.",
        "no-vddk",
    ),
    Meaning(
        r"cannot open shared object file",
        InvalidInput,
        "VMware's disk library (VDDK) can't be loaded: {said}.",
        "Check that the directory is complete and for this kind of processor. Plugins older than VDDK 9 look for "
        "libvixDiskLib.so.8 alone: beside a libvixDiskLib.so.9, make a link to it of that name.",
        "no-vddk",
    ),
)
_MEANINGS = (
    *_OF_LOADING,
    Meaning(
        r"user ?name or password|complete login",
        AccessDenied,
        "{what} can't be opened: {server} refused Longshore's login through VDDK.",
        "Check the user name and the password.",
    ),
    Meaning(
        r"insufficient permission|access rights|do not have",
        AccessDenied,
        "{what} can't be opened: Longshore's user may not {verb} it ({said}).",
        "Its role needs VirtualMachine.Provisioning.{right} and VirtualMachine.Provisioning.GetVmFiles.",
    ),
    Meaning(
        r"not found|no such file",
        NotFound,
        "{what} isn't there, or its snapshot is gone ({said}).",
        "Take a new snapshot.",
    ),
    Meaning(
        r"already in use|failed to lock|locked",
        Conflict,
        "{what} is locked by another program ({said}).",
        "Wait for other backups of the machine to end.",
        "file-locked",
    ),
    Meaning(
        r"connect to (the )?(host|server)|connection",
        Unreachable,
        "{what} can't be opened: VDDK can't reach {server} or its ESXi host ({said}).",
        "Open TCP port 443 to the vCenter and 902 to every ESXi host.",
    ),
)
_SAID = re.compile(r"error: (?:VixDiskLib_\w+: )?([^;]+)")
_READING = re.compile(r"error: ([^;]*(?:read|Read|extents|QueryAllocatedBlocks)[^;]*)")


_RIGHTS = {"read": "DiskRandomRead", "write": "DiskRandomAccess"}


def _explain(error: ExportError, what: str, session: VsphereSession, verb: str = "read") -> LongshoreError:
    """Put what nbdkit printed into one sentence: which of the many things that VDDK doesn't say in so many words."""
    said = _SAID.findall(error.message)
    text = (said[0] if said else error.message).strip().rstrip(".")
    of_disk = {"what": what, "verb": verb, "right": _RIGHTS[verb], "server": session.label}
    filled = {**of_disk, "said": text, "plugin": session.settings.vddk_plugin}
    if known := find_meaning(_MEANINGS, error.message, **filled):
        return known
    thumbprint = session.certificate.sha1
    # VDDK's answer to a certificate it wasn't told to expect is "Unknown error", as to much else
    shown = fetch_certificate(session.settings.host, session.settings.port, session.settings.reach).sha1
    if shown != thumbprint:
        return FingerprintMismatch(
            f"{what} can't be opened: {session.label} shows another certificate than the one Longshore logged in with "
            f"(SHA-1 {shown} instead of {thumbprint}).",
            advice="If the certificate was replaced on purpose, pin the new fingerprint.",
        )
    return ExportError(
        f"{what} can't be opened; VDDK says: {text}.",
        advice="Longshore's user may lack the right to read disks, or port 902 of the ESXi host may be closed.",
    )
