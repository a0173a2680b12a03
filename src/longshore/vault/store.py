"""Stores of a vault's objects: what a directory and a bucket have in common, so that nothing else knows which it is."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault.names import BEGINNING, KEYS, id_in

if TYPE_CHECKING:
    from longshore.vault.versions import Versions

REGION = "us-east-1"  # of a bucket, unless another is named: what servers of one's own mostly call theirs


class Begun(ABC):
    """An object that is being filled, until `Store.create` makes it one. One thread fills it, others may read it."""

    @abstractmethod
    def append(self, data: bytes | bytearray) -> None:
        """Append bytes. Raises VaultFull, Unreachable: then it is of no use any more."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes | None:
        """Return what was appended there. None once it was created, or discarded."""

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing of it, unless it was created; nothing to do the second time."""


class InMemory(Begun):
    """An object in memory, for a store where it goes out in one piece."""

    def __init__(self) -> None:
        self.data = bytearray()

    def append(self, data: bytes | bytearray) -> None:
        self.data += data

    def read(self, offset: int, length: int) -> bytes | None:
        return bytes(self.data[offset : offset + length])

    def discard(self) -> None:
        self.data = bytearray()


class Store(ABC):
    """Objects with names like paths: each is written once, and is there in full or not at all.

    Every method raises Unreachable when the store can't be used, AccessDenied when it refuses us, VaultFull when it has
    no room. All may be called from several threads. `str` says where it is.
    """

    lists_late: float  # seconds in which a list may lack what was made, and have what was deleted
    side_by_side: ClassVar[int]  # packs that are best stored at the same time
    far: ClassVar[bool]  # whether an answer takes longer than unpacking what it brings
    passed_over: ClassVar[int]  # bytes between two parts that are read with them sooner than each part by itself

    @abstractmethod
    def told(self) -> dict[str, str]:
        """Describe the store to another process that is to use it (`vault.store_at`). The description may be secret."""

    @abstractmethod
    def prepare(self) -> None:
        """Prepare for a new vault. Raises Conflict when something is there already, InvalidInput when the store won't
        do."""

    @abstractmethod
    def discard(self, names: list[str]) -> None:
        """These objects of a vault that is not to be, and what `prepare` has made for them."""

    @abstractmethod
    def probe(self) -> None:
        """Raise InvalidInput when the store doesn't keep what was written from being overwritten, or will delete it."""

    @property
    def versions(self) -> "Versions":
        """Return the versions that it keeps of its objects. Raises InvalidInput when it keeps nothing of what is
        deleted."""
        raise InvalidInput(f"{self} keeps nothing of what is deleted.", advice="It takes a bucket with object lock.")

    def lock_all(self) -> None:  # noqa: B027 nothing to do where nothing is locked
        """Lock what a vault that is being made has so far, where the store locks."""

    def kept_until(self, _name: str) -> float | None:
        """Return the seconds, by the store's clock, up to which the object's bytes stay, whoever deletes it. None: they
        don't."""
        return None

    @abstractmethod
    def begin(self) -> Begun:
        """Begin an object that takes as little memory as this store can do with."""

    @abstractmethod
    def create(self, name: str, data: bytes | bytearray | Begun) -> None:
        """Create an object. Raises Conflict when it is there already."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read an object. Raises NotFound; Damaged when it is larger than an object of that name may be, which isn't
        read then."""

    def read_first(self, name: str) -> bytes:
        """Read an object as it was written at first, whatever was written above it since, where the store keeps that;
        else as `read`."""
        return self.read(name)

    def keeps_deleted(self) -> bool:
        """Tell whether the store keeps what we delete, though nothing says for how long: so that prunes free
        nothing."""
        return False

    @abstractmethod
    def read_part(self, name: str, offset: int, length: int) -> bytes:
        """Read a part of an object: fewer bytes where it ends. Raises NotFound."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return the object's bytes, counted. Raises NotFound."""

    def has(self, name: str) -> bool:
        """Tell whether the object is there, whatever lists say."""
        try:
            self.size(name)
        except NotFound:
            return False
        return True

    @abstractmethod
    def names(self, below: str) -> Iterator[str]:
        """Yield the names of all objects that begin with this folder, in no order; also of what others have put
        there."""

    @abstractmethod
    def sizes(self) -> Iterator[tuple[int, float]]:
        """Yield of each object its bytes, and when it was written, in seconds by the store's own clock."""

    @abstractmethod
    def free(self) -> int | None:
        """Return the bytes that there is room for; None where the store doesn't say."""

    @abstractmethod
    def changed_at(self, name: str) -> float:
        """Return when the object was written, in seconds by the store's own clock, never this machine's. Raises
        NotFound."""

    @abstractmethod
    def touch(self, name: str) -> None:
        """Have the object changed now. What is gone is never made again so. Raises NotFound."""

    @abstractmethod
    def now(self) -> float:
        """Return the present time in seconds, by the same clock."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete the object. Nothing to do when it is gone."""

    @abstractmethod
    def remove_broken_off(self, before: float) -> None:
        """Remove what writers that were killed have left beside their objects before that time."""


def is_left(name: str, data: bytes) -> bool:
    """Tell whether an object is of a vault that was never whole, as one whose maker was killed leaves it."""
    from importlib.resources import files  # whoever opens a vault needs none of it

    if name in BEGINNING:
        return data == (files("longshore.vault") / "left" / name).read_bytes()
    return id_in(KEYS, name) is not None and b'"wrapped"' in data and b'"passphrase"' in data


def there_already(store: object, how: str, another: str) -> Conflict:
    return Conflict(
        f"There is a vault in {store} already.",
        advice=f"Add it: longshore provider add vault NAME {how}. Or name a {another} that is free.",
    )


def parts_of(url: str) -> tuple[str, str]:
    """Split s3://BUCKET/PREFIX into bucket and prefix. Raises InvalidInput."""
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)/?", url)
    if found is None:
        raise InvalidInput(f"{url!a} is no bucket.", advice="Write s3://BUCKET/PREFIX, of letters, digits, - and _.")
    return found[1], found[2].strip("/")
