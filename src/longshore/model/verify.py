"""The ways of reading back from a target. A module of its own: a copy's process has no time to import more of the
model."""

from enum import StrEnum


class Verify(StrEnum):
    """The amount that is read back from the target after a copy."""

    NONE = "none"
    WRITTEN = "written"  # what this copy wrote, in all its runs
    FULL = "full"  # the whole disk
