"""The versions that a bucket keeps of its objects, and their locks: what the library for data (obstore) doesn't know.

In a bucket with versions an object that is deleted is hidden by a marker, and one that is written again stands above
what it was. A version that is locked goes for nobody before its date.
"""

import logging
import re
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from typing import Any, TypeVar

from longshore.errors import InvalidInput, LongshoreError, NotFound
from longshore.vault.errors import too_large
from longshore.vault.names import BEGINNING, most_bytes

TOGETHER = 16  # requests under way at once
UNTRUSTED = "Untrusted"  # a word of our own, beside S3's: of a server's certificate
REDIRECTED = "PermanentRedirect"
_MODE = "COMPLIANCE"  # of GOVERNANCE whoever may bypass it can delete what is locked: docs/decisions/locked-vaults.md
_GONE = {"NoSuchKey", "NoSuchVersion", "404", "405"}
_REFUSED = {"AccessDenied", "ObjectLocked", "InvalidRequest"}  # what servers say of a version that is locked
_NO_LOCK = {"ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed"}
_ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}  # storage classes of which nothing is read at once
_NEEDED = ("packs/", "points/", "holds/", "keys/")
_WORKING = ("writers/", "condemned/", "plans/")
_AT_TOP = ("vault.json", *BEGINNING)
_Answer = TypeVar("_Answer")
_making_a_client = threading.Lock()  # a session of boto3 isn't for several threads, a client is


@cache
def _session() -> Any:
    """Return the library's session, which reads what it knows of S3 once, and not anew for each vault."""
    import boto3  # takes most of a second to load

    logging.getLogger("botocore").setLevel(logging.WARNING)  # it logs each request's signature
    return boto3.session.Session()


def is_needed(name: str) -> bool:
    """Tell whether a restore needs an object, so that it is locked. What it doesn't is only of use to who writes or
    prunes, and is touched."""
    return name.startswith(_NEEDED) or name in _AT_TOP


@dataclass(frozen=True, slots=True)
class Version:
    id: str
    tag: str
    size: int  # bytes
    made: float  # seconds, by the server's clock


@dataclass(slots=True)
class History:
    """All that is kept of one object."""

    versions: list[Version] = field(default_factory=list)  # newest first
    markers: list[str] = field(default_factory=list)
    hidden: bool = False  # by a marker: it is deleted

    @property
    def first(self) -> Version:
        """Return the version that counts: the first one, whatever was written above it since."""
        return self.versions[-1]

    @property
    def overwritten(self) -> bool:
        return bool(self.versions) and not self.hidden and self.versions[0].tag != self.first.tag


class Versions:
    """Versions of the objects of one bucket below a prefix. May be used from several threads.

    Every method raises what `explained` makes of the server's refusals: from S3's word, and the object's name.
    """

    def __init__(
        self, told: Mapping[str, str], bucket: str, prefix: str, explained: Callable[[str, str], LongshoreError]
    ) -> None:
        """Open nothing yet. `told`: how the server is reached, as `Bucket.told` has it."""
        self._told = told
        self._bucket = bucket
        self._below = f"{prefix}/" if prefix else ""
        self._explained = explained

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config

        told = self._told
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",  # servers of earlier years don't know the others
            response_checksum_validation="when_required",
            ignore_configured_endpoint_urls=True,
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 5},
            max_pool_connections=TOGETHER,
        )
        with _making_a_client:
            return _session().client(
                "s3",
                endpoint_url=told["endpoint"] or None,
                region_name=told["region"],
                aws_access_key_id=told["access_key"],
                aws_secret_access_key=told["secret_key"],
                verify=told["ca_file"] or ssl.get_default_verify_paths().cafile or True,
                config=config,
            )

    def refuse_unfit(self) -> None:
        """Raise InvalidInput when the bucket doesn't keep versions, or can't lock them."""
        kept = self._ask("", lambda: self._client.get_bucket_versioning(Bucket=self._bucket))
        advice = "Make one with object lock: it can't be turned on later everywhere."
        if kept.get("Status") != "Enabled":
            raise InvalidInput(
                f"The bucket {self._bucket} keeps no versions, so nothing in it can be locked.", advice=advice
            )
        try:
            told = self._call(lambda: self._client.get_object_lock_configuration(Bucket=self._bucket))
        except _Refused as error:
            if error.code not in _NO_LOCK:
                raise self._explained("", error.code) from None
            told = {}
        if told.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise InvalidInput(f"The bucket {self._bucket} was made without object lock.", advice=advice)

    def refuse_deleting(self) -> None:
        """Raise InvalidInput when the bucket has a lifecycle rule that deletes or archives what is below the prefix, as
        far as the bucket lets us see its rules."""
        try:
            told = self._call(lambda: self._client.get_bucket_lifecycle_configuration(Bucket=self._bucket))
        except _Refused:  # there is none, or we may not ask
            return
        places = [self._below + one for one in (*_NEEDED, *_WORKING, *_AT_TOP)]  # others may share the bucket's top
        for rule in told.get("Rules", ()):
            chosen = rule.get("Filter", {})
            chosen = chosen.get("And", chosen)
            if "Tag" in chosen or chosen.get("Tags"):  # nothing of a vault has any
                continue
            beginning = chosen.get("Prefix", rule.get("Prefix", ""))
            ours = any(one.startswith(beginning) or beginning.startswith(one) for one in places)
            archives = any(one.get("StorageClass") in _ARCHIVES for one in rule.get("Transitions", ()))
            deletes = {"Days", "Date"} & rule.get("Expiration", {}).keys()
            if rule["Status"] == "Enabled" and ours and (archives or deletes):
                raise InvalidInput(
                    f"A lifecycle rule of the bucket {self._bucket} ({rule.get('ID', 'without a name')!a}) "
                    f"{'deletes' if deletes else 'archives'} what is in the vault, so that it can't be restored.",
                    advice="Take the rule away, or have it leave the vault's prefix alone.",
                )

    def of(self, name: str) -> History:
        """Return the versions of one object. One without versions has an empty history."""
        return dict(self._listed(name)).get(name, History())

    def all(self, below: str = "") -> dict[str, History]:
        """Return the versions of all objects whose names begin so."""
        return {name: found for name, found in self._listed(below) if found.versions or found.markers}

    def _listed(self, below: str) -> Iterator[tuple[str, History]]:
        found: defaultdict[str, History] = defaultdict(History)
        words: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._below + below}
        while True:
            page = self._ask(below, partial(self._client.list_object_versions, **words))
            if "Name" not in page:  # it is no list of S3's, but a page that some proxy has sent
                raise self._explained(below, "")
            for told in page.get("Versions", ()):
                version = Version(told["VersionId"], told["ETag"], told["Size"], told["LastModified"].timestamp())
                found[told["Key"].removeprefix(self._below)].versions.append(version)
            for told in page.get("DeleteMarkers", ()):
                history = found[told["Key"].removeprefix(self._below)]
                history.markers.append(told["VersionId"])
                history.hidden = history.hidden or told["IsLatest"]
            if not page.get("IsTruncated"):
                yield from found.items()
                return
            words |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def read(self, name: str, version: str) -> bytes:
        """Read a version. Raises NotFound; Damaged when it is larger than an object of that name may be."""
        at, most = self._at(name, version), most_bytes(name)
        data = self._ask(name, partial(self._whole, at, most))
        if len(data) > most:
            raise too_large(name, most)
        return data

    def mark(self, name: str, version: str, word: str) -> str | None:
        """Return what its writer has put beside its bytes under this word. Raises NotFound."""
        found: str | None = self._head(name, version)["Metadata"].get(word)
        return found

    def locked_until(self, name: str, version: str) -> float:
        """Return until when a version is locked, in seconds by the server's clock; 0: it isn't locked so that nobody
        can undo it. Raises NotFound."""
        told = self._head(name, version)
        if str(told.get("ObjectLockMode", "")).upper() != _MODE:
            return 0.0
        until: datetime = told["ObjectLockRetainUntilDate"]
        return until.timestamp()

    def lock(self, name: str, version: str, until: float) -> None:
        """Lock a version until then. Raises NotFound."""
        kept = {"Mode": _MODE, "RetainUntilDate": datetime.fromtimestamp(until, UTC)}
        at = self._at(name, version)
        self._ask(name, lambda: self._client.put_object_retention(**at, Retention=kept))

    def drop(self, name: str, version: str) -> bool:
        """Delete a version, or a marker, for good. Returns whether it is gone; else it is locked."""
        at = self._at(name, version)
        try:
            self._call(lambda: self._client.delete_object(**at))
        except _Refused as error:
            if error.code in _GONE:
                return True
            if error.code not in _REFUSED or not self._is_locked(name, version):
                raise self._explained(name, error.code) from None
            return False
        return True

    def put_first_on_top(self, name: str, version: str) -> None:
        """Whatever was written above it since. Raises NotFound."""
        key = self._below + name
        source = {"Bucket": self._bucket, "Key": key, "VersionId": version}
        self._ask(name, lambda: self._client.copy_object(Bucket=self._bucket, Key=key, CopySource=source))

    def _whole(self, at: dict[str, str], most: int) -> bytes:
        """Read an object whole if it isn't larger than that; else a byte more."""
        told = self._client.get_object(**at)
        with told["Body"] as body:
            found: bytes = body.read() if told["ContentLength"] <= most else body.read(most + 1)
        return found

    def _is_locked(self, name: str, version: str) -> bool:
        """Tell whether a version is locked at all: also so that somebody can undo it, or without an end."""
        try:
            told = self._head(name, version)
        except NotFound:
            return False
        return "ObjectLockMode" in told or told.get("ObjectLockLegalHoldStatus") == "ON"

    def _head(self, name: str, version: str) -> dict[str, Any]:
        at = self._at(name, version)
        found: dict[str, Any] = self._ask(name, lambda: self._client.head_object(**at))
        return found

    def _at(self, name: str, version: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._below + name, "VersionId": version}

    def _ask(self, name: str, do: Callable[[], _Answer]) -> _Answer:
        try:
            return self._call(do)
        except _Refused as error:
            if error.code in _GONE:
                raise NotFound(f"{name} isn't in the vault's bucket {self._bucket} in that version.") from None
            raise self._explained(name, error.code) from None

    def _call(self, do: Callable[[], _Answer]) -> _Answer:
        """Call the library. Raises _Refused for all that it raises."""
        from botocore.exceptions import BotoCoreError, ClientError, SSLError

        try:
            return do()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise _Refused(REDIRECTED if code == "301" else code) from None
        except SSLError:
            raise _Refused(UNTRUSTED) from None
        except BotoCoreError:
            raise _Refused("") from None


class _Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code if re.fullmatch(r"\w*", code) else ""
