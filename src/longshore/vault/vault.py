"""A vault: made once, opened by whoever writes, reads or prunes it."""

import secrets
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from longshore.errors import AccessDenied, Conflict, InvalidInput, LongshoreError, NotFound
from longshore.vault import names
from longshore.vault.errors import ARCHIVED, Damaged, WrongKey
from longshore.vault.geometry import BLOCK, FANOUT
from longshore.vault.makers import User
from longshore.vault.sealing import (
    KEY,
    InBarbican,
    OpenSecret,
    Plain,
    Sealed,
    Wrapped,
    read_own_sum,
    with_own_sum,
    wrong_key,
)
from longshore.vault.store import Store

FORMAT = "longshore vault 1"
_LEFT = ("README.txt", "restore.py")
GRACE = 24 * 3600.0  # seconds, unless the vault says otherwise
MOST_KEYS = 32  # that are tried: each has the pass phrase stretched anew
LOCKING = "object-lock"  # a feature: whoever writes has to lock, whoever prunes to renew
Use = Literal["read", "write", "prune"]
_KNOWN: dict[Use, frozenset[str]] = {
    "read": frozenset({"aes-256-gcm"}),
    "write": frozenset({"aes-256-gcm", LOCKING}),
    "prune": frozenset({"aes-256-gcm", LOCKING}),
}


def store_at(told: Mapping[str, str]) -> Store:
    """Open the store that `Store.told` describes."""
    if "directory" in told:
        from longshore.vault.directory import Directory

        return Directory(Path(told["directory"]))
    from longshore.vault.bucket import Bucket  # whoever has a directory doesn't load what S3 takes

    return Bucket(**told)


@dataclass(frozen=True, slots=True)
class Vault:
    """One that is open: where its objects are, and what seals them."""

    id: str
    store: Store
    keys: Plain
    grace: float  # seconds without a sign of life after which a writer counts as dead, and before a pack may go
    lock: float | None = None  # seconds for which what a restore needs is locked; None: it isn't
    opened_by: str = ""  # the object that has its key, as that was unwrapped; empty: it wasn't
    user: User | None = None  # for whom it is opened; None: for whoever has what opens it, who sees all that is in it

    @property
    def encrypted(self) -> bool:
        return isinstance(self.keys, Sealed)

    @property
    def key(self) -> str:
        """Return the key for another process that is to open the vault (`with_key`); empty where nothing is
        encrypted."""
        return self.keys.key.hex() if isinstance(self.keys, Sealed) else ""

    def stretched(self, pass_phrase: str) -> str:
        """Return what the pass phrase that has opened the vault gives (`sealing.remember`). Raises NotFound,
        Damaged."""
        return Wrapped(read_own_sum(self.opened_by, self.store.read(self.opened_by))).stretched(pass_phrase)

    @classmethod
    def create(
        cls,
        store: Store,
        pass_phrase: str | None = None,
        *,
        grace: float = GRACE,
        lock: float | None = None,
        id_: str | None = None,
        kept: InBarbican | None = None,
        key_written: Callable[[], None] = lambda: None,
    ) -> "Vault":
        """Create a vault where nothing is yet but what a vault that was never whole has left. Its first key has its id,
        `id_` where that is said.

        `lock`: seconds from any moment on for which nobody can delete what is there then.
        `kept`: where the pass phrase is. `key_written` is called when the vault says so, before it is one.

        Raises Conflict, InvalidInput.
        """
        if pass_phrase is not None and not (pass_phrase and pass_phrase.isprintable()):
            raise InvalidInput("The pass phrase isn't one line of text.")
        if lock is not None:
            store = _locked(store, lock + grace)
        store.prepare()
        id_, made = id_ or str(uuid.uuid4()), list[str]()

        def create(name: str, data: bytes) -> None:
            made.append(name)  # also one that is there, and was answered otherwise
            try:
                store.create(name, data)
            except Conflict:
                made.remove(name)
                raise
            if name == names.key_name(id_):
                key_written()

        try:
            keys = _fill(create, id_, pass_phrase, kept, grace, lock)
            _refuse_robbed(store, keys, id_)
            store.lock_all()
        except BaseException:
            with suppress(LongshoreError):  # what went wrong first is told
                store.discard(made)
            raise
        return cls(id_, store, keys, grace, lock, names.key_name(id_) if isinstance(keys, Sealed) else "")

    def discard(self) -> None:
        """Remove a vault that has just been made, and is not to be."""
        self.store.discard([names.DESCRIPTION, *_LEFT, names.key_name(self.id)])

    @classmethod
    def open(
        cls, store: Store, use: Use, pass_phrase: str | None = None, open_secret: OpenSecret | None = None
    ) -> "Vault":
        """Open a vault: with `open_secret` by a key whose pass phrase is in Barbican, else by the pass phrase.

        Raises NotFound, InvalidInput for a feature that isn't known, WrongKey, Damaged, and what `open_secret` does.
        """
        store, told = _described(store, use)
        keys, opened_by = Plain(), ""
        if told["encryption"] is not None and open_secret is not None:
            keys, opened_by = _unlocked_from_barbican(store, told["id"], open_secret)
        elif told["encryption"] is not None:
            keys, opened_by = _unlocked(store, told["id"], pass_phrase)
        elif pass_phrase or open_secret is not None:
            raise InvalidInput(f"The vault {store} isn't encrypted.", advice="Leave the pass phrase, or Barbican, out.")
        return cls(told["id"], store, keys, float(told["grace"]), told.get("lock"), opened_by)

    @classmethod
    def with_key(cls, store: Store, use: Use, key: str) -> "Vault":
        """Open a vault with the `key` of another process that has opened it."""
        store, told = _described(store, use)
        keys = Sealed(bytes.fromhex(key)) if key else Plain()
        return cls(told["id"], store, keys, float(told["grace"]), told.get("lock"))


def _fill(  # noqa: PLR0917
    create: Callable[[str, bytes], None],
    id_: str,
    pass_phrase: str | None,
    kept: InBarbican | None,
    grace: float,
    lock: float | None,
) -> Plain:
    """Write a new vault's objects, its description last, and return its keys."""
    from importlib.resources import files  # who opens a vault needs none of it

    features = [] if pass_phrase is None else ["aes-256-gcm"]
    keys = Plain() if pass_phrase is None else Sealed(secrets.token_bytes(KEY))
    if isinstance(keys, Sealed) and pass_phrase is not None:
        wrapped = Wrapped.by_pass_phrase(keys.key, id_, pass_phrase)
        create(names.key_name(id_), with_own_sum({**wrapped.told, **(kept.told if kept else {})}))
    for name in _LEFT:
        create(name, (files("longshore.vault") / "left" / name).read_bytes())
    changing = features if lock is None else [*features, LOCKING]
    description = {
        "format": FORMAT,
        "id": id_,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "block_size": BLOCK,
        "fanout": FANOUT,
        "compression": "zstd",
        "encryption": "aes-256-gcm" if pass_phrase is not None else None,
        "grace": grace,
        "features": {"read": features, "write": changing, "prune": changing},
    }
    if lock is not None:
        description["lock"] = lock
    create(names.DESCRIPTION, with_own_sum(description))
    return keys


def _refuse_robbed(store: Store, keys: Plain, id_: str) -> None:
    """Raise Conflict when whoever made another vault there at the same time has taken this one's key for a remnant."""
    if isinstance(keys, Sealed) and not store.has(names.key_name(id_)):
        raise Conflict(f"Somebody else has just made a vault in {store}, too.", advice="Begin again.")


def _described(store: Store, use: Use) -> tuple[Store, dict[str, Any]]:
    """Return the store, so that it locks if this vault does, and the vault's description."""
    told = _description(store, use)
    return (store if told.get("lock") is None else _locked(store, float(told["lock"]) + float(told["grace"]))), told


def _locked(store: Store, lock: float) -> Store:
    from longshore.vault.locked_bucket import locked  # whoever has a directory doesn't load what S3 takes

    return locked(store, lock)


def _description(store: Store, use: Use) -> dict[str, Any]:
    """Read the description as it was written at first, where the store keeps that: whoever writes it again makes no
    other vault of it."""
    try:
        told = read_own_sum(names.DESCRIPTION, store.read_first(names.DESCRIPTION))
        features = told["features"][use]
        known = told["format"] == FORMAT and (told["block_size"], told["fanout"]) == (BLOCK, FANOUT)
        known = known and told["encryption"] in (None, "aes-256-gcm") and told["compression"] == "zstd"
        strange = [each for each in features if each not in _KNOWN[use]]
        sound = float(told["grace"]) > 0 and float(told.get("lock") or 1) > 0 and isinstance(told["id"], str)
    except NotFound:
        raise NotFound(
            f"There is no vault in {store}.",
            advice="Is it mounted, or was it deleted (longshore vault recover)? To make one: longshore vault create.",
        ) from None
    except (Damaged, KeyError, TypeError, ValueError) as error:
        if isinstance(error, Damaged) and error.code == ARCHIVED:
            raise
        sound = False
    if not sound:
        raise Damaged(
            f"{names.DESCRIPTION} of the vault {store} isn't what was written.",
            advice="Put it back from a copy of the vault; in a bucket with object lock: longshore vault recover.",
        )
    if not known or strange:
        raise InvalidInput(
            f"The vault in {store} has what this release doesn't know "
            f"({', '.join(map(repr, strange)) if strange else repr(told['format'])}).",
            advice=f"Use a later release to {use} it.",
        )
    return told


def _unlocked(store: Store, id_: str, pass_phrase: str | None) -> tuple[Sealed, str]:
    """Unlock the vault by a pass phrase. Returns its keys, and the name of the object that had the key."""
    what = f"The vault {store}"
    if not pass_phrase:
        found = [InBarbican.of(told) for _, told in _keys(store)]
        where = next((f", or name the provider whose Barbican ({kept.auth_url}) has it" for kept in found if kept), "")
        raise InvalidInput(f"{what} is encrypted.", advice=f"Give its pass phrase{where}.")
    damaged: list[str] = []
    keys = [(name, Wrapped(told)) for name, told in _keys(store, damaged.append)]
    # For each that is tried the pass phrase has to be stretched anew, unless what it gives is known
    for name, wrapped in sorted(keys, key=lambda one: not one[1].is_known(pass_phrase)):
        try:
            key = wrapped.unwrap(id_, pass_phrase)
        except Damaged:
            damaged.append(name)
            continue
        if key is not None:
            return Sealed(key), name
    raise wrong_key(what, damaged)


def _unlocked_from_barbican(store: Store, id_: str, open_secret: OpenSecret) -> tuple[Sealed, str]:
    """Unlock the vault by a pass phrase from Barbican, as `_unlocked` does. The secrets of several keys may be in
    several clouds: one that can be had is enough."""
    what = f"The vault {store}"
    failure: LongshoreError | None = None
    for name, told in _keys(store):
        kept = InBarbican.of(told)
        if kept is None:
            continue
        try:
            key = Wrapped(told).unwrap(id_, open_secret(kept.secret))
        except Damaged as error:
            failure = failure or error
            continue
        except NotFound as error:
            failure = failure or WrongKey(
                f"{what} can't be opened: the secret {kept.secret}, by which it opens, isn't there. {error.message}",
                advice=error.advice,
            )
            continue
        except AccessDenied as error:
            failure = failure or AccessDenied(f"{what} can't be opened. {error.message}", advice=error.advice)
            continue
        if key is not None:
            return Sealed(key), name
        failure = failure or WrongKey(
            f"{what} can't be opened: the secret {kept.secret} in Barbican isn't what it was wrapped by.",
            advice=_OTHERWISE,
        )
    raise failure or InvalidInput(f"{what} has no key in Barbican.", advice="Give its pass phrase instead.")


_OTHERWISE = "Have it opened by another of its keys: longshore provider set NAME --barbican '' --pass-phrase-file FILE."


def _keys(store: Store, damaged: Callable[[str], None] = lambda _name: None) -> list[tuple[str, dict[str, Any]]]:
    """Return the keys of a known kind, the oldest first: so of several it is always the same that opens the vault.

    `damaged` is told the names of those that can't be read.
    """
    found = []
    for name in store.names(names.KEYS):
        if names.id_in(names.KEYS, name) is None:
            continue
        try:
            told = read_own_sum(name, store.read(name))
            if told["kind"] == "passphrase":
                found.append((str(told.get("made", "")), name, told))
        except NotFound:  # it was removed, and is listed still
            continue
        except (Damaged, KeyError):
            damaged(name)
    return [(name, told) for _, name, told in sorted(found, key=lambda key: key[:2])[:MOST_KEYS]]
