"""Names of a vault's objects, and how large each kind of them may be.

Others put files among them: a file server for what was deleted while it was open, a desktop for its icons, a console
for a folder, a program that copies for what it has begun. What isn't called as docs/formats/vault.md says is none of
the vault's, and is passed over.
"""

import re
import secrets
from datetime import UTC, datetime

_ID = r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}"
_POINT = r"[0-9a-z]{1,64}/\d{8}T\d{9}Z-[0-9a-f]{8}"
_KIB, _MIB = 1 << 10, 1 << 20
_OTHER = 64 * _KIB  # bytes of what is none of the vault's

PACKS, POINTS, HOLDS, WRITERS, LISTS, KEYS = "packs", "points", "holds", "writers", "condemned", "keys"
PLANS = "plans"
DESCRIPTION = "vault.json"
BEGINNING = ("README.txt", "restore.py")  # of a vault, beside its key: vault.json comes last

# What an object of each folder is called, and how many bytes it may have: anybody who can write to the vault decides
# how many it has
_IN_FOLDERS = {
    PACKS: (re.compile(rf"{PACKS}/([0-9a-f]{{2}})/(?P<id>\1[0-9a-f]{{62}})\.pack"), 64 * _MIB),
    POINTS: (re.compile(rf"{POINTS}/(?P<id>{_POINT})\.point"), 4 * _MIB),
    HOLDS: (re.compile(rf"{HOLDS}/(?P<id>{_POINT})/[1-9][0-9]{{0,8}}\.hold"), 64 * _KIB),
    WRITERS: (re.compile(rf"{WRITERS}/(?P<id>{_ID})\.json"), 16 * _MIB),  # of copies, with each disk of all points
    LISTS: (re.compile(rf"{LISTS}/(?P<id>[1-9][0-9]{{0,17}})\.json"), 16 * _MIB),
    KEYS: (re.compile(rf"{KEYS}/(?P<id>{_ID})\.json"), 64 * _KIB),
    PLANS: (re.compile(rf"{PLANS}/(?P<id>{_ID})/\d{{8}}T\d{{9}}Z-[0-9a-f]{{8}}\.plan"), 16 * _MIB),
}
_MOST = (
    *_IN_FOLDERS.values(),
    (re.compile(r"vault\.json|prune\.json"), 64 * _KIB),
    (re.compile(r"README\.txt|restore\.py"), _MIB),
    (re.compile(r"(?:clock|probe)/[0-9a-f]{16}"), 64 * _KIB),
)


def key_name(id_: str) -> str:
    """Return the name of the object that a vault's key is kept in; its first key has the vault's own id."""
    return f"{KEYS}/{id_}.json"


def stamp(moment: datetime) -> str:
    """Return the last part of a new point's or plan's name, without its ending: the time to the millisecond, so that
    sorting by name sorts by age, and eight random digits."""
    when = moment.astimezone(UTC)
    return f"{when:%Y%m%dT%H%M%S}{when.microsecond // 1000:03}Z-{secrets.token_hex(4)}"


def is_known(name: str) -> bool:
    """Tell whether the format has objects that are called so."""
    return any(pattern.fullmatch(name) for pattern, _ in _MOST)


def most_bytes(name: str) -> int:
    """Return the most bytes that an object of this name may have."""
    return next((most for pattern, most in _MOST if pattern.fullmatch(name)), _OTHER)


def id_in(folder: str, name: str) -> str | None:
    """Return what the object of this name is about, if it is one of this folder's: the hash of a pack, a point's name
    (also of a hold), a list's number, the id of a writer, of a key, or of the plan that is kept; else None."""
    found = _IN_FOLDERS[folder][0].fullmatch(name)
    return found["id"] if found else None


def is_point(name: str) -> bool:
    """Tell whether a point may be called so."""
    return re.fullmatch(_POINT, name) is not None
