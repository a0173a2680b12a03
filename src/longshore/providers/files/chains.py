"""Images that hold only what differs from another one, and name that: increments of others' backups, overlays.

The names were true where the images were made: an absolute path of a share that is mounted elsewhere by now. So a name
is looked for below the provider's directory, by as much of its end as is found there, and never outside of it. The
images are left as they are.
"""

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import NamedTuple

from longshore.errors import InvalidInput, NotFound
from longshore.providers.files.headers import Format, backing_of, bases_of, format_of, refuse_references
from longshore.providers.files.stored import Bundle, FilesPlace, LocalFile, Stored, needs_another, printable
from longshore.providers.files.vmdk import NO_PARENT, cids, descriptor_of

LONGEST = 256  # images below one
BASED = (Format.QCOW2, Format.VMDK)  # whose bases QEMU can read with them


class Layer(NamedTuple):
    """An image that another one is based on."""

    stored: LocalFile
    kind: Format
    bundle: Bundle  # it and the files beside it
    name: str  # of it in there


class Layers:
    """The images that others are based on: usable as long as `stack`, with which their files are closed.

    `place`: where those are looked for; None: nothing can be asked for beside the one file that is named.
    """

    def __init__(self, place: FilesPlace | None, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack

    def below(self, path: str, image: Stored, kind: Format) -> list[Layer]:
        """Return what an image at this path is based on, the nearest first: nothing that leads elsewhere. Raises
        InvalidInput."""
        refuse_references(image, kind)
        found: list[Layer] = []
        passed = {path}
        while kind in BASED and (names := bases_of(image, kind)):
            if self._place is None:
                raise needs_another(image.name)
            path, layer = self._find(self._place, path, names[0], image, kind)
            if path in passed or len(found) == LONGEST:
                raise InvalidInput(
                    f"{image.name} is based on itself, or on more than {LONGEST} images.", code="image-refused"
                )
            passed.add(path)
            if kind is Format.VMDK:
                _refuse_changed_parent(image, layer.stored)
            refuse_references(layer.stored, layer.kind)
            found.append(layer)
            image, kind = layer.stored, layer.kind
        return found

    def _find(self, place: FilesPlace, path: str, name: str, image: Stored, kind: Format) -> tuple[str, Layer]:
        """Find the file that was called this. Returns its path, and itself. Raises AccessDenied, InvalidInput."""
        for told in places(str(PurePosixPath(path).parent), name):
            try:
                bundle = self._stack.enter_context(place.bundle(told))
                found = bundle.open(PurePosixPath(told).name)
            except NotFound:
                continue
            if isinstance(found, LocalFile):
                return told, Layer(found, _kind_of_base(image, kind, found), bundle, PurePosixPath(told).name)
        raise InvalidInput(
            f'{image.name} holds only a part of a disk: the rest is in "{printable(name)}", which isn\'t there.',
            advice="Put that file below the provider's directory, at the end of the path that the image names.",
            code="outside-reference",
        )


def _kind_of_base(image: Stored, kind: Format, base: Stored) -> Format:
    """Return the format of an image's base. Raises InvalidInput.

    Without a word on its format only what can be nothing else is taken: a guest may write a qcow2 header to its own
    raw disk, but not change what the image above says.
    """
    if kind is Format.VMDK:
        return format_of(base, Format.VMDK)
    backing = backing_of(image)
    said = backing.kind if backing else None
    found = format_of(base, said)
    if said is None and found is not Format.QCOW2:
        raise InvalidInput(
            f"{base.name} is the base of another image, which doesn't say what format it has.",
            advice="Say it: qemu-img rebase -u -b BASE -F raw IMAGE.",
            code="image-refused",
        )
    return found


def _refuse_changed_parent(image: Stored, parent: Stored) -> None:
    """Raise InvalidInput where the parent has been written to since: the two are no disk any more."""
    of, now = cids(descriptor_of(image))[1], cids(descriptor_of(parent))[0]
    if of not in (now, NO_PARENT):
        raise InvalidInput(
            f"{image.name} was made upon another state of {parent.name}: the CID of that is {now}, and not {of}.",
            advice="Copy both again, of one moment.",
            code="image-refused",
        )


def places(directory: str, name: str) -> Iterator[str]:
    """Yield where to look for a file that an image in this directory calls so: below the provider's, the likeliest
    first.

    By its last part alone only beside the image: a file that merely happens to be called so would be the wrong disk.
    """
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    if not name.startswith("/"):
        yield _joined(directory, name)
    above = [directory, *map(str, PurePosixPath(directory).parents)]
    for start in range(len(parts) - 1):
        yield from (_joined(root, *parts[start:]) for root in above)
    yield from (_joined(directory, part) for part in parts[-1:])


def _joined(*parts: str) -> str:
    return posixpath.normpath(posixpath.join(*parts))
