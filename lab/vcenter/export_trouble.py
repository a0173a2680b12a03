"""Faults of exports, which tests order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ExportTrouble:
    """Says how the exports of a vCenter go wrong."""

    host: str = ""  # address and port of an ESXi host from which disks are fetched; empty: from the vCenter
    thumbprint: str = ""  # of that host's certificate, as leases tell it
    cut_after: int = 0  # bytes, after which a disk ends as if it were whole
    cuts: int = 0  # disks from now on that end so
    empty: int = 0  # disks from now on of which nothing is sent
    damaged: int = 0  # disks from now on that have another digest in the manifest
    slow: float = 0.0  # seconds that each piece of a disk takes
    silent: bool = False  # the manifest stays empty
    sha256: bool = False  # the manifest has the newer digest alone
