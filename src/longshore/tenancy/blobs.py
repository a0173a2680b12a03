"""The bytes of images, which lie beside the files: what a file of them is called, and whether it can be taken."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from longshore.errors import InvalidInput, LongshoreError
from longshore.tenancy.documents import Resource
from longshore.tenancy.faults import FileFault

BLOBS = "image_blobs"  # OS-Migrate's directory for them
_ID = re.compile(r"[\w-]+")
# What the bytes of a format begin with, any of these: the image service looks, too, and refuses others
_BEGINS = {
    "qcow2": (b"QFI\xfb",),
    "vhdx": (b"vhdxfile",),
    "vmdk": (b"KDMV", b"COWD", b"# Disk DescriptorFile"),
    "luks": (b"LUKS\xba\xbe",),
}
_LONGEST = 240  # bytes of a file's name: 255, and room for what marks one that is being written


def blob_name(image_id: str, name: str) -> str:
    """Name an image's file as OS-Migrate does, if a file can be called so. Raises InvalidInput when the id would lead
    elsewhere."""
    if not _ID.fullmatch(image_id):
        raise InvalidInput(f"Image {name} has an id that can't be part of a file's name.")
    plain_name = re.sub(r"[/\0]", "_", name)
    whole = f"{image_id}-{plain_name}"
    return whole.encode()[:_LONGEST].decode(errors="ignore")


def find_blob(blobs: Path, image: Resource) -> Path | None:
    """Find the file with an image's bytes; None when there's none. Raises InvalidInput when it would be outside of
    `blobs`."""
    identity = str(image.info.get("id"))
    path = blobs / blob_name(identity, image.name)
    if not path.is_file():
        # A renamed image keeps its bytes: the id in the name says whose they are
        path = next(iter(sorted(blobs.glob(f"{identity}-*"))), path)
    if not path.is_file():
        return None
    if path.resolve().parent != blobs.resolve():
        # Files come from others, and what they lead to would be sent away
        raise InvalidInput(f"{path} leads to a file elsewhere, which isn't read.", advice="Put the file itself there.")
    return path


def missing(blobs: Path, image: Resource) -> str:
    """Return the sentence for an image without bytes."""
    name = blob_name(str(image.info.get("id")), image.name)
    return f"the bytes of image {image.name} aren't there: there is no file {blobs / name}"


def blob_faults(resources: Iterable[Resource], directory: Path) -> Iterator[FileFault]:
    """Yield faults of images' bytes. The images have to be sound. Missing bytes are a warning: an image that is on the
    target already doesn't need them."""
    blobs = directory / BLOBS
    for image in (each for each in resources if each.kind.name == "image"):
        try:
            found = find_blob(blobs, image)
        except LongshoreError as error:
            yield FileFault(image.place, str(error))
            continue
        if found is None:
            said = missing(Path(BLOBS), image)
            yield FileFault(
                image.place,
                f"{said[0].upper()}{said[1:]}; only an image that is on the target already can do without.",
                True,
            )
            continue
        if wrong := _wrong_format(found, image.params.get("disk_format")):
            yield FileFault(image.line("disk_format"), f"disk_format of image {image.name} is {wrong}.", True)
        size, whole = found.stat().st_size, image.info.get("size")
        if isinstance(whole, int) and size != whole:
            yield FileFault(
                image.place,
                f"{found.relative_to(directory)} has {size:,} bytes, but image {image.name} has {whole:,}: "
                "export it again.",
            )


def _wrong_format(path: Path, named: object) -> str | None:
    """Return what a file's bytes aren't, though its image says so, as the end of a sentence."""
    with path.open("rb") as file:
        begin = file.read(32)
    if named in _BEGINS and not begin.startswith(_BEGINS[str(named)]):
        return f"{named}, but its bytes don't begin as {named}'s do: the image service may refuse them"
    really = next((other for other, begins in _BEGINS.items() if begin.startswith(begins)), None)
    if named == "raw" and really:
        return f"raw, but its bytes begin as {really}'s do: the image service may refuse them"
    return None


def file_digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
