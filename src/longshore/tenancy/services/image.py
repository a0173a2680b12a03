"""Operations of images: they have bytes, which lie beside the files and are checked at every step."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from openstack import exceptions as sdk
from openstack.image.v2.image import Image

from longshore.errors import InvalidInput, NotFound, ProviderError, Unreachable, VerificationError
from longshore.providers.openstack.faults import explained, words
from longshore.tenancy.blobs import blob_name, file_digest, find_blob, missing
from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import Field
from longshore.tenancy.normal import own_properties, said, text
from longshore.tenancy.operations import Operations, plain

CHUNK = 1 << 20  # bytes
_TRIES = 2  # at bytes that have another digest: damaged on the way, or in the cloud's store
# Facts about the bytes: they aren't set, they come with them
_OF_BYTES = ("hash_algo", "hash_value")

# What Glance says of a property that it protects (property_protection_file)
_KEPT = re.compile(r"Attribute '([^']+)' is reserved")

Moved = Callable[[int], None]  # bytes that went over the wire since the last call


class Images(Operations):
    def listing(self) -> Iterable[Any]:
        """List images, also those that the service only lists when they are asked for."""
        asked: list[dict[str, Any]] = [{}, {"is_hidden": True}]
        if self.cloud.is_admin:
            community = {"visibility": "community", "owner": self.cloud.project_id}
            asked += [community, community | {"is_hidden": True}]
        found = {raw.id: raw for query in asked for raw in self.proxy.images(**query)}
        return found.values()

    def project_of(self, raw: Any) -> str:
        return str(raw.owner_id)

    def value(self, raw: Any, field: Field) -> Any:
        value = super().value(raw, field)
        if field.name == "properties":
            # Not compared here (see own_properties), but by OS-Migrate, whose imports give each image these three
            return own_properties(value or {}) | {
                "owner_specified.openstack.md5": "",
                "owner_specified.openstack.object": f"images/{self.cloud.called(self.kind, raw)}",
                "owner_specified.openstack.sha256": "",
            }
        return value

    def hidden(self, raw: Any) -> str | None:
        called = self.cloud.called(self.kind, raw)
        if raw.status != "active":
            return f"images: {called} is {raw.status}, so it has no bytes to take along."
        try:
            blob_name(raw.id, called)
        except InvalidInput:
            return f"images: {called} is left out: its id can't be part of a file's name."
        why = _elsewhere(plain(raw.properties) or {}, raw.size)
        return f"images: {called} is left out: {why}." if why else None

    def not_carried(self, raw: Any) -> list[str]:
        shared = raw.visibility == "shared" and any(self.proxy.members(raw.id))
        return super().not_carried(raw) + ["members"] * shared

    def barred(self, wanted: Resource) -> str | None:
        return _elsewhere(wanted.params.get("properties") or {}, wanted.info.get("size"))

    def changeable(self, raw: Any, field: Field) -> bool:
        """The bytes and their format stay as they are once they are there."""
        formats = ("disk_format", "container_format")
        return raw.status == "queued" if field.name in formats else super().changeable(raw, field)

    def another(self, raw: Any, wanted: Resource) -> str | None:
        """One with other bytes is another image. Told by digests of one algorithm: those of the service, or the bytes
        in the files by the service's algorithm; at last by MD5, which every service has."""
        if raw.status == "queued":
            return self.obstacle({}, wanted)
        if raw.status != "active":
            return f"it is {raw.status}"
        digest = wanted.params.get("hash_value")
        if not digest or wanted.params.get("hash_algo") != raw.hash_algo:
            blob = find_blob(self.cloud.blobs, wanted)
            if blob is not None:
                algorithm, there = (raw.hash_algo, raw.hash_value) if raw.hash_value else ("md5", raw.checksum)
                digest = file_digest(blob, algorithm)
            else:
                digest, there = wanted.info.get("checksum"), raw.checksum
        else:
            there = raw.hash_value
        if not digest or not there:
            return "nothing tells whether it has the same bytes"
        return (
            None
            if digest == there
            else f"the digest of its bytes is {there[:12]}… there and {digest[:12]}… in the files"
        )

    def obstacle(self, values: Mapping[str, Any], wanted: Resource) -> str | None:
        return None if find_blob(self.cloud.blobs, wanted) else missing(self.cloud.blobs, wanted)

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        blob = self._blob(wanted)  # before anything is made
        with explained(f"make image {wanted.name}"):
            made = self._allowed(wanted.name, _body(values), lambda body: Image.new(**body).create(self.proxy))
        try:
            self._upload(made.id, blob, wanted)
        except Exception:  # what has got a part of its bytes takes no others
            with suppress(Exception):
                self.proxy.delete_image(made.id)
            raise
        return str(made.id)

    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        body = _body(values)
        if body:
            self._allowed(raw.name, body, lambda allowed: self.proxy.update_image(raw.id, **allowed))

    def _allowed(self, name: str, body: dict[str, Any], send: Callable[[dict[str, Any]], Any]) -> Any:
        """Send what is said of an image, without the properties that the cloud's operator keeps from its users, and
        remark on each. Raises ForbiddenException for one that chooses the hardware of servers: they may need it."""
        try:
            return send(body)
        except sdk.ForbiddenException as error:
            kept = _KEPT.search(words(error))
            if kept is None or kept[1] not in body or kept[1].startswith("hw_"):
                raise
        self.cloud.remarks.append(f"images: {name} is without {kept[1]}, which this cloud lets its operator set alone.")
        return self._allowed(name, {key: value for key, value in body.items() if key != kept[1]}, send)

    def complete(self, raw: Any, wanted: Resource) -> None:
        """Upload bytes for an image that an earlier try made and didn't fill; where it takes none, it is made anew."""
        if raw.status != "queued":
            return
        blob = self._blob(wanted)
        try:
            self._upload(raw.id, blob, wanted)
        except ProviderError:
            with explained(f"make image {wanted.name} anew"):
                there = self.proxy.get_image(raw.id)
                values = {f.attribute: self.value(there, f) for f in self.kind.fields if f.sent}
                self.proxy.delete_image(raw.id)
            self.create({name: value for name, value in values.items() if value is not None}, wanted)

    def incomplete(self, raw: Any) -> bool:
        return bool(raw.status == "queued")

    def _blob(self, wanted: Resource) -> Path:
        """Return the file with its bytes, found to be the right ones."""
        path = find_blob(self.cloud.blobs, wanted)
        if path is None:
            raise NotFound(f"{missing(self.cloud.blobs, wanted)}.")
        algorithm, expected = wanted.params.get("hash_algo"), wanted.params.get("hash_value")
        if expected and algorithm and file_digest(path, str(algorithm)) != expected:
            raise VerificationError(
                f"{path} doesn't hold the bytes of image {wanted.name}: its {algorithm} digest is another.",
                advice="Export the image again.",
            )
        return path

    def _upload(self, image_id: str, blob: Path, wanted: Resource) -> None:
        with explained(f"upload image {wanted.name}"), blob.open("rb") as file:
            self.proxy.put(
                f"/images/{image_id}/file",
                data=_Watched(file, blob.stat().st_size, self.cloud.moved),
                headers={"Content-Type": "application/octet-stream"},
                raise_exc=True,
            )
            made = self.proxy.get_image(image_id)
        if made.hash_algo and file_digest(blob, made.hash_algo) != made.hash_value:
            with suppress(Exception):
                self.proxy.delete_image(image_id)
            raise VerificationError(
                f"The cloud has other bytes for image {wanted.name} than were sent; the image was removed.",
                advice="Import once more.",
            )

    def download(self, raw: Any, directory: Path) -> None:
        """Download an image's bytes, checked against the digest that the cloud keeps of them. Goes on where an earlier
        try stopped, if the store behind the image service can read from the middle."""
        called = self.cloud.called(self.kind, raw)
        path = directory / blob_name(raw.id, called)
        algorithm = raw.hash_algo or "md5"
        if algorithm not in hashlib.algorithms_available:
            raise VerificationError(f"The digest of image {called} is made with {algorithm}, which isn't known here.")
        expected = raw.hash_value or raw.checksum
        if path.is_file() and path.stat().st_size == raw.size and file_digest(path, algorithm) == expected:
            return
        directory.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        arrived: list[str] = []  # digests
        while len(arrived) < _TRIES:
            with explained(f"download image {called}"):
                self._fetch(raw, called, part)
            arrived.append(file_digest(part, algorithm))
            if not expected or arrived[-1] == expected:
                part.replace(path)
                return
            part.unlink()
        if len(set(arrived)) == 1:
            raise VerificationError(f"The cloud's store has other bytes for image {called} than the cloud says.")
        raise VerificationError(
            f"The bytes of image {called} that arrived have another {algorithm} digest than the cloud says.",
            advice="Export once more.",
        )

    def _fetch(self, raw: Any, called: str, part: Path) -> None:
        earlier = there = part.stat().st_size if part.exists() else 0
        answer = None
        if 0 < there < (raw.size or 0):
            answer = self.proxy.get(f"/images/{raw.id}/file", headers={"Range": f"bytes={there}-"}, stream=True)
            if answer.status_code != 206:
                answer.close()
                answer = None
        if answer is None:
            there = 0
            answer = self.proxy.get(f"/images/{raw.id}/file", stream=True, raise_exc=True)
        with answer, part.open("ab" if there else "wb") as file:
            try:
                for chunk in _arriving(answer, called):
                    there += len(chunk)
                    if raw.size is not None and there > raw.size:  # it would fill the disk
                        raise VerificationError(f"The cloud sends more bytes of image {called} than it has.")
                    file.write(chunk)
                    self.cloud.moved(len(chunk))
            except Unreachable:
                if there > earlier:
                    raise
                raise ProviderError(  # each export would end here
                    f"The bytes of image {called} stop coming where they did before, after {there:,} of {raw.size:,}: "
                    "the cloud's store may have lost a part."
                ) from None


def _elsewhere(properties: Mapping[str, Any], size: Any) -> str | None:
    """Return why an image is of no use without things that aren't carried, as the end of a sentence."""
    if properties.get("block_device_mapping") and not size:
        return "what it holds is in snapshots of volumes, which aren't carried"
    if properties.get("cinder_encryption_key_id") or properties.get("os_encrypt_key_id"):
        return "its bytes are encrypted with a key that only the key manager of the cloud it is from has"
    return None


def _arriving(answer: Any, name: str) -> Iterator[bytes]:
    chunks = answer.iter_content(CHUNK)
    while True:
        try:
            chunk = next(chunks, None)
        except OSError as error:  # the HTTP library's errors are some, too
            raise Unreachable(
                f"The bytes of image {name} stopped coming: {error}.", advice="Export again: it goes on from here."
            ) from None
        if chunk is None:
            return
        yield chunk


class _Watched:
    """A file that tells how much of it was read, and its length, so that it isn't sent in chunks of unknown number."""

    def __init__(self, file: Any, size: int, moved: Moved) -> None:
        self._file = file
        self._size = size
        self._moved = moved

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = CHUNK) -> bytes:
        data: bytes = self._file.read(min(size, CHUNK) if size and size > 0 else CHUNK)
        self._moved(len(data))
        return data

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())


def _body(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as the API wants them: whatever it doesn't know by name is text."""
    body = {name: value for name, value in values.items() if name not in (*_OF_BYTES, "properties")}
    body |= said(own_properties(values.get("properties") or {}))
    typed = ("min_disk", "min_ram", "is_hidden", "is_protected", "tags")
    return {name: value if name in typed or value is None else text(value) for name, value in body.items()}
