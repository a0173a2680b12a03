"""Asking how this machine stands as one of three: whether it has the virtual address, what its PostgreSQL does, and
when the certificates end that its services show.
"""

import socket
import ssl
import struct
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException, HTTPSConnection
from itertools import pairwise
from pathlib import Path

from cryptography import x509

from longshore.model.strict_reading import Misread, read_json

AWAY, PRIMARY, STANDBY = "away", "primary", "standby"  # what a machine's PostgreSQL does
AUTHORITY = "authority"
_PATRONI = 8008
_ROUTES = Path("/proc/net/fib_trie")
_WITHIN = 2.0  # seconds for each question
# The services that show a certificate. PostgreSQL is asked first whether it speaks TLS
_SHOW = {"server": 9797, "haproxy": 443, "etcd": 2379, "patroni": _PATRONI, "postgresql": 5432}
_MAY_WE_SPEAK_TLS = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True, slots=True)
class NodePlace:
    """The place of a machine among those that serve together, with the files by which they know it."""

    name: str
    address: str
    virtual: str
    authority: Path  # PEM file, of whom all of them trust
    certificate: Path  # PEM files that etcd lets in
    private_key: Path


def has_address(address: str) -> bool:
    """Tell whether this machine has an IPv4 address now."""
    # As the kernel's routes have it. Binding it wouldn't tell: net.ipv4.ip_nonlocal_bind, which people set for HAProxy,
    # allows that everywhere
    lines = _ROUTES.read_text().splitlines()
    return any(line.strip() == f"|-- {address}" and "host LOCAL" in kinds for line, kinds in pairwise(lines))


def database_of(place: NodePlace) -> str:
    """Return what the machine's PostgreSQL does, as Patroni says: PRIMARY, STANDBY if it follows one, or AWAY."""
    context = ssl.create_default_context(cafile=place.authority)
    with closing(HTTPSConnection(place.address, _PATRONI, timeout=_WITHIN, context=context)) as connection:
        try:
            connection.request("GET", "/patroni")
            said = read_json(connection.getresponse().read(1 << 20))
        except (OSError, HTTPException, Misread):
            return AWAY
    if not isinstance(said, dict) or said.get("state") != "running":
        return AWAY
    if said.get("role") == "primary":
        return PRIMARY
    return STANDBY if said.get("replication_state") == "streaming" else AWAY


def certificates_of(place: NodePlace) -> dict[str, datetime]:
    """Return by service when the certificate ends that it shows, and by AUTHORITY when that of the authority does.

    Services that don't answer are left out. A certificate that was renewed counts when the service shows it.
    """
    found = {}
    with suppress(OSError, ValueError):
        found[AUTHORITY] = x509.load_pem_x509_certificate(place.authority.read_bytes()).not_valid_after_utc
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # also of one that has ended it is to be known when
    with suppress(OSError):
        context.load_cert_chain(place.certificate, place.private_key)
    for service, port in _SHOW.items():
        with suppress(OSError, ValueError):
            found[service] = _shown(place.address, port, context, asks=service == "postgresql")
    return found


def _shown(address: str, port: int, context: ssl.SSLContext, *, asks: bool) -> datetime:
    """Return when the certificate ends that a service shows. Raises OSError, or ValueError when it can't be read."""
    with socket.create_connection((address, port), timeout=_WITHIN) as plain:
        if asks:
            plain.sendall(_MAY_WE_SPEAK_TLS)
            if plain.recv(1) != b"S":
                raise ConnectionError("it doesn't speak TLS")
        with context.wrap_socket(plain) as connection:
            shown = connection.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown or b"").not_valid_after_utc
