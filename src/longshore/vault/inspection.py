"""Findings in a vault beside its points and packs: what lies in it that is none of its own, and what can't be used."""

import hashlib
from importlib.resources import files

from longshore.errors import LongshoreError, NotFound
from longshore.vault import names
from longshore.vault.errors import Damaged
from longshore.vault.holds import DAMAGED, holds
from longshore.vault.sealing import read_object, read_own_sum
from longshore.vault.vault import Vault

_SCRIPT = "restore.py"


def passed_over(vault: Vault) -> list[str]:
    """Return the names of objects that are none of the vault's: nothing is done with them."""
    return sorted(name for name in vault.store.names("") if not names.is_known(name))


def unusable(vault: Vault) -> list[str]:
    """Return sentences about what isn't as it was written, or isn't Longshore's, beside points and packs."""
    said = []
    if _restore_script(vault) not in _known_scripts():
        said.append(
            f"{_SCRIPT} in the vault is none that Longshore has written, and whoever restores by it gives it the pass "
            "phrase: take that of a release."
        )
    said += [f"{name} can't be read." for name in _unreadable(vault)]
    said += [
        f"What holds the point {point} can't be read, so it stays. To release it: longshore backup release {point} "
        f"--name {DAMAGED}."
        for point, hold in holds(vault).items()
        if hold.name == DAMAGED
    ]
    return said


def _unreadable(vault: Vault) -> list[str]:
    """Return the names of damaged objects among those that have no point's form: keys, writers and lists."""
    found = []
    for folder, read in ((names.KEYS, read_own_sum), (names.WRITERS, read_object), (names.LISTS, read_object)):
        for name in vault.store.names(folder):
            try:
                if names.is_known(name):
                    read(name, vault.store.read(name))
            except NotFound:  # it has just gone
                continue
            except Damaged:
                found.append(name)
    return sorted(found)


def _restore_script(vault: Vault) -> str:
    """Return the hash of the vault's restore script; empty where there is none."""
    try:
        return hashlib.sha256(vault.store.read(_SCRIPT)).hexdigest()
    except LongshoreError:
        return ""


def _known_scripts() -> set[str]:
    told = (files("longshore.vault") / "left" / "restore.sha256").read_text()
    return {line.split()[0] for line in told.splitlines() if line and not line.startswith("#")}
