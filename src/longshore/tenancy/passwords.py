"""The passwords of users who are made: new ones, in a file that nobody else can read."""

import json
import os
import secrets
import stat
from pathlib import Path
from threading import Lock

from longshore.errors import InvalidInput, LongshoreError

_LENGTH = 24  # bytes of chance in a password


class Passwords:
    """A YAML list in `path` with a line for each user; of several for one user, the last is the one that counts.

    Raises InvalidInput when the file is there and others can read it, or can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise InvalidInput(f"Passwords can't be written to {path}: {error.strerror}.") from None
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
            os.close(self._file)
            raise InvalidInput(
                f"{path} isn't a file of yours alone, so no passwords are written to it.",
                advice=f"Name another one, or: chmod 600 {path}",
            )

    def new(self, domain: str | None, user: str) -> str:
        """Make up a password that is safely in the file: before the user is made, or it could be lost with this
        process."""
        password = secrets.token_urlsafe(_LENGTH)
        line = f"- {json.dumps({'domain': domain, 'user': user, 'password': password}, ensure_ascii=False)}\n".encode()
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._file, line) :]
                os.fsync(self._file)
            except OSError as error:
                raise LongshoreError(
                    f"The password of user {user} can't be written to {self._path}: {error.strerror}.",
                    advice="The user wasn't made.",
                ) from None
        return password

    def close(self) -> None:
        os.close(self._file)
