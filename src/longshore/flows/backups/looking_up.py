"""What is backed up: a machine, or a volume that no machine has."""

from longshore.model.machine import VOLUME, Machine
from longshore.providers.contract import Source


def look_up(source: Source, word: str) -> Machine:
    """A machine by its name, path or reference; with `volume:` before it a volume by its name or id.

    Raises NotFound, Conflict when several are called so, or the volume has a machine.
    """
    if word.startswith(VOLUME):
        return source.volume(word.removeprefix(VOLUME))
    return source.machine(word)


def is_volume(machine: Machine) -> bool:
    """Whether it is a volume that no machine has."""
    return machine.ref.startswith(VOLUME)
