"""What a test may order of exports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ExportTrouble:
    """What is ordered of all exports of a vCenter."""

    host: str = ""
    """Where disks are fetched instead, as of an ESXi host: an address and port."""
    thumbprint: str = ""
    """What the lease says of that host's certificate."""
    cut_after: int = 0
    """Bytes, after which a disk that is sent ends as if it were whole; 0: it is whole."""
    cuts: int = 0
    """How many of the next ones are cut."""
    empty: int = 0
    """How many of the next ones bring nothing."""
    damaged: int = 0
    """How many of the next ones have another digest in the manifest."""
    slow: float = 0.0
    """Seconds that each piece of a disk takes."""
    silent: bool = False
    """The manifest stays empty."""
    sha256: bool = False
    """The manifest has the newer digest alone."""
