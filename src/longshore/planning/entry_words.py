"""Words by which a plan names its machines and volumes: they can be read back, and mean one entry each."""

from collections import Counter
from collections.abc import Iterator, Sequence

from longshore.model.machine import VOLUME, Machine
from longshore.model.plan import PlannedMachine, PlannedVolume
from longshore.planning.faults import LONGEST_NAME, LONGEST_PATH, RequestFault, check_name


def name_machines(machines: Sequence[Machine]) -> tuple[PlannedMachine, ...]:
    """Return each machine with its name, where that can mean no other one, else its path, else its reference."""
    fitting = [_fitting(machine) for machine in machines]
    words = _choose([machine.ref for machine in machines], fitting)
    return tuple(PlannedMachine(word, ref=machine.ref) for word, machine in zip(words, machines, strict=True))


def name_volumes(volumes: Sequence[Machine], among: Sequence[Machine]) -> tuple[PlannedVolume, ...]:
    """Return the same of volumes that no machine has, by their names or ids. `among`: all that the source has of
    them."""
    ids = [volume.disks[0].key for volume in among]
    words = dict(zip(ids, _choose(ids, [[volume.disks[0].name] for volume in among]), strict=True))
    return tuple(PlannedVolume(words[one.disks[0].key], ref=one.disks[0].key) for one in volumes)


def _fitting(machine: Machine) -> list[str]:
    """Return the words that fit a machine, the shortest first. None of them looks like a volume's."""
    path = f"{machine.folder}/{machine.name}" if machine.folder else machine.name
    words = (machine.name, path, f"{machine.datacenter}/{path}" if machine.datacenter else path)
    return [word for word in dict.fromkeys(words) if not word.startswith(VOLUME)]


def _choose(refs: Sequence[str], fitting: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the first word that fits each and no other one, be it as a name, a path or a reference."""
    fits = Counter(word for ref, words in zip(refs, fitting, strict=True) for word in {ref, *words})
    for ref, words in zip(refs, fitting, strict=True):
        yield next((word for word in words if fits[word] == 1 and can_be_read(word, LONGEST_PATH)), ref)


def can_be_read(word: str, longest: int = LONGEST_NAME) -> bool:
    """Tell whether a plan may have a word for a name."""
    try:
        check_name((), word, longest)
    except RequestFault:
        return False
    return True
