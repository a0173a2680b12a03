"""A bucket of an S3 server that holds a vault's objects: each is one PUT that fails where the name is taken.

Lists of such a server may come late; what is asked by its name is as it is now. Times are the server's. What is to be
written and may be there already carries a mark of its own, so that a PUT whose answer was lost is known again.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PermissionDeniedError, PreconditionError
from obstore.store import S3Store

from longshore.errors import AccessDenied, Conflict, InvalidInput, LongshoreError, NotFound, Unreachable
from longshore.vault.errors import ARCHIVED, Damaged, full_vault, too_large
from longshore.vault.names import DESCRIPTION, most_bytes
from longshore.vault.store import Begun, InMemory, Store, is_left, parts_of, there_already
from longshore.vault.versions import REDIRECTED, UNTRUSTED, Versions

PROBE = "probe/"
MOST_LEFT = 100  # objects that a vault which was never whole may have left
MARK = "longshore-write"
_NO_VERSIONS = (None, "", "null")  # of a bucket that keeps none
_CLOCK = "clock/"  # objects that are made to learn the server's time, and gone at once
_TRIES = 4
_PAUSE = 0.5  # seconds, doubled each time
_CONNECT = timedelta(seconds=10)
_STALLED = timedelta(seconds=60)  # without a byte of an answer
_WHOLE = timedelta(minutes=10)  # 32 MiB at 56 KB/s
_RETRY = timedelta(seconds=60)
# What was made is in its lists at once, and what was deleted isn't, as it says of all its regions
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel)
_AMAZONS = ".amazonaws.com"
_CODE = re.compile(r"<Code>(\w+)</Code>")
_FULL = {"QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull"}
_Answer = TypeVar("_Answer")


class Bucket(Store):
    lists_late = 60.0
    side_by_side = 3
    far = True
    passed_over = 256 << 10

    def __init__(  # noqa: PLR0917
        self, url: str, endpoint: str, region: str, access_key: str, secret_key: str, ca_file: str = ""
    ) -> None:
        """Open a bucket. `url`: s3://bucket/prefix. `endpoint`: empty for Amazon's of the region. `ca_file`: PEM, of
        authorities that are trusted beside the system's. Raises InvalidInput when that can't be read."""
        self._told = {
            "url": url,
            "endpoint": endpoint,
            "region": region,
            "access_key": access_key,
            "secret_key": secret_key,
            "ca_file": ca_file,
        }
        self._url = url
        self._endpoint = endpoint
        self._bucket, self._prefix = parts_of(url)
        clear = urlsplit(endpoint).scheme == "http"
        if not endpoint or f".{urlsplit(endpoint).hostname}".endswith(_AMAZONS):
            self.lists_late = 0.0
        # By a function: so nothing that this machine's environment says for other programs is mixed in
        keys = {"access_key_id": access_key, "secret_access_key": secret_key, "expires_at": None}
        told: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        client: Any = {
            "allow_http": clear,
            "connect_timeout": _CONNECT,
            "read_timeout": _STALLED,
            "timeout": _WHOLE,
        }
        if ca_file:
            client["root_certificate"] = _authorities(ca_file)
        self._store = S3Store(
            self._bucket,
            prefix=self._prefix or None,
            region=region,
            virtual_hosted_style_request=False,
            conditional_put="etag",
            skip_signature=False,
            unsigned_payload=not clear,  # TLS sees to the body
            credential_provider=lambda: keys,  # type: ignore[arg-type]
            client_options=client,
            retry_config={"max_retries": 6, "retry_timeout": _RETRY},
            **told,
        )
        self._versions = Versions(self._told, self._bucket, self._prefix, self._explained)

    def __str__(self) -> str:
        return self._url

    def told(self) -> dict[str, str]:
        return self._told

    def prepare(self) -> None:
        self.discard(self._left(list(islice(self.names(""), MOST_LEFT))))
        self.probe()

    def _left(self, there: list[str]) -> list[str]:
        """Return the names of what a vault that was never whole has left among `there`. Raises Conflict when anything
        else is there."""
        if DESCRIPTION in there:
            raise there_already(self, f"--url {self}", "prefix")
        for name in there:
            with suppress(NotFound):
                if not name.startswith((PROBE, _CLOCK)) and not is_left(name, self.read(name)):
                    raise Conflict(f"There are objects in {self} already.", advice="Name a prefix that is free.")
        return there

    @property
    def versions(self) -> Versions:
        return self._versions

    def discard(self, names: list[str]) -> None:
        for name in names:
            self.delete(name)

    def probe(self) -> None:
        self.versions.refuse_deleting()
        name = f"{PROBE}{secrets.token_hex(8)}"
        self.create(name, b"1")
        try:
            with suppress(Conflict):
                self.create(name, b"2")
                raise self._unfit("creates what is there already (If-None-Match)")
            for tag in _forms('"0"'):
                with suppress(PreconditionError, FileNotFoundError):
                    self._ask(name, partial(self._store.put, name, b"3", mode={"e_tag": tag}, use_multipart=False))
                    raise self._unfit("replaces what has changed meanwhile (If-Match)")
            self.touch(name)
        finally:
            self.delete(name)

    def begin(self) -> InMemory:
        return InMemory()

    def create(self, name: str, data: bytes | bytearray | Begun) -> None:
        self._put(name, data)

    def _put(self, name: str, data: bytes | bytearray | Begun, mode: Literal["create", "overwrite"] = "create") -> str:
        """Write an object. Returns the version that was made, empty where the bucket keeps none. Raises Conflict."""
        mark = secrets.token_hex(16)
        body = data
        if isinstance(body, Begun):
            assert isinstance(body, InMemory)  # of `begin`
            body = body.data

        def put() -> str:
            try:
                made = self._store.put(name, body, mode=mode, attributes={MARK: mark}, use_multipart=False)
                return made["version"] or ""
            except AlreadyExistsError:
                # An earlier try has made it, and its answer was lost: the library's, or ours
                found = self._store.get(name, options={"head": True})
                if found.attributes.get(MARK) != mark:
                    raise
                return found.meta["version"] or ""

        try:
            return self._again(name, put)
        except AlreadyExistsError:
            raise self._taken(name) from None

    def _taken(self, name: str) -> Conflict:
        return Conflict(f"{name} is in the vault {self} already.")

    def read(self, name: str) -> bytes:
        return self._read(name)[0]

    def read_first(self, name: str) -> bytes:
        data, version = self._read(name)
        if version in _NO_VERSIONS:
            return data
        history = self.versions.of(name)
        return self.versions.read(name, history.first.id) if history.versions else data

    def _read(self, name: str) -> tuple[bytes, str | None]:
        """Read an object and its version. Raises NotFound, Damaged."""

        def get() -> tuple[bytes, str | None]:
            found = self._store.get(name)
            if str(found.attributes.get("Content-Type")).startswith("text/html"):  # no object is; a proxy's page is
                raise self._away(name)
            if found.meta["size"] > most:
                raise too_large(name, most)
            return bytes(found.bytes()), found.meta["version"]

        most = most_bytes(name)
        return self._missing(name, get)

    def keeps_deleted(self) -> bool:
        return self._missing(DESCRIPTION, lambda: self._store.head(DESCRIPTION)["version"]) not in _NO_VERSIONS

    def read_part(self, name: str, offset: int, length: int) -> bytes:
        if not length:
            return b""

        def get() -> bytes:
            try:
                return bytes(self._store.get_range(name, start=offset, length=length))
            except GenericError as error:
                if _code(error) == "InvalidRange":
                    return b""  # the object ends before that
                raise

        return self._missing(name, get)

    def size(self, name: str) -> int:
        return self._missing(name, lambda: self._store.head(name)["size"])

    def names(self, below: str) -> Iterator[str]:
        return (found["path"] for found in self._listed(below))

    def sizes(self) -> Iterator[tuple[int, float]]:
        for found in self._listed(""):
            yield found["size"], found["last_modified"].timestamp()

    def _listed(self, below: str) -> Iterator[Any]:
        """Yield what is below a folder. The library takes a proxy's page in HTML for an empty list: what seems to be
        empty is looked at twice, and the vault's description in between, which tells such a proxy."""
        nothing = True
        for found in self._listed_once(below):
            nothing = False
            yield found
        if nothing and below:
            with suppress(NotFound):  # there is no vault yet
                self.read(DESCRIPTION)
                yield from self._listed_once(below)

    def _listed_once(self, below: str) -> Iterator[Any]:
        pages = self._ask(below, lambda: iter(self._store.list(below or None)))
        while (page := self._ask(below, lambda: next(pages, None))) is not None:
            yield from page

    def free(self) -> int | None:
        return None

    def changed_at(self, name: str) -> float:
        return self._missing(name, lambda: self._store.head(name)["last_modified"]).timestamp()

    def touch(self, name: str) -> None:
        """Write the same bytes once more, unless the object was changed or deleted since they were read."""

        def replace() -> None:
            found = self._store.get(name)
            if found.meta["size"] > most_bytes(name):
                raise too_large(name, most_bytes(name))
            data, kept = bytes(found.bytes()), found.attributes
            quoted, bare = _forms(found.meta["e_tag"] or "")
            try:
                self._store.put(name, data, mode={"e_tag": quoted}, attributes=kept, use_multipart=False)
            except PreconditionError:  # it has changed, or that is how this server takes it
                self._store.put(name, data, mode={"e_tag": bare}, attributes=kept, use_multipart=False)

        for _ in range(_TRIES):
            with suppress(PreconditionError):  # the next look tells why
                return self._missing(name, lambda: self._again(name, replace))
        raise self._away(name)

    def now(self) -> float:
        name = new_clock()
        self.create(name, b"")
        try:
            return self.changed_at(name)
        finally:
            self.delete(name)

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._ask(name, lambda: self._store.delete(name))

    def remove_broken_off(self, before: float) -> None:
        for folder in (_CLOCK, PROBE):
            for name in self.names(folder):
                with suppress(NotFound):
                    if self.changed_at(name) < before:
                        self.delete(name)

    def _missing(self, name: str, do: Callable[[], _Answer]) -> _Answer:
        try:
            return self._ask(name, do)
        except FileNotFoundError:
            raise NotFound(f"{name} isn't in the vault {self}.") from None

    def _again(self, name: str, do: Callable[[], _Answer]) -> _Answer:
        """Try again what the library doesn't try twice, since it can't tell whether it was done."""
        for number in range(_TRIES - 1):
            try:
                return self._ask(name, do)
            except Unreachable as error:
                if error.code != Unreachable.code:
                    raise
            time.sleep(_PAUSE * 2**number)
        return self._ask(name, do)

    def _ask(self, name: str, do: Callable[[], _Answer]) -> _Answer:
        """Do it, with the library's errors explained. Raises FileNotFoundError, AlreadyExistsError and
        PreconditionError, and what Store's methods may raise."""
        try:
            return do()
        except (AlreadyExistsError, PreconditionError):
            raise
        except (FileNotFoundError, BaseError) as error:
            if isinstance(error, FileNotFoundError) and _code(error) != "NoSuchBucket":
                raise
            raise self._told_by(name, error) from None

    def _told_by(self, name: str, error: Exception) -> LongshoreError:
        """Explain the library's error, never in its own words: they are long, and who knows what is in them."""
        code, said = _code(error), str(error)
        if "incorrectly configured region" in said:
            code = REDIRECTED
        elif not code and "InvalidCertificate" in said:
            code = UNTRUSTED
        return self._explained(name, code, refused=isinstance(error, PermissionDeniedError))

    def _explained(self, name: str, code: str, *, refused: bool = False) -> LongshoreError:
        """Return the error that S3's word for it means."""
        where = self._endpoint or "Amazon's S3"
        if code in _FULL:
            return full_vault(self, code)
        if code == "InvalidObjectState":
            return Damaged(
                f"{name} can't be read: the bucket {self._bucket} has moved it to an archive.",
                advice="Have it restored from there, and take away the lifecycle rule or storage class that archives.",
                code=ARCHIVED,
            )
        if code == "NoSuchBucket":
            return Unreachable(
                f"There is no bucket {self._bucket} at {where}.", advice="Make it first.", code="no-such-bucket"
            )
        if code == "RequestTimeTooSkewed":
            return Unreachable(
                f"{where} refuses what comes from this machine, whose clock is wrong.", advice="Set it.", code="clock"
            )
        if code in ("AuthorizationHeaderMalformed", REDIRECTED):
            return InvalidInput(f"The bucket {self._bucket} is in another region.", advice="Name that.")
        if code == "InvalidAccessKeyId":
            return AccessDenied(f"{where} doesn't know the access key {self._told['access_key']}.")
        if code == "SignatureDoesNotMatch":
            return AccessDenied(f"The secret key isn't that of the access key {self._told['access_key']} at {where}.")
        if code == UNTRUSTED:
            return Unreachable(
                f"The certificate of {where} isn't from an authority that is trusted.",
                advice="Name the file with its authority: --ca-file.",
                code="untrusted",
            )
        if code == "AccessDenied" or refused:
            return AccessDenied(
                f"The access key {self._told['access_key']} may not use {name or 'the list'} of the vault {self}.",
                advice="It has to be allowed to get, put, delete and list objects there.",
            )
        return self._away(name, code)

    def _away(self, name: str, code: str = "") -> Unreachable:
        said = f" (it said {code})" if code else ""
        return Unreachable(
            f"{self._endpoint or 'S3'} didn't answer as it should for {name or 'a list'} of the vault {self}{said}.",
            advice="See whether it runs, and can be reached from here.",
        )

    def _unfit(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"The server {self._endpoint or 'S3'} {what}: two writers could spoil the vault.",
            advice="It takes a later release of it.",
        )


def new_clock() -> str:
    """Make up a name for an object that is written to learn the server's time."""
    return f"{_CLOCK}{secrets.token_hex(8)}"


def _authorities(path: str) -> str:
    with suppress(OSError, UnicodeError):
        text = Path(path).read_text(encoding="ascii")
        if "-----BEGIN CERTIFICATE-----" in text:
            return text
    raise InvalidInput(f"{path} holds no certificates that can be read.", advice="It has to be a PEM file.")


def _forms(tag: str) -> tuple[str, str]:
    """Return an entity tag as HTTP has it, in quotes, and as Ceph's gateway of release 16 compares it, without."""
    return tag, tag.strip('"')


def _code(error: Exception) -> str:
    """Return S3's word for an error; empty where it has none."""
    found = _CODE.search(str(error))
    return found[1] if found else ""
