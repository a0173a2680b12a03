"""Changes of a disk since a point in time, or the honest answer that nobody knows."""

from dataclasses import dataclass

from longshore.model.extents import Extent


@dataclass(frozen=True, slots=True)
class Changed:
    """Every byte that may differ lies in these extents: sorted, not overlapping."""

    extents: tuple[Extent, ...]
    tried: bool = False  # the source is known to leave out something at times: whoever copies by it tries its word


@dataclass(frozen=True, slots=True)
class Unknown:
    """The source can't say what changed. Never to be read as "nothing": the whole disk has to be compared."""

    reason: str


Changes = Changed | Unknown
