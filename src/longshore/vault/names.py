"""Names of a vault's objects, and how large each kind of them may be.

Others put files among them: a file server for what was deleted while it was open, a desktop for its icons, a console
for a folder, a program that copies for what it has begun. What isn't called as docs/formats/vault.md says is none of
the vault's, and is passed over.
"""

import re

_ID = r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}"
_POINT = r"[0-9a-z]{1,64}/\d{8}T\d{9}Z-[0-9a-f]{8}"
_KIB, _MIB = 1 << 10, 1 << 20
_OTHER = 64 * _KIB  # bytes of what is none of the vault's

PACKS, POINTS, HOLDS, WRITERS, LISTS, KEYS = "packs", "points", "holds", "writers", "condemned", "keys"
PLANS = "plans"
BEGINNING = ("README.txt", "restore.py")  # of a vault, beside its key: vault.json comes last

_PACK_NAME = re.compile(rf"{PACKS}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})\.pack")
_POINT_NAME = re.compile(rf"{POINTS}/({_POINT})\.point")
_HOLD_NAME = re.compile(rf"{HOLDS}/({_POINT})/([1-9][0-9]{{0,8}})\.hold")
_WRITER_NAME = re.compile(rf"{WRITERS}/({_ID})\.json")
_LIST_NAME = re.compile(rf"{LISTS}/([1-9][0-9]{{0,17}})\.json")
_PLAN_NAME = re.compile(rf"{PLANS}/({_ID})/\d{{8}}T\d{{9}}Z-[0-9a-f]{{8}}\.plan")
_KEY_NAME = re.compile(rf"{KEYS}/({_ID})\.json")
# Bytes that an object of each kind may have: whoever can write to the vault decides how many it has
_MOST = (
    (_PACK_NAME, 64 * _MIB),
    (_POINT_NAME, 4 * _MIB),
    (_HOLD_NAME, 64 * _KIB),
    (_WRITER_NAME, 4 * _MIB),
    (_LIST_NAME, 16 * _MIB),
    (_KEY_NAME, 64 * _KIB),
    (_PLAN_NAME, 16 * _MIB),
    (re.compile(r"vault\.json|prune\.json"), 64 * _KIB),
    (re.compile(r"README\.txt|restore\.py"), _MIB),
    (re.compile(r"(?:clock|probe)/[0-9a-f]{16}"), 64 * _KIB),
)


def is_known(name: str) -> bool:
    """Tell whether the format has objects that are called so."""
    return any(pattern.fullmatch(name) for pattern, _ in _MOST)


def most_bytes(name: str) -> int:
    """Return the most bytes that an object of this name may have."""
    return next((most for pattern, most in _MOST if pattern.fullmatch(name)), _OTHER)


def pack_in(name: str) -> bytes | None:
    """Return the pack that an object of this name is; None: it is none. The same of what follows."""
    found = _PACK_NAME.fullmatch(name)
    return bytes.fromhex(found[2]) if found else None


def point_in(name: str) -> str | None:
    """Return a point's name, by its object's."""
    found = _POINT_NAME.fullmatch(name)
    return found[1] if found else None


def point_of_hold(name: str) -> str | None:
    """Return the name of the point that a hold is of, by its object's."""
    found = _HOLD_NAME.fullmatch(name)
    return found[1] if found else None


def writer_in(name: str) -> str | None:
    found = _WRITER_NAME.fullmatch(name)
    return found[1] if found else None


def list_in(name: str) -> int | None:
    """Return the number of a list of condemned packs."""
    found = _LIST_NAME.fullmatch(name)
    return int(found[1]) if found else None


def key_in(name: str) -> str | None:
    found = _KEY_NAME.fullmatch(name)
    return found[1] if found else None


def plan_in(name: str) -> str | None:
    """Return the id of the plan that an object of this name keeps."""
    found = _PLAN_NAME.fullmatch(name)
    return found[1] if found else None


def is_point(name: str) -> bool:
    """Tell whether a point may be called so."""
    return re.fullmatch(_POINT, name) is not None
