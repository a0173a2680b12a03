"""The key pair by which a proxy knows Longshore, and the files that TLS needs on this side.

Each side pins the other's certificate. Longshore's private key is a secret of its provider; the proxy's never leaves
it. What stands in vCenter are certificates, which needn't be kept from anybody.
"""

import base64
import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from longshore.errors import InvalidInput
from longshore.processes.private import private_directory

_LIFETIME = datetime.timedelta(days=3650)
_CLOCKS_DIFFER = datetime.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A private key and its own certificate, both as PEM."""

    key: str = field(repr=False)
    certificate: str

    @property
    def secret(self) -> str:
        return self.key + self.certificate

    @property
    def published(self) -> str:
        """Return the certificate as it stands in a proxy's settings."""
        return base64.b64encode(self.certificate.encode()).decode()


def make_credentials() -> Credentials:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "longshore")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _LIFETIME)
        .sign(private, hashes.SHA256())
    )
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credentials(key.decode(), made.public_bytes(Encoding.PEM).decode())


def read_credentials(secret: str) -> Credentials:
    """Return the key pair of a provider's secret. Raises InvalidInput."""
    try:
        certificate = x509.load_pem_x509_certificate(secret.encode())
        key = load_pem_private_key(secret.encode(), password=None)
    except (ValueError, TypeError):
        raise InvalidInput(
            "The secret proxy_key isn't a private key with its certificate.",
            advice="Add the provider without it: one is made.",
        ) from None
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credentials(private.decode(), certificate.public_bytes(Encoding.PEM).decode())


@contextmanager
def tls_files(credentials: Credentials, server_certificate: str) -> Iterator[Path]:
    """Yield a directory as libnbd wants it ("tls-certificates"), for child processes, too. The private key is in memory
    alone."""
    with private_directory() as directory:
        (directory / "ca-cert.pem").write_text(server_certificate)
        (directory / "client-cert.pem").write_text(credentials.certificate)
        key = os.memfd_create("longshore-proxy-key")
        try:
            os.write(key, credentials.key.encode())
            (directory / "client-key.pem").symlink_to(f"/proc/{os.getpid()}/fd/{key}")
            yield directory
        finally:
            os.close(key)
