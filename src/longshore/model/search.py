"""Looking for machines by words and `field:value`, as people type it into one line: `web folder:Prod power:on`."""

import shlex
from collections.abc import Callable, Sequence

from longshore.errors import InvalidInput
from longshore.model.machine import Machine

Fits = Callable[[Machine], bool]

_FIELDS: dict[str, Callable[[Machine], Sequence[str]]] = {
    "name": lambda m: (m.name,),
    "folder": lambda m: (m.folder,),
    "cluster": lambda m: (m.cluster,),
    "host": lambda m: (m.host,),
    "power": lambda m: (m.power.value,),
    "os": lambda m: (m.guest_name, m.guest_id),
    "network": lambda m: [nic.network for nic in m.nics],
    "storage": lambda m: [disk.storage for disk in m.disks],
    "ip": lambda m: [address for nic in m.nics for address in nic.addresses],
}
_WITHIN = "in"  # a folder, and what is below it
FIELDS = (*_FIELDS, _WITHIN)
_WHOLE = ("power",)  # "on" isn't part of anything else's name
_LONGEST = 500  # characters


def parse_search(text: str) -> Fits:
    """Parse a search into a function that tells whether a machine has all of it; nothing fits every one. Case doesn't
    count, parts of names are enough.

    A word without a field is looked for in name, path, guest and reference; quotes hold words together. Raises
    InvalidInput for a field that there isn't.
    """
    if len(text) > _LONGEST:
        raise InvalidInput(f"A search has at most {_LONGEST} characters.")
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that is still open: whoever types will close it
        words = text.replace('"', " ").replace("'", " ").split()
    wanted = [_part(word) for word in words]
    return lambda machine: all(fits(machine) for fits in wanted)


def _part(word: str) -> Fits:
    field, colon, value = word.partition(":")
    value = value.casefold()
    if not colon:
        return lambda m: _has((f"{m.folder}/{m.name}", m.guest_name, m.ref, m.host_name), word.casefold())
    if field.casefold() == _WITHIN:
        below = f"{value.strip('/')}/"
        return lambda m: f"{m.folder.strip('/')}/".casefold().startswith(below)
    read = _FIELDS.get(field.casefold())
    if read is None:
        raise InvalidInput(f'Machines have no field "{field}" to look for.', advice=f"There are: {', '.join(FIELDS)}.")
    if field.casefold() in _WHOLE:
        return lambda m: value in (one.casefold() for one in read(m))
    return lambda m: _has(read(m), value)


def _has(texts: Sequence[str], wanted: str) -> bool:
    return any(wanted in text.casefold() for text in texts)
