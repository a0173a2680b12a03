"""Looking up what is to be backed up: a machine, or a volume that no machine has."""

from longshore.model.machine import VOLUME, Machine
from longshore.providers.contract import Source


def look_up(source: Source, word: str) -> Machine:
    """Return the machine of this name, path or reference; with `volume:` before it the volume of this name or id.

    Raise NotFound, or Conflict when several are called so, or the volume has a machine.
    """
    if word.startswith(VOLUME):
        return source.volume(word.removeprefix(VOLUME))
    return source.machine(word)


def is_volume(machine: Machine) -> bool:
    """Tell whether this stands for a volume that no machine has."""
    return machine.ref.startswith(VOLUME)
