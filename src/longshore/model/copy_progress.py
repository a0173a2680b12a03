"""The progress of a disk's copy, in figures."""

from collections.abc import Mapping
from typing import Any, NamedTuple

MOVING = ("copying", "verifying")  # states of a disk that is being copied or read back


class CopyFigures(NamedTuple):
    """Figures of the phase that the copy is in."""

    done: int  # bytes
    total: int  # bytes
    rate: float  # bytes per second
    left: float | None  # seconds; None: it isn't known yet, or is less than one


def figures_of(state: str, progress: Mapping[str, Any] | None) -> CopyFigures:
    """Return the figures of a disk in this state. `progress`: as the copy tells it; None: it has told nothing yet."""
    said = progress or {"done": 0, "total": 0, "verified": 0, "to_verify": 0, "rate": 0.0}
    verifying = state == "verifying"
    done = said["verified"] if verifying else said["done"]
    total = said["to_verify"] if verifying else said["total"]
    left = said.get("eta")
    return CopyFigures(int(done), max(int(total), 1), said["rate"], left if left is not None and left >= 1 else None)
