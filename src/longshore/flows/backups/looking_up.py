"""Looking up what is to be backed up: a machine, or a volume that no machine has."""

from contextlib import suppress

from longshore.errors import Conflict, LongshoreError, NotFound
from longshore.model.backup_policy import KnownMachine
from longshore.model.machine import VOLUME, Machine, PowerState
from longshore.providers.contract import Source


def look_up(source: Source, word: str) -> Machine:
    """Return the machine of this name, path or reference; with `volume:` before it the volume of this name or id.

    Raise NotFound, or Conflict when several are called so, or the volume has a machine.
    """
    if word.startswith(VOLUME):
        return source.volume(word.removeprefix(VOLUME))
    return source.machine(word)


def look_up_again(source: Source, word: str, known: KnownMachine | None) -> Machine:
    """Return the machine that a policy names by a word, wherever it is now. `known`: the one that it meant before.

    A word that has become the reference of another machine, or means none or several, still means the machine that has
    the UUIDs, or where there are none the reference. A name that another machine alone has means that one. Raise
    NotFound, or Conflict as `look_up` does and for the reference of another machine.
    """
    if known is None:
        return look_up(source, word)
    before = Machine(
        known.ref,
        known.name,
        PowerState.UNKNOWN,
        0,
        0,
        (),
        (),
        uuid=known.uuid,
        instance_uuid=known.instance_uuid,
        platform=known.platform,
    )
    why: LongshoreError
    try:
        found = look_up(source, word)
    except (NotFound, Conflict) as error:
        why = error
    else:
        if found.ref != word or not found.is_another_than(before):
            return found
        why = Conflict(
            f"{known.name} is gone: {word} is the reference of another machine now, {found.name}.",
            advice="Have the policy name the machine that it is to back up: longshore backup policy set.",
        )
    now = source.registered_as(before) if known.instance_uuid else known.ref  # which is of nothing else, ever
    with suppress(NotFound, Conflict):
        if now is not None:
            return source.by_reference(now)
    raise why


def is_volume(machine: Machine) -> bool:
    """Tell whether this stands for a volume that no machine has."""
    return machine.ref.startswith(VOLUME)
