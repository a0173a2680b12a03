"""An authority for three nodes, and a certificate for each of them, by which all that runs there knows the others."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_AUTHORITY_LASTS = timedelta(days=3650)
_LASTS = timedelta(days=825)  # more isn't taken by all that may look at them
_EARLIER = timedelta(hours=1)  # of clocks that don't agree


class Authority:
    """The authority whose certificate the nodes trust, with its key: what it signs, they take for one of them."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def new(cls) -> "Authority":
        key, name = ec.generate_private_key(ec.SECP256R1()), _named("Longshore's nodes")
        built = _begun(name, name, key.public_key(), _AUTHORITY_LASTS)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(key, built.sign(key, hashes.SHA256()))

    @classmethod
    def read(cls, pem: bytes) -> "Authority":
        """Take an authority from what `secret` has returned. Raises ValueError or TypeError."""
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("it is another kind of key")
        return cls(key, x509.load_pem_x509_certificate(pem))

    @property
    def secret(self) -> bytes:
        """Return key and certificate as PEM: whoever has them may take a node's place."""
        return _pem(self._key) + self.certificate

    @property
    def certificate(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        """Return a new key and its certificate as PEM, for host names and addresses; it is called by the first."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _begun(_named(names[0]), self._certificate.subject, key.public_key(), _LASTS)
        built = built.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return _pem(key), built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta
) -> x509.CertificateBuilder:
    begins = datetime.now(UTC) - _EARLIER
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return built.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(begins + lasts)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
