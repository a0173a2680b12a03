"""Leases of vSphere's: as long as one is held, disks go over HTTPS, to an address and a certificate that it names.

A lease ends by itself when nobody renews it. One that was to take a machine in takes all of it back then.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pyVmomi import vim, vmodl

from longshore.errors import FingerprintMismatch, LongshoreError, ProviderError, Unreachable
from longshore.providers.reaching import HttpsConnection
from longshore.providers.vsphere.certificate import (
    ServerCertificate,
    fetch_certificate,
    reaching,
    trusted_context,
)
from longshore.providers.vsphere.properties import read, wait
from longshore.providers.vsphere.session import REQUEST_TIMEOUT, VsphereSession

READY_WITHIN = 300.0  # seconds until a lease can be used
ENDS_WITHIN = 300.0  # seconds after which vSphere ends one that nobody renews
GONE_WITHIN = ENDS_WITHIN + 30.0  # seconds until what hung on such a one is gone, too
_RENEWED_EVERY = 20.0  # seconds
_PIECE = 1 << 20  # bytes that are sent at a time
_STREAM = "application/x-vnd.vmware-streamVmdk"
_State = vim.HttpNfcLease.State


@contextmanager
def held(session: VsphereSession, lease: Any, done: Callable[[], int]) -> Iterator[Any]:
    """Hold a lease, renewed, while the block runs, and yield its info as vSphere tells it; complete it then, or give it
    up if the block raises. `done` tells how much of a hundred is transferred, for vSphere's list of tasks.

    Raises vSphere's own faults, and ProviderError for one that can't be used in time.
    """
    try:
        info, ended = _info(session, lease), threading.Event()
        renewing = threading.Thread(target=_renew, args=(lease, done, ended), daemon=True)
        renewing.start()
        try:
            yield info
        finally:
            ended.set()
            renewing.join()
        lease.HttpNfcLeaseComplete()
    except BaseException:
        with suppress(vmodl.MethodFault, OSError, http.client.HTTPException):
            lease.HttpNfcLeaseAbort()
        raise


def _info(session: VsphereSession, lease: Any) -> Any:
    """Return a lease's info once it is there. Raises what has become of it else."""
    ready = wait(session, lease, ["state", "error"], lambda now: now["state"] != _State.initializing, READY_WITHIN)
    if ready is None:
        raise ProviderError(f"{session.label} didn't get ready to send or take disks in {READY_WITHIN:.0f} s.")
    if ready["state"] != _State.ready:
        raise ready["error"] or ProviderError(f"{session.label} has ended the transfer of disks.")
    return read(session, lease, ["info"])["info"]


def _renew(lease: Any, done: Callable[[], int], ended: threading.Event) -> None:
    while not ended.wait(_RENEWED_EVERY):
        # One that has ended is noticed by whoever uses it
        with suppress(vmodl.MethodFault, LongshoreError, OSError, http.client.HTTPException):
            lease.HttpNfcLeaseProgress(done())


def upload(session: VsphereSession, place: Any, disk: Path, sent: Callable[[int], None]) -> None:
    """Send a disk (VMDK, stream-optimized) to where a lease takes it. `place`: one of the lease's device URLs; `sent`
    hears how many bytes are.

    Raises Unreachable, FingerprintMismatch, AccessDenied beyond what may be reached, ProviderError.
    """
    with _connected(session, place) as (connection, target, where):
        headers = {"Content-Type": _STREAM, "Content-Length": str(disk.stat().st_size)}
        connection.request("POST", target, body=_pieces(disk, sent), headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 201):
            raise ProviderError(f"{where} didn't take the disk: it answered with HTTP {answer.status}.")


class NfcPlace(NamedTuple):
    """The place to which a device URL leads: what is asked for there, and the SHA-256 fingerprint that it has to
    show."""

    host: str
    port: int
    target: str
    fingerprint: str


def find(session: VsphereSession, place: Any) -> NfcPlace:
    """Return where a lease's device URL leads. Raises FingerprintMismatch when somebody else answers there than vSphere
    says, Unreachable, AccessDenied beyond what may be reached."""
    address = urlsplit(place.url)
    own = address.hostname in ("*", None)  # by which vSphere means the address that it was reached at
    host = session.settings.host if own else str(address.hostname)
    port = address.port or (session.settings.port if own else 443)
    fingerprint = session.certificate.sha256 if own else _told_fingerprint(session, place, host, port)
    return NfcPlace(host, port, address.path + (f"?{address.query}" if address.query else ""), fingerprint)


@contextmanager
def _connected(session: VsphereSession, place: Any) -> Iterator[tuple[HttpsConnection, str, str]]:
    """Yield a connection to where a device URL leads, the path to ask there, and how errors name it."""
    host, port, target, fingerprint = find(session, place)
    reach = session.settings.reach
    context = trusted_context(host, port, fingerprint, None, reach)
    connection = HttpsConnection(host, port, reach=reach, timeout=REQUEST_TIMEOUT, context=context)
    try:
        with reaching(host, port):
            yield connection, target, f"{host}:{port}"
    except http.client.HTTPException as error:
        raise Unreachable(f"{host}:{port} broke off or answered with HTTP {error}.") from error
    finally:
        connection.close()


def _told_fingerprint(session: VsphereSession, place: Any, host: str, port: int) -> str:
    """Return the SHA-256 fingerprint of the host's certificate that vCenter told. Raises FingerprintMismatch."""
    if certificate := getattr(place, "sslCertificate", None):  # since 9.0
        return ServerCertificate(ssl.PEM_cert_to_DER_cert(certificate)).sha256
    shown = fetch_certificate(host, port, session.settings.reach)
    if shown.sha1 != (place.sslThumbprint or "").upper():  # before, vCenter knows no other one
        raise FingerprintMismatch(
            f"{host}:{port} shows another certificate than {session.label} says it has.",
            advice="Reconnect the host in vCenter if its certificate was replaced; if not, someone may be in between.",
        )
    return shown.sha256


def _pieces(disk: Path, sent: Callable[[int], None]) -> Iterator[bytes]:
    with disk.open("rb") as opened:
        done = 0
        while piece := opened.read(_PIECE):
            yield piece
            done += len(piece)
            sent(done)
