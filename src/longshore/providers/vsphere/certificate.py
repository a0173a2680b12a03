"""The certificate a server shows: fetched, fingerprinted, pinned.

pyVmomi's own pinning can't be relied on: for localhost and 127.0.0.1 it verifies nothing, and its `thumbprint` is
ignored as soon as verification is switched off. So the certificate is fetched and compared here, and every later
connection trusts exactly that certificate and no other.
"""

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from longshore.errors import AccessDenied, FingerprintMismatch, InvalidInput, Unreachable
from longshore.model.reach import Reach
from longshore.providers.reaching import open_socket

CONNECT_TIMEOUT = 15.0  # seconds for TCP and TLS together to come up


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's own certificate, without the chain above it."""

    der: bytes

    @property
    def sha256(self) -> str:
        """Return the fingerprint that is shown to the user and pinned: AA:BB:…, 32 bytes."""
        return _colons(hashlib.sha256(self.der).digest())

    @property
    def sha1(self) -> str:
        """Return what VMware's disk library wants as `thumbprint`: AA:BB:…, 20 bytes. Not used to decide about
        trust."""
        return _colons(hashlib.sha1(self.der, usedforsecurity=False).digest())

    @property
    def pem(self) -> str:
        return ssl.DER_cert_to_PEM_cert(self.der)


def fetch_fingerprint(host: str, port: int = 443, reach: Reach | None = None) -> str:
    """Fetch the SHA-256 fingerprint of the certificate a server shows now, for a person to compare and then to pin.

    Raises Unreachable, InvalidInput, AccessDenied beyond `reach`.
    """
    refuse_no_host(host)
    return fetch_certificate(host, port, reach).sha256


def refuse_no_host(host: str) -> None:
    """Raise InvalidInput for what can't be a server's name or address alone."""
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and ":" not in name:
        raise InvalidInput(
            f"{host} is a host with a port; a port is said apart.", advice=f"Use --host {name} --port {port}."
        )
    if not host or not all(character.isprintable() and character not in " /@[]" for character in host):
        raise InvalidInput(f"{host!r} isn't the name or address of a host.", advice="Give it alone, without https://.")


def fetch_certificate(host: str, port: int, reach: Reach | None = None) -> ServerCertificate:
    """Fetch the certificate a server shows, whoever signed it. Raises Unreachable, AccessDenied beyond `reach`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent over this connection: it only shows what there is to trust
    return _read_certificate(host, port, context, reach)


def trusted_context(
    host: str, port: int, fingerprint: str | None, ca_file: str | None, reach: Reach | None = None
) -> ssl.SSLContext:
    """Make a TLS context that verifies the server as the settings ask.

    Raises FingerprintMismatch when another certificate than the pinned one is shown, Unreachable, InvalidInput.
    """
    if fingerprint is None:
        if ca_file is not None and not Path(ca_file).is_file():
            raise InvalidInput(f"The file of certificate authorities {ca_file} isn't there.")
        try:
            return ssl.create_default_context(cafile=ca_file)
        except ssl.SSLError as error:
            raise InvalidInput(f"{ca_file} holds no certificates that can be read.") from error
    shown = fetch_certificate(host, port, reach)
    if shown.sha256 != fingerprint:
        raise FingerprintMismatch(
            f"{host}:{port} shows a certificate with the fingerprint {shown.sha256}, but {fingerprint} is pinned.",
            advice="If its certificate was replaced on purpose, pin the new one; if not, someone may be in between.",
        )
    context = ssl.create_default_context(cadata=shown.pem)
    context.check_hostname = False  # this very certificate is trusted, under whatever name the server is reached
    # A vCenter's certificate is signed by its own authority: trust it without that one, and without the authority's
    # habits being judged (strict checking is Python 3.13's default)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def verified_certificate(
    host: str, port: int, context: ssl.SSLContext, reach: Reach | None = None
) -> ServerCertificate:
    """Return the server's certificate as seen on a connection that `context` accepted. Raises AccessDenied when it is
    refused, Unreachable."""
    return _read_certificate(host, port, context, reach)


def normalise_fingerprint(text: str) -> str:
    """Rewrite a SHA-256 fingerprint, written in any of the usual ways, as AA:BB:…. Raises InvalidInput."""
    digits = text.strip().replace(":", "").replace(" ", "").upper()
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(raw) != hashlib.sha256().digest_size:
        raise InvalidInput(
            f"{text!r} isn't a SHA-256 fingerprint.",
            advice="It has 64 hexadecimal digits; `openssl x509 -noout -fingerprint -sha256` prints it.",
        )
    return _colons(raw)


@contextmanager
def reaching(host: str, port: int) -> Iterator[None]:
    """Turns failures of sockets and TLS into Unreachable or AccessDenied, in words a user can act on."""
    where = f"{host}:{port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise AccessDenied(
            f"The certificate of {where} isn't trusted: {error.verify_message or error.reason}.",
            advice="Pin its fingerprint, or name the file of the authority that signed it.",
            code="certificate-refused",
        ) from error
    except ssl.SSLError as error:
        raise Unreachable(
            f"{where} doesn't speak TLS as expected: {error.reason or error}.", advice="Check the port."
        ) from error
    except socket.gaierror as error:
        raise Unreachable(
            f"The name {host} can't be resolved.", advice="Check the spelling and the DNS server."
        ) from error
    except TimeoutError as error:
        raise Unreachable(
            f"{where} didn't answer in time.", advice="Check that it is up and that no firewall is in between."
        ) from error
    except ConnectionRefusedError as error:
        raise Unreachable(
            f"{where} refuses connections.", advice="Check the port and that the server is up."
        ) from error
    except OSError as error:
        raise Unreachable(f"{where} can't be reached: {error.strerror or error}.") from error


def _read_certificate(host: str, port: int, context: ssl.SSLContext, reach: Reach | None) -> ServerCertificate:
    with (
        reaching(host, port),
        open_socket(host, port, CONNECT_TIMEOUT, reach) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        der = connection.getpeercert(binary_form=True)
    if der is None:
        raise Unreachable(f"{host}:{port} shows no certificate.")
    return ServerCertificate(der)


def _colons(raw: bytes) -> str:
    return raw.hex(":").upper()
