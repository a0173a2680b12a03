"""Where a vault's objects are: what a directory and a bucket have in common, so that nothing else knows which it is."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault.errors import Damaged
from longshore.vault.names import BEGINNING, key_in

if TYPE_CHECKING:
    from longshore.vault.versions import Versions

REGION = "us-east-1"  # of a bucket, unless another is named: what servers of one's own mostly call theirs


class Begun(ABC):
    """An object that is being filled, until `Store.create` makes it one. One thread fills it, others may read it."""

    @abstractmethod
    def append(self, data: bytes | bytearray) -> None:
        """Raises VaultFull, Unreachable: then it is of no use any more."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes | None:
        """Of what was appended. None once it was created, or discarded."""

    @abstractmethod
    def discard(self) -> None:
        """Nothing of it is left, unless it was created; nothing to do the second time."""


class InMemory(Begun):
    """Where an object goes out in one piece."""

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
        """For another process that is to use it (`store_at`). It may be secret."""

    @abstractmethod
    def prepare(self) -> None:
        """For a new vault: nothing is there yet. Raises Conflict when something is, InvalidInput when it won't do."""

    @abstractmethod
    def discard(self, names: list[str]) -> None:
        """These objects of a vault that is not to be, and what `prepare` has made for them."""

    @abstractmethod
    def probe(self) -> None:
        """Raises InvalidInput when it doesn't keep what was written from being overwritten."""

    def locked(self, lock: float) -> "Store":
        """The same, where what a restore needs is locked for so many seconds when it is stored, so that nobody can
        delete it before. Raises InvalidInput when it has no locks."""
        raise InvalidInput(f"What is in {self} can't be locked.", advice="It takes a bucket with object lock.")

    @property
    def versions(self) -> "Versions":
        """What it keeps of its objects. Raises InvalidInput when it keeps nothing of what is deleted."""
        raise InvalidInput(f"{self} keeps nothing of what is deleted.", advice="It takes a bucket with object lock.")

    @abstractmethod
    def lock_all(self) -> None:
        """What a vault that is being made has so far, where it locks."""

    @abstractmethod
    def kept_until(self, name: str) -> float | None:
        """Seconds, by the store's clock, up to which the object's bytes stay, whoever deletes it. None: they don't."""

    @abstractmethod
    def begin(self) -> Begun:
        """An object that takes as little memory as this store can do with."""

    @abstractmethod
    def create(self, name: str, data: bytes | bytearray | Begun) -> None:
        """Raises Conflict when it is there already."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Raises NotFound; Damaged when it is larger than an object of that name may be, which isn't read then."""

    def read_first(self, name: str) -> bytes:
        """As it was written at first, where the store keeps that: whatever was written above it since. As `read`."""
        return self.read(name)

    def keeps_deleted(self) -> bool:
        """Whether it keeps what we delete, though nothing says for how long: so that prunes free nothing."""
        return False

    @abstractmethod
    def read_part(self, name: str, offset: int, length: int) -> bytes:
        """Fewer bytes where the object ends. Raises NotFound."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes. Raises NotFound."""

    def has(self, name: str) -> bool:
        """Whatever lists say."""
        try:
            self.size(name)
        except NotFound:
            return False
        return True

    @abstractmethod
    def names(self, below: str) -> Iterator[str]:
        """Of all objects whose names begin with this folder, in no order; also of what others have put there."""

    @abstractmethod
    def changed_at(self, name: str) -> float:
        """Seconds, by the store's own clock, never this machine's. Raises NotFound."""

    @abstractmethod
    def touch(self, name: str) -> None:
        """It has changed now. What is gone is never made again so. Raises NotFound."""

    @abstractmethod
    def now(self) -> float:
        """Seconds, by the same clock."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Nothing to do when it is gone."""

    @abstractmethod
    def remove_broken_off(self, before: float) -> None:
        """What writers that were killed have left beside their objects before that time."""


def is_left(name: str, data: bytes) -> bool:
    """Whether an object is of a vault that was never whole, as one whose maker was killed leaves it."""
    from importlib.resources import files  # whoever opens a vault needs none of it

    if name in BEGINNING:
        return data == (files("longshore.vault") / "left" / name).read_bytes()
    return key_in(name) is not None and b'"wrapped"' in data and b'"passphrase"' in data


def there_already(store: object, how: str, another: str) -> Conflict:
    return Conflict(
        f"There is a vault in {store} already.",
        advice=f"Add it: longshore provider add vault NAME {how}. Or name a {another} that is free.",
    )


def too_large(name: str, most: int) -> Damaged:
    return Damaged(f"{name} isn't what was written: it has more than {most} bytes.")


def store_at(told: Mapping[str, str]) -> Store:
    """As `Store.told` says it."""
    if "directory" in told:
        from longshore.vault.directory import Directory

        return Directory(Path(told["directory"]))
    from longshore.vault.bucket import Bucket  # whoever has a directory doesn't load what S3 takes

    return Bucket(**told)


def parts_of(url: str) -> tuple[str, str]:
    """Bucket and prefix of s3://BUCKET/PREFIX. Raises InvalidInput."""
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)/?", url)
    if found is None:
        raise InvalidInput(f"{url!a} is no bucket.", advice="Write s3://BUCKET/PREFIX, of letters, digits, - and _.")
    return found[1], found[2].strip("/")
