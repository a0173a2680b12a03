"""Secrets at rest: AES-256-GCM under a key file that only its owner can read.

A sealed value is a 12-byte random nonce followed by the ciphertext and its tag. The owner (provider and name) is the
associated data: a row moved to another owner doesn't open.

The key file holds a key of 32 bytes. While keys are changed it holds several: the first seals, any of them opens.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from longshore.errors import Conflict, LongshoreError
from longshore.processes.durable import replace_file
from longshore.store.shared import locked

_NONCE = 12
_KEY = 32  # bytes


class SecretsError(LongshoreError):
    code = "secrets-unreadable"


class SecretBox:
    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def seal(self, value: str, *, owner: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._keys(create=True)[0]).encrypt(nonce, value.encode(), owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> str:
        """Return a sealed secret in clear.

        Raises SecretsError when the key file is missing, readable by others, or not the one it was sealed with.
        """
        for key in self._keys(create=False):
            with suppress(InvalidTag):
                return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode()).decode()
        raise SecretsError(
            f"The stored secret of {owner} can't be opened with the key in {self._key_file}.",
            advice="Restore the key file that belongs to this database, or add the provider again.",
        )

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock on changes of the keys. Raises Conflict while somebody else changes them."""
        try:
            with locked(self._key_file.with_suffix(".lock"), fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield
        except BlockingIOError:
            raise Conflict("The key of the secrets is being changed already.", advice="Wait for that to end.") from None

    def add_key(self) -> None:
        """Add a new key, which seals from now on; the others still open."""
        replace_file(self._key_file, [AESGCM.generate_key(256), *self._keys(create=True)])

    def forget_old_keys(self) -> None:
        """Forget all keys but the first: only what that has sealed opens from now on."""
        replace_file(self._key_file, self._keys(create=False)[:1])

    def _keys(self, *, create: bool) -> list[bytes]:
        try:
            if self._key_file.stat().st_mode & 0o077:
                raise SecretsError(
                    f"{self._key_file} can be read by others.", advice=f"Run: chmod 600 {self._key_file}"
                )
            content = self._key_file.read_bytes()
        except FileNotFoundError:
            if not create:
                raise SecretsError(
                    f"The key file {self._key_file} is missing.",
                    advice="Restore it from a backup, or remove the provider and add it again.",
                ) from None
        else:
            if not content or len(content) % _KEY:
                raise SecretsError(
                    f"{self._key_file} isn't a key file: it has {len(content)} bytes.",
                    advice="Restore it from a backup, or remove it and add the providers again.",
                )
            return [content[start : start + _KEY] for start in range(0, len(content), _KEY)]
        new = AESGCM.generate_key(256)
        try:
            fd = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process made it at the same moment
            return self._keys(create=False)
        with os.fdopen(fd, "wb") as file:
            file.write(new)
            file.flush()
            os.fsync(fd)
        return [new]
