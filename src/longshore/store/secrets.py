"""Secrets at rest: AES-256-GCM under a key file that only its owner can read.

A sealed value is a 12-byte random nonce followed by the ciphertext and its tag. The owner (provider and name) is the
associated data: a row moved to another owner doesn't open.
"""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from longshore.errors import LongshoreError

_NONCE = 12


class SecretsError(LongshoreError):
    code = "secrets-unreadable"


class SecretBox:
    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def seal(self, value: str, *, owner: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._key(create=True)).encrypt(nonce, value.encode(), owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> str:
        """Raises SecretsError when the key file is missing, readable by others, or not the one it was sealed with."""
        try:
            plain = AESGCM(self._key(create=False)).decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode())
        except InvalidTag:
            raise SecretsError(
                f"The stored secret of {owner} can't be opened with the key in {self._key_file}.",
                advice="Restore the key file that belongs to this database, or add the provider again.",
            ) from None
        return plain.decode()

    def _key(self, *, create: bool) -> bytes:
        try:
            if self._key_file.stat().st_mode & 0o077:
                raise SecretsError(
                    f"{self._key_file} can be read by others.", advice=f"Run: chmod 600 {self._key_file}"
                )
            return self._key_file.read_bytes()
        except FileNotFoundError:
            if not create:
                raise SecretsError(
                    f"The key file {self._key_file} is missing.",
                    advice="Restore it from a backup, or remove the provider and add it again.",
                ) from None
        new = AESGCM.generate_key(256)
        try:
            fd = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process made it at the same moment
            return self._key(create=False)
        with os.fdopen(fd, "wb") as file:
            file.write(new)
            file.flush()
            os.fsync(fd)
        return new
