"""A bucket whose versions are locked: what a restore needs stays for a time, whoever has the vault's own keys.

The first version of an object is what it is; nobody can put one before it. So it also tells who was faster of two who
create the same name, on servers that don't heed conditions in a bucket with versions. Objects that a restore needs
are hidden when they are deleted, and their bytes go when the lock lets them; of others all versions go at once.
"""

import secrets
from contextlib import suppress

from longshore.errors import AccessDenied, Conflict, InvalidInput, NotFound
from longshore.vault.bucket import MARK, MOST_LEFT, PROBE, Bucket, new_clock
from longshore.vault.store import Begun, Store
from longshore.vault.versions import History, Version, is_needed

_TRIED = 5.0  # seconds for which an object is locked to see whether that is heeded


def locked(store: Store, lock: float) -> Store:
    """Return the same store, where what a restore needs is locked for so many seconds when it is stored, so that nobody
    can delete it before. Raises InvalidInput when it has no locks."""
    if not isinstance(store, Bucket):
        raise InvalidInput(f"What is in {store} can't be locked.", advice="It takes a bucket with object lock.")
    return LockedBucket(store, lock)


class LockedBucket(Bucket):
    def __init__(self, bucket: Bucket, lock: float) -> None:
        """Open a bucket that locks. `lock`: seconds for which what is new is locked."""
        super().__init__(**bucket.told())
        self._lock = lock
        self._unlocked: list[str] | None = None  # what a vault that is being made has so far

    def prepare(self) -> None:
        self.versions.refuse_unfit()
        found = self.versions.all()
        if any(history.hidden for name, history in found.items() if not name.startswith(PROBE)):
            raise Conflict(
                f"There are versions in {self} of objects that were deleted.", advice="Name a prefix that is free."
            )
        self.discard(self._left(list(found)[:MOST_LEFT]))
        self.probe()
        self._unlocked = []

    def lock_all(self) -> None:
        names, self._unlocked = self._unlocked or [], None
        until = self.now() + self._lock
        for name in names:
            self.versions.lock(name, self.versions.of(name).first.id, until)

    def discard(self, names: list[str]) -> None:
        for name in names:
            self._drop_all(name)

    def probe(self) -> None:
        self.versions.refuse_unfit()
        self.versions.refuse_deleting()
        name = f"{PROBE}{secrets.token_hex(8)}"
        first = self._put(name, b"1")
        try:
            with suppress(Conflict):
                self.create(name, b"2")
                raise self._unfit("doesn't tell which version of an object was the first")
            self.touch(name)
            self.versions.lock(name, first, self.now() + _TRIED)
            if self.versions.drop(name, first):
                raise InvalidInput(f"The bucket of {self} deletes what is locked.", advice="Take another S3 server.")
        finally:
            self._drop_all(name)  # a prune removes what is still locked

    def create(self, name: str, data: bytes | bytearray | Begun) -> None:
        contended = not name.startswith("packs/")  # nobody else has the name of one
        if contended and self.has(name):
            raise self._taken(name)
        if not is_needed(name):
            self._drop_hidden(name)
        version = self._put(name, data)
        if contended:
            self._refuse_second(name, version)
        if self._unlocked is not None:
            self._unlocked.append(name)
        elif is_needed(name):
            self._lock_new(name, version)

    def read(self, name: str) -> bytes:
        return self.versions.read(name, self._standing(name).first.id)

    def touch(self, name: str) -> None:
        """Write the same bytes once more, above what was there."""
        before = self._standing(name)
        own = self._put(name, self.versions.read(name, before.first.id), "overwrite")
        after = self.versions.of(name)
        if before.first.id not in [version.id for version in after.versions]:
            self.versions.drop(name, own)
            raise NotFound(f"{name} isn't in the vault {self}.")
        for between in after.versions[:-1]:
            if between.id != own:
                self.versions.drop(name, between.id)

    def now(self) -> float:
        name = new_clock()
        version = self._put(name, b"")
        try:
            return self.changed_at(name)
        finally:
            self.versions.drop(name, version)

    def delete(self, name: str) -> None:
        if is_needed(name):
            super().delete(name)  # hides it
        else:
            self._drop_all(name)

    def keeps_deleted(self) -> bool:
        """Return False: the bucket keeps what is deleted as long as its lock says, and no longer."""
        return False

    def read_first(self, name: str) -> bytes:
        return self.read(name)

    def kept_until(self, name: str) -> float | None:
        history = self.versions.of(name)
        until = self.versions.locked_until(name, history.first.id) if history.versions else 0.0
        return until or None

    def _standing(self, name: str) -> History:
        """Return the versions of an object that isn't hidden. Raises NotFound."""
        history = self.versions.of(name)
        if history.hidden or not history.versions:
            raise NotFound(f"{name} isn't in the vault {self}.")
        return history

    def _refuse_second(self, name: str, own: str) -> None:
        """Raise Conflict when somebody else was faster, and take back what was put above theirs."""
        history = self.versions.of(name)
        first = history.first if history.versions else None
        if first is None or (first.id != own and not self._same(name, first, own)):
            self.versions.drop(name, own)
            raise self._taken(name)

    def _same(self, name: str, one: Version, other: str) -> bool:
        """Tell whether both versions are of one PUT, whose first answer was lost."""
        with suppress(NotFound):
            return self.versions.mark(name, one.id, MARK) == self.versions.mark(name, other, MARK)
        return False

    def _lock_new(self, name: str, version: str) -> None:
        try:
            self.versions.lock(name, version, self.changed_at(name) + self._lock)
        except AccessDenied:
            self.versions.drop(name, version)
            raise

    def _drop_hidden(self, name: str) -> None:
        """Drop what a stranger has hidden of what isn't locked."""
        history = self.versions.of(name)
        if history.hidden:
            self._drop(name, history)

    def _drop_all(self, name: str) -> None:
        self._drop(name, self.versions.of(name))

    def _drop(self, name: str, history: History) -> None:
        # The first one first: whoever touches it meanwhile sees that it is gone
        for version in (*(one.id for one in reversed(history.versions)), *history.markers):
            self.versions.drop(name, version)
