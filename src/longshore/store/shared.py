"""One state directory for all who use one database: what one worker has written there, the next one goes on with.

Manifests, checkpoints and the key of the secrets are files. Both sides carry a name that was made by chance when the
first process opened them, so that a directory that isn't shared, or isn't mounted, is told before anything is lost.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from longshore.errors import Conflict
from longshore.processes.durable import replace_file
from longshore.store.database import Database
from longshore.store.tables import InstallationRow

_FILE = "installation"


def check_shared(directory: Path, database: Database) -> None:
    """Raise Conflict when the directory isn't the one that belongs to this database, or can't do what is needed.

    The first directory that a new database sees becomes its own.
    """
    _check_locks(directory)
    path = directory / _FILE

    def compare() -> None:
        with database.alone() as session:
            known = session.scalar(select(InstallationRow.id))
            here = path.read_text().strip() if path.exists() else None
            if known is None:
                known = here or str(uuid.uuid4())
                if here is None:
                    replace_file(path, [f"{known}\n".encode()])
                session.add(InstallationRow(id=known))
            elif here != known:
                raise Conflict(
                    f"The state directory {directory} isn't the one that the others who use this database have.",
                    advice="Mount the shared directory there, or name it: state in the configuration.",
                )

    database.persist(compare)


@contextmanager
def locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock of a file, which is made unless it is there, until the block ends; `how`: as flock(2) has it.

    Raise OSError, which is a BlockingIOError when somebody else holds it and `how` doesn't wait.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _check_locks(directory: Path) -> None:
    """Raise Conflict when files in the directory can't be written and locked.

    Copies lock their checkpoints: a file system without locks would let two of them go on with one.
    """
    try:
        with locked(directory / "schema.lock", fcntl.LOCK_SH):
            pass
    except OSError as error:
        raise Conflict(
            f"Files in the state directory {directory} can't be written and locked: {error.strerror}.",
            advice="It has to be on a file system that knows locks, as NFS 4 and CephFS do.",
        ) from None
