"""The ways into an encrypted vault: its one key, wrapped once for each pass phrase that opens it."""

import base64
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.vault import names
from longshore.vault.errors import Damaged
from longshore.vault.sealing import InBarbican, Sealed, Wrapped, read_own_sum, with_own_sum
from longshore.vault.vault import MOST_KEYS, Vault

DAMAGED = "(can't be read)"  # instead of what such a key is for
_RECOVERY = 20  # bytes of chance: nobody guesses it, and it can be written down
_GROUP = 4  # letters of it that stand together


@dataclass(frozen=True, slots=True)
class VaultKey:
    id: str
    name: str  # what it is for; empty: nobody has said
    made_at: datetime | None  # None: that isn't known
    opens: bool  # the vault was opened with it
    kept: InBarbican | None = None  # where its pass phrase is; None: whoever knows it knows it


def new_recovery_key() -> str:
    """Make up a pass phrase that nobody chose: eight groups of four letters and digits."""
    text = base64.b32encode(secrets.token_bytes(_RECOVERY)).decode()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def keys_of(vault: Vault) -> list[VaultKey]:
    """List the keys in the order in which they were made. Raises InvalidInput, Damaged."""
    _sealing(vault)
    found = []
    for name in vault.store.names(names.KEYS):
        if (id_ := names.id_in(names.KEYS, name)) is None:
            continue
        try:
            told = read_own_sum(name, vault.store.read(name))
        except NotFound:  # it was removed, and is listed still
            continue
        except Damaged:
            found.append(VaultKey(id_, DAMAGED, None, opens=False))
            continue
        at = _moment(told.get("made"))
        found.append(VaultKey(id_, str(told.get("name", "")), at, vault.opened_by == name, InBarbican.of(told)))
    return sorted(found, key=lambda key: (key.made_at or datetime.min.replace(tzinfo=UTC), key.id))


def add_key(
    vault: Vault, pass_phrase: str, name: str, *, id_: str | None = None, kept: InBarbican | None = None
) -> VaultKey:
    """Add a key that opens the vault from now on, too. `kept`: where the pass phrase is. Raises InvalidInput,
    Conflict."""
    sealing = _sealing(vault)
    if not (pass_phrase and pass_phrase.isprintable()):
        raise InvalidInput("The pass phrase isn't one line of text.")
    refuse_taken(vault, name)
    if len(keys_of(vault)) >= MOST_KEYS:
        raise Conflict(f"The vault has {MOST_KEYS} keys already.", advice="Remove one: longshore vault key delete.")
    now, id_ = datetime.now(UTC), id_ or str(uuid.uuid4())
    told = Wrapped.by_pass_phrase(sealing.key, vault.id, pass_phrase).told
    content = {**told, **(kept.told if kept else {}), "name": name, "made": now.isoformat(timespec="seconds")}
    vault.store.create(names.key_name(id_), with_own_sum(content))
    return VaultKey(id_, name, now, opens=False, kept=kept)


def refuse_taken(vault: Vault, name: str) -> None:
    """Raise Conflict when a key is called so; InvalidInput when the vault isn't encrypted."""
    if name in {key.name for key in keys_of(vault)}:
        raise Conflict(f"The vault has a key for {name} already.", advice="Call it something else, or remove that one.")


def removable_key(vault: Vault, word: str) -> VaultKey:
    """Find a key by its id, or what it is for. Raises NotFound; Conflict for the one that the vault was opened with."""
    found = [key for key in keys_of(vault) if word in (key.id, key.name)]
    if not found:
        raise NotFound(f"The vault has no key {word}.", advice="See: longshore vault key list.")
    if len(found) > 1:
        listed = ", ".join(f"{key.name} ({key.id})" for key in found)
        raise Conflict(f"The vault has several keys {word}: {listed}.", advice="Name one by what only it has.")
    if found[0].opens:
        raise Conflict(
            "That is the key by which the vault is opened here.",
            advice="First have it opened by another one: longshore provider set NAME --pass-phrase-file FILE.",
        )
    return found[0]


def remove_key(vault: Vault, word: str) -> None:
    """Remove a key, found as by `removable_key`. Whoever has a copy of the vault as it was can still open that with
    it."""
    vault.store.delete(names.key_name(removable_key(vault, word).id))


def _sealing(vault: Vault) -> Sealed:
    if not isinstance(vault.keys, Sealed):
        raise InvalidInput("The vault isn't encrypted: it has no keys.")
    return vault.keys


def _moment(told: object) -> datetime | None:
    try:
        return datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
