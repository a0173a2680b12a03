"""A list of ranges where a target may not hold what its base manifest says (docs/formats/dirty.md).

A manifest tells what a target held when a copy was complete. The next copy to that target writes to it, and if that one
is broken off for good, the manifest is as true of the source as before, and no longer of the target. So before its
first write a copy with a base manifest says, in a file beside the manifest, where it is going to write. All who come
later with the same base copy these ranges, whatever the digests say.

A copy of the same moment is no reason for that: what it has written is what is to be written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from blake3 import blake3

from longshore.blocks.request import FilePath
from longshore.errors import CheckpointError
from longshore.model.extents import Extent, merge
from longshore.processes.durable import replace_file, sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = "longshore dirty ranges 1"
_EVERYTHING = Extent(0, 1 << 63)  # more than any disk has


class Dirty:
    """The ranges of one copy's target that can't be trusted, when the copy is about to begin or to go on. Extents
    sorted, in bytes."""

    def __init__(self, manifest: FilePath, root: str, moment: str, *, same: bool) -> None:
        """Read what earlier copies declared. `root`: the manifest's; `moment`: of the source. `same`: whether what is
        called so is the same moment always. Raises CheckpointError."""
        self._path = _path(manifest)
        self._root = root
        self._moment = moment
        self.earlier: list[Extent] = []  # where copies of other moments may have written
        self.since: list[Extent] = []  # of them, where the last one may have: after any earlier run of this copy
        self._own: list[Extent] = []  # where earlier runs of this one may have
        if (known := _read(self._path, root)) is None:
            return
        if same and known["moment"] == moment:
            self._own, self.earlier = known["written"], known["earlier"]
        else:
            self.since = known["written"]
            self.earlier = list(merge(known["earlier"] + self.since))

    def declare(self, extents: Iterable[Extent]) -> None:
        """Declare that this copy writes to these extents from now on, and nowhere else. Once this returns, that is
        known even after a power cut.

        Raises CheckpointError.
        """
        written = list(merge([*self._own, *extents]))
        if written != self._own:
            try:
                self._write(written)
            except OSError as error:
                raise CheckpointError(
                    f"Where the target is about to be written can't be noted in {self._path}: {error.strerror}.",
                    advice="Nothing was written. The directory of the base manifest has to be writable.",
                ) from error

    def settle(self, manifest: FilePath | None, written: Iterable[Extent]) -> None:
        """Settle the list once the copy is complete and verified, and wrote there alone; `manifest` says what the
        target holds now, if any.

        The base is that no more, but may be asked for again: by a machine whose other disks have got no further.
        """
        with suppress(OSError):  # what was declared includes it
            replaced = manifest is not None and _path(manifest) == self._path
            left = list(merge(written))
            if not replaced and (left or self.earlier):
                self._write(left)
            else:
                os.unlink(self._path)
                sync_directory(os.path.dirname(self._path))

    def _write(self, written: list[Extent]) -> None:
        content = {
            "format": FORMAT,
            "base": self._root,
            "moment": self._moment,
            "written": written,
            "earlier": self.earlier,
        }
        sealed = _canonical({**content, "seal": blake3(_canonical(content)).hexdigest()})
        replace_file(self._path, [sealed, b"\n"])
        self._own = written


def is_dirty(manifest: FilePath, root: str) -> bool:
    """Tell whether a target may differ from this manifest, which has this root. Raises CheckpointError."""
    return bool(written_since(manifest, root))


def written_since(manifest: FilePath, root: str) -> list[Extent]:
    """Tell where a target may differ from this manifest, which has this root: sorted, in bytes. Raises
    CheckpointError."""
    known = _read(_path(manifest), root)
    return list(merge(known["earlier"] + known["written"])) if known else []


def _read(path: str, root: str) -> dict[str, Any] | None:
    """Read the list. Returns None when there is no such file, or it is about a manifest that was here before."""
    import json

    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"The list of what was written, {path}, can't be read: {error.strerror}.") from error
    try:
        known = json.loads(content)
        seal = known.pop("seal")
        whole = known["format"] == FORMAT and blake3(_canonical(known)).hexdigest() == seal
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:  # or a later version's: anything may have been written. To copy all of it is always right
        return {"moment": None, "written": [_EVERYTHING], "earlier": []}
    if known["base"] != root:
        return None
    return {**known, **{name: [Extent(*pair) for pair in known[name]] for name in ("written", "earlier")}}


def _canonical(value: dict[str, Any]) -> bytes:
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _path(manifest: FilePath) -> str:
    return f"{os.fspath(manifest)}.dirty"
