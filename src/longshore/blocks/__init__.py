"""Moves blocks between NBD exports: serve them, copy them, prove them. Knows nothing of clouds."""

from longshore.blocks.process import run_copy
from longshore.blocks.request import CopyRequest, CopyResult, Phase, Progress
from longshore.model.request import Verify

__all__ = ["CopyRequest", "CopyResult", "Phase", "Progress", "Verify", "run_copy"]
