"""A machine as a backup in files tells of it."""

from typing import NamedTuple

from longshore.errors import LongshoreError
from longshore.model.machine import Machine


class Recorded(NamedTuple):
    id: str  # among the machines of one document; empty: it is of one alone
    machine: Machine
    images: tuple[str, ...]  # of its disks, in their order: paths below the provider's directory
    wrong: LongshoreError | None = None  # why its disks can't be told: it is shown without them
