"""Moves blocks between NBD exports: serve them, copy them, prove them. Usable alone, as `longshore copy`.

Knows NBD, extents, digests and checkpoints, and nothing of clouds, guests or the database. A copy is a process that
lives for a tenth of a second at times: what it doesn't need it doesn't import.
"""

from longshore.blocks.request import CopyProgress, CopyRequest, CopyResult, Phase
from longshore.model.verify import Verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from longshore.blocks.process import run_copy

__all__ = ["CopyProgress", "CopyRequest", "CopyResult", "Phase", "Verify", "run_copy"]


def __getattr__(name: str) -> object:
    # The copy's own process passes here too, and must not spend its first 50 ms on importing asyncio
    if name == "run_copy":
        from longshore.blocks.process import run_copy

        return run_copy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
