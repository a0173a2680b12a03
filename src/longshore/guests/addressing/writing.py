"""Addresses are written into a guest, and what was there before is kept in it, for who goes back.

Files are written over, so that they keep their owner, mode and label.
"""

import json
import re
from collections.abc import Sequence

from longshore.errors import ConversionError
from longshore.guests.addressing.choosing import HOSTS, RESOLVERS, choose, unwritable
from longshore.guests.appliance import Guest
from longshore.guests.interfaces import network_configuration
from longshore.guests.report import Finished
from longshore.guests.selinux import label
from longshore.model.addresses import AdapterInGuest, NewAddresses
from longshore.model.strict_reading import Misread, read_json

BEFORE = "/var/lib/longshore/network-before"
_INDEX = f"{BEFORE}/index.json"
_GLOBAL = "/etc/sysconfig/network"
_LARGEST = 1 << 20
# With another cloud's metadata cloud-init would write the configuration anew at the first boot
_CLOUD_INIT, _CLOUD_INIT_OFF = "/etc/cloud/cloud.cfg", "/etc/cloud/cloud-init.disabled"
_KEEP_OFF = "/etc/cloud/cloud.cfg.d/99-longshore-addresses.cfg"
_KEEP_OFF_TEXT = "# The addresses were given to this guest on its disks\nnetwork: {config: disabled}\n"


def write_addresses(guest: Guest, new: NewAddresses, *, keep: bool) -> Finished:
    """Write new addresses into the guest. `keep`: so that `put_back` can undo it."""
    chosen = choose(_texts(guest), new)
    changed = dict(chosen.changed)
    if changed and guest.has_file(_CLOUD_INIT) and not guest.has_file(_CLOUD_INIT_OFF):
        changed[_KEEP_OFF] = _KEEP_OFF_TEXT
    if keep and changed:
        _keep(guest, sorted(changed))
    for path, text in changed.items():
        if text is None:
            guest.files.rm_f(path)
        else:
            _write(guest, path, text.encode())
    warnings = (f"Its addresses couldn't be written for {mac}: {why}." for mac, why in chosen.unwritten.items())
    return Finished(tuple(chosen.said), tuple(warnings))


def put_back(guest: Guest) -> list[str]:
    """Put back the network configuration that was there before, as `write_addresses` has kept it. Returns a sentence,
    if it has.

    Raises ConversionError.
    """
    if not guest.has_file(_INDEX):
        return []
    kept = _read_index(guest)
    for path, name in kept.items():
        if name is None:
            guest.files.rm_f(path)
        elif guest.has_file(path):
            guest.files.write(path, guest.files.read_file(f"{BEFORE}/{name}"))
        else:
            guest.files.cp_a(f"{BEFORE}/{name}", path)
    guest.files.rm_rf(BEFORE)
    return [f"The guest has the network configuration again that it had before: {', '.join(sorted(kept))}."]


def unwritable_in(guest: Guest, adapters: Sequence[AdapterInGuest]) -> dict[str, str]:
    """Return why adapters can't be given addresses, by the MAC that each has where it comes from."""
    return unwritable(_texts(guest), adapters)


def _texts(guest: Guest) -> dict[str, str]:
    texts = network_configuration(guest)
    for path in (RESOLVERS, HOSTS, _GLOBAL):
        if guest.files.is_file(path) and guest.files.filesize(path) <= _LARGEST:  # no link to what is made anew
            texts[path] = guest.text(path)
    return texts


def _write(guest: Guest, path: str, content: bytes) -> None:
    new = not guest.files.exists(path)
    if new:
        guest.files.mkdir_p(path.rpartition("/")[0])
    guest.files.write(path, content)
    if new:
        label(guest, path)


def _keep(guest: Guest, paths: Sequence[str]) -> None:
    """Keep the files as they are, but for those that an earlier call has kept: these are what was there before all of
    them."""
    index = _read_index(guest) if guest.has_file(_INDEX) else {}
    guest.files.mkdir_p(BEFORE)
    guest.files.chmod(0o700, BEFORE)
    for path in paths:
        if path in index:
            continue
        index[path] = str(len(index)) if guest.files.exists(path) else None
        if index[path] is not None:
            guest.files.cp_a(path, f"{BEFORE}/{index[path]}")
    guest.files.write(_INDEX, json.dumps(index).encode())


def _read_index(guest: Guest) -> dict[str, str | None]:
    """Return the kept files, and what each is called where it is kept; None: it was new. Raises ConversionError."""
    try:
        index = read_json(guest.text(_INDEX))
    except Misread:
        index = None
    if not isinstance(index, dict) or not all(
        path.startswith("/etc/") and ".." not in path and (name is None or re.fullmatch(r"\d+", str(name)))
        for path, name in index.items()
    ):
        raise ConversionError(f"The guest's {_INDEX} isn't as it was written, so what was there before isn't known.")
    return index
