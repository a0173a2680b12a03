"""Images that hold only what differs from another one, and name that: increments of others' backups, overlays.

The names were true where the images were made: an absolute path of a share that is mounted elsewhere by now. So a name
is looked for below the provider's directory, by as much of its end as is found there, and never outside of it. The
images are left as they are.
"""

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol

from longshore.border.texts import shortened
from longshore.errors import InvalidInput, NotFound
from longshore.providers.files.headers import Format, backing_of, format_of, needs_another
from longshore.providers.files.stored import LocalFile, Stored

LONGEST = 256  # images below one


class Layer(NamedTuple):
    """An image that another one is based on."""

    stored: LocalFile
    kind: Format


class Layers(Protocol):
    def below(self, path: str, image: Stored) -> list[Layer]:
        """Of a qcow2 image at this path: what it is based on, the nearest first. Raises InvalidInput."""


class Files(Protocol):
    """Of a provider: all below its directory."""

    def open_in(self, stack: ExitStack, path: str) -> Stored:
        """Open as long as the stack. Raises NotFound, AccessDenied, InvalidInput."""


class LayersInFiles:
    """Usable as long as `stack`, which its files are closed with."""

    def __init__(self, place: Files, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack

    def below(self, path: str, image: Stored) -> list[Layer]:
        found: list[Layer] = []
        passed = {path}
        while (backing := backing_of(image)) is not None:
            path, image = self._find(path, backing.name, image)
            if path in passed or len(found) == LONGEST:
                raise InvalidInput(
                    f"{image.name} is based on itself, or on more than {LONGEST} images.", code="image-refused"
                )
            passed.add(path)
            # Without a word on its format only what can be nothing else is taken: a guest may write a qcow2 header
            # to its own raw disk, but not change what the image above says
            kind = format_of(image, backing.kind)
            if backing.kind is None and kind is not Format.QCOW2:
                raise InvalidInput(
                    f"{image.name} is the base of another image, which doesn't say what format it has.",
                    advice="Say it: qemu-img rebase -u -b BASE -F raw IMAGE.",
                    code="image-refused",
                )
            found.append(Layer(image, kind))
            if kind is not Format.QCOW2:
                break
        return found

    def _find(self, path: str, name: str, image: Stored) -> tuple[str, LocalFile]:
        """Where the file is that was called this, and itself. Raises AccessDenied, InvalidInput."""
        for place in _places(str(PurePosixPath(path).parent), name):
            try:
                found = self._place.open_in(self._stack, place)
            except NotFound:
                continue
            if isinstance(found, LocalFile):
                return place, found
        raise InvalidInput(
            f'{image.name} holds only a part of a disk: the rest is in "{shortened(name)}", which isn\'t there.',
            advice="Put that file below the provider's directory, at the end of the path that the image names.",
            code="outside-reference",
        )


def _places(directory: str, name: str) -> Iterator[str]:
    """Where to look for a file that an image in this directory calls so: below the provider's, the likeliest first.

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


class NoLayers:
    """Where files can't be asked for beside the one that is named."""

    def below(self, _path: str, image: Stored) -> list[Layer]:
        """Raises InvalidInput."""
        if backing_of(image) is not None:
            raise needs_another(image.name)
        return []
