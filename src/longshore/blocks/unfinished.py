"""A manifest of what a copy that was broken off for good has brought to its target: a base for a copy of a later
moment.

A checkpoint is of use to the same copy alone: another moment of the source is another copy. What it says of the target
stays true all the same. As a manifest in which the digests of all other blocks are unknown it is a base like any
other: a copy with this base moves the unknown blocks whatever the source says, and of the others those that changed.
"""

from __future__ import annotations

import os

from blake3 import blake3

from longshore.blocks.checkpoint import Checkpoint, discard, identity_of
from longshore.blocks.dirty import written_since
from longshore.blocks.findings import Findings
from longshore.blocks.manifest import Digests, read_manifest, write_manifest
from longshore.blocks.request import FilePath

_ROOT_CONTEXT = b"longshore unfinished manifest 1\0"  # no whole disk has such a root


def keep_unfinished(checkpoint: FilePath, manifest: FilePath, base: FilePath | None = None) -> str | None:
    """Make a manifest of what a broken-off copy has recorded, and discard its checkpoint.

    `base` is the manifest that the copy began with. Returns the new manifest's root; None when there is no checkpoint
    of such a copy, or it has recorded nothing. Called again it returns the same. Raises CheckpointError.
    """
    if not os.path.exists(manifest) and not _write(checkpoint, manifest, base):
        return None
    discard(checkpoint)
    return read_manifest(manifest)[1]


def _write(checkpoint: FilePath, manifest: FilePath, base: FilePath | None) -> bool:
    identity = identity_of(checkpoint)
    if identity is None:
        return False
    digests, root = read_manifest(base) if base is not None else (Digests(identity.size, identity.block_size), "")
    if identity.base != root:
        return False
    if base is not None:
        digests.forget(written_since(base, root))
    opened = Checkpoint.open(checkpoint, identity)
    try:
        findings = Findings(digests)
        for record in opened.records():
            findings.remember(record)
    finally:
        opened.close()
    if not digests.any_known:
        return False
    name = blake3(_ROOT_CONTEXT)
    for first, count, kind in digests.runs():
        name.update(b"%d %d %d " % (first, count, kind))
        name.update(digests.table(first, count))
    write_manifest(manifest, digests, source=identity.source, root=name.hexdigest())
    return True
