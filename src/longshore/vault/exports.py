"""A vault's disks as NBD exports: a server process for each, which dies with ours."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from longshore.blocks.exports import LocalExport, serve_own
from longshore.vault.geometry import Top
from longshore.vault.vault import Vault


@contextmanager
def serve_disk(vault: Vault, top: Top, *, port: int | None = None, called: str = "") -> Iterator[LocalExport]:
    """Serve a disk of a point for reading; with `port` on the loopback address (0: any free port). `called`: the point,
    the machine and the disk, for who hears that something is damaged. Raises ExportError."""
    with _serving(vault, {"top": top.told(), "called": called}, port) as export:
        yield export


@contextmanager
def serve_new_disk(
    vault: Vault, base: Top, journal: Path, writer_id: str, known: Sequence[Top] = ()
) -> Iterator[LocalExport]:
    """Serve a disk that is being backed up, for writing, while the writer gives signs of life. Raises ExportError.

    `known`: disks that the writer is based on, too, whose blocks needn't be stored again.

    Nobody serves it a second time meanwhile, nor finishes it. Whoever reads or writes is told that something of what it
    is based on is damaged by an error alone; `disks.told_damage` says what.
    """
    told = [top.told() for top in known]
    what = {"top": base.told(), "journal": str(journal), "writer": writer_id, "known": told}
    with _serving(vault, what) as export:
        yield export


@contextmanager
def _serving(vault: Vault, what: dict[str, Any], port: int | None = None) -> Iterator[LocalExport]:
    told = json.dumps({"vault": vault.store.told(), "key": vault.key, **what})
    command = [sys.executable, "-m", "longshore.vault"]
    with serve_own(f"the server of the vault {vault.store}", command, told, port=port) as export:
        yield export
