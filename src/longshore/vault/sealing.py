"""Sealing of a vault's content against whoever has only its bytes: ids, records, documents, names.

An encrypted vault has one key. It is kept in the vault, wrapped by what a pass phrase gives (scrypt). Of it are made a
key for ids, one for documents, one for names, and one for each pack, with the pack's own random bytes. So no nonce is
ever used twice, and nobody without the key learns whether a block that they know is in the vault.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any
from unicodedata import normalize

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from longshore.model.strict_reading import read_json
from longshore.vault.errors import Damaged, WrongKey

_ANY_SIZE = 1 << 30  # bytes, and values: objects are limited by their kind where they are read from the store
KEY = 32  # bytes
SALT = 32  # bytes at the beginning of each pack
_NONCE = 12
_SCRYPT = {"n": 1 << 16, "r": 8, "p": 1}  # 64 MiB and a fifth of a second
_MOST_SCRYPT = 4 * (1 << 16) * 8  # of n times r times p: what a vault of somebody else's may ask of us
_REMEMBERED = 16  # keys of pass phrases that this process has asked for last
_found: OrderedDict[bytes, bytes] = OrderedDict()
_finding = threading.Lock()
_being_found: dict[bytes, threading.Lock] = {}
_stretching = threading.BoundedSemaphore(4)  # at once: each takes its memory
_SUM = "sha256"  # a member of what is no document, and has no key
_OWN = secrets.token_bytes(KEY)  # so that what is asked for is remembered by a digest that says nothing of it


class Plain:
    """The sealing of a vault that isn't encrypted: digests and plain bytes."""

    overhead = 0  # bytes by which a record is longer once it is sealed

    def digest(self, data: bytes | bytearray) -> bytes:
        return blake3(data).digest()

    def seal(self, _salt: bytes, _offset: int, record: bytes) -> bytes:
        return record

    def unseal(self, _salt: bytes, _offset: int, stored: bytes | memoryview) -> bytes | memoryview:
        return stored

    def write_document(self, _name: str, content: dict[str, Any]) -> bytes:
        return _with_sum(json.dumps(content, sort_keys=True).encode())

    def read_document(self, name: str, data: bytes) -> dict[str, Any]:
        """Read a document. Raises Damaged, WrongKey."""
        content = _without_sum(name, data)
        if "sealed" in content:
            raise Damaged(f"{name} is sealed, and the vault says that it isn't encrypted.")
        return content

    def name(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Sealed(Plain):
    overhead = 16

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._ids = self._derived(b"ids", b"")
        self._names = self._derived(b"names", b"")
        self._documents = AESGCM(self._derived(b"documents", b""))
        self._packs: dict[bytes, AESGCM] = {}

    def digest(self, data: bytes | bytearray) -> bytes:
        return blake3(data, key=self._ids).digest()

    def seal(self, salt: bytes, offset: int, record: bytes) -> bytes:
        return self._pack(salt).encrypt(_nonce(offset), record, None)

    def unseal(self, salt: bytes, offset: int, stored: bytes | memoryview) -> bytes | memoryview:
        """Decrypt a record. Raises Damaged."""
        try:
            return self._pack(salt).decrypt(_nonce(offset), stored, None)
        except InvalidTag:
            raise Damaged("It can't be decrypted: some of its bytes have changed.") from None

    def write_document(self, name: str, content: dict[str, Any]) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._documents.encrypt(nonce, json.dumps(content, sort_keys=True).encode(), name.encode())
        return _with_sum(json.dumps({"nonce": _text(nonce), "sealed": _text(sealed)}).encode())

    def read_document(self, name: str, data: bytes) -> dict[str, Any]:
        told = _without_sum(name, data)
        try:
            nonce, sealed = (base64.b64decode(told[part]) for part in ("nonce", "sealed"))
            content = read_json(self._documents.decrypt(nonce, sealed, name.encode()))
        except (KeyError, TypeError, ValueError, InvalidTag):
            raise Damaged(f"{name} can't be decrypted with this vault's key.") from None
        if not isinstance(content, dict):
            raise Damaged(f"{name} has no document.")
        return content

    def name(self, text: str) -> str:
        return hmac.new(self._names, text.encode(), hashlib.sha256).hexdigest()[:32]

    def _pack(self, salt: bytes) -> AESGCM:
        found = self._packs.get(salt)
        if found is None:
            if len(self._packs) > 4096:
                self._packs = {}
            found = self._packs[salt] = AESGCM(self._derived(b"pack", salt))
        return found

    def _derived(self, what: bytes, salt: bytes) -> bytes:
        info = b"longshore vault 1 " + what
        return HKDF(algorithm=SHA256(), length=KEY, salt=salt or None, info=info).derive(self.key)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A vault's key as an object of the vault has it."""

    told: dict[str, Any]

    @classmethod
    def by_pass_phrase(cls, key: bytes, vault_id: str, pass_phrase: str) -> "Wrapped":
        salt, nonce = secrets.token_bytes(SALT), secrets.token_bytes(_NONCE)
        wrapped = AESGCM(_stretched(pass_phrase, salt, _SCRYPT)).encrypt(nonce, key, vault_id.encode())
        parts = {"salt": _text(salt), "nonce": _text(nonce), "wrapped": _text(wrapped)}
        return cls({"kind": "passphrase", "scrypt": _SCRYPT, **parts})

    def stretched(self, pass_phrase: str) -> str:
        """Return what the pass phrase gives for this key: for `remember`, of the same vault at another time. It opens
        what the pass phrase opens by this key, and nothing else. Raises Damaged."""
        salt, cost = self._how()
        key = _stretched(pass_phrase, salt, cost)
        return json.dumps({"salt": _text(salt), "scrypt": cost, "key": _text(key), "of": _of(pass_phrase, key)})

    def is_known(self, pass_phrase: str) -> bool:
        """Tell whether what the pass phrase gives for this key is remembered, and needn't be worked out."""
        with suppress(Damaged), _finding:
            return _mark(pass_phrase, *self._how()) in _found
        return False

    def unwrap(self, vault_id: str, pass_phrase: str) -> bytes | None:
        """Return the key; None when the pass phrase isn't the right one. Raises Damaged."""
        salt, cost = self._how()
        try:
            nonce, wrapped = (base64.b64decode(self.told[part]) for part in ("nonce", "wrapped"))
        except (KeyError, TypeError, ValueError):
            raise _unreadable() from None
        if len(nonce) != _NONCE:
            raise _unreadable()
        try:
            key = AESGCM(_stretched(pass_phrase, salt, cost)).decrypt(nonce, wrapped, vault_id.encode())
        except InvalidTag:
            return None
        return key if len(key) == KEY else None

    def _how(self) -> tuple[bytes, dict[str, int]]:
        """Return the salt and the cost of what is made of the pass phrase. Raises Damaged."""
        try:
            cost = {name: self.told["scrypt"][name] for name in _SCRYPT}
            salt = base64.b64decode(self.told["salt"])
        except (KeyError, TypeError, ValueError):
            raise _unreadable() from None
        if (
            any(type(one) is not int or one < 1 for one in cost.values())
            or cost["n"].bit_count() != 1
            or cost["n"] == 1
        ):
            raise _unreadable()
        if cost["n"] * cost["r"] * cost["p"] > _MOST_SCRYPT:
            raise Damaged("A key of the vault asks for more memory or time than any of ours does.")
        return salt, cost


_BARBICAN = "barbican"  # of a key's object, beside what the pass phrase has wrapped

# By a secret's id. Raises NotFound, AccessDenied, Unreachable, ProviderError
OpenSecret = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class InBarbican:
    """The place of a pass phrase that nobody knows: Barbican keeps it, and whoever is to open the vault finds it."""

    secret: str  # its id
    auth_url: str  # of the Keystone before that Barbican; this, the region and the project are for people
    region: str
    project: str  # its id

    @property
    def told(self) -> dict[str, Any]:
        return {_BARBICAN: asdict(self)}

    @classmethod
    def of(cls, key: Mapping[str, Any]) -> "InBarbican | None":
        """Read the place from a key's object. None: its pass phrase is somebody's own, or in nothing that is known
        here."""
        told = key.get(_BARBICAN)
        if not isinstance(told, Mapping) or not isinstance(told.get("secret"), str):
            return None
        return cls(**{field.name: str(told.get(field.name, "")) for field in fields(cls)})


def _unreadable() -> Damaged:
    return Damaged("A key of the vault can't be read.")


def wrong_key(what: str, damaged: Sequence[str] = ()) -> WrongKey:
    """Return the error for a pass phrase that opens no key. `damaged`: keys that couldn't be tried."""
    also = f" {len(damaged)} of them can't be read: {', '.join(damaged[:3])}." if damaged else ""
    return WrongKey(
        f"{what} is encrypted, and this pass phrase opens none of its keys.{also}",
        advice="Give the one it was made with.",
    )


def _stretched(pass_phrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    """Stretch a pass phrase by scrypt, and remember the result without the pass phrase: each step of a backup opens its
    vault, and this is dear on purpose.

    Several who ask for the same wait for one of them; nobody waits for what another vault asks of us.
    """
    asked = _mark(pass_phrase, salt, cost)
    with _finding:
        if (found := _found.get(asked)) is not None:
            _found.move_to_end(asked)
            return found
        own = _being_found.setdefault(asked, threading.Lock())
    with own:
        with _finding:
            found = _found.get(asked)
        if found is None:
            try:
                with _stretching:
                    found = Scrypt(salt=salt, length=KEY, **cost).derive(_as_typed_anywhere(pass_phrase))
            finally:
                with _finding:
                    _being_found.pop(asked, None)
            with _finding:
                _note(asked, found)
        return found


def remember(pass_phrase: str, stretched: str) -> None:
    """Remember what the pass phrase gives for a key, by `Wrapped.stretched`. Of nonsense nothing, nor what another one
    gives."""
    with suppress(AttributeError, KeyError, TypeError, ValueError), _finding:
        told = read_json(stretched)
        salt, key = (base64.b64decode(told[part]) for part in ("salt", "key"))
        if told["of"] == _of(pass_phrase, key):
            _note(_mark(pass_phrase, salt, told["scrypt"]), key)


def _of(pass_phrase: str, key: bytes) -> str:
    """Tells whether it was this one that gave the key."""
    return blake3(_as_typed_anywhere(pass_phrase), key=key).hexdigest()


def _as_typed_anywhere(pass_phrase: str) -> bytes:
    """Return a pass phrase's bytes, the same whether a keyboard writes an accent as a character of its own (macOS) or
    not."""
    return normalize("NFC", pass_phrase).encode()


def _mark(pass_phrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return blake3(json.dumps([pass_phrase, salt.hex(), cost]).encode(), key=_OWN).digest()


def _note(asked: bytes, key: bytes) -> None:
    _found[asked] = key
    if len(_found) > _REMEMBERED:
        _found.popitem(last=False)


def _nonce(offset: int) -> bytes:
    return offset.to_bytes(_NONCE, "big")


def with_own_sum(told: Mapping[str, Any]) -> bytes:
    """Write JSON, to be read by a person, whose last member is the hash of all bytes before that member's name.

    A reader that doesn't know that member passes over it.
    """
    text = json.dumps({name: value for name, value in told.items() if name != _SUM}, indent=1)
    before = f"{text[:-2]},\n ".encode()
    return b'%s"%s": "%s"\n}\n' % (before, _SUM.encode(), hashlib.sha256(before).hexdigest().encode())


def read_own_sum(name: str, data: bytes) -> dict[str, Any]:
    """Read what `with_own_sum` has written. Raises Damaged."""
    before, _, after = data.rpartition(b'"%s"' % _SUM.encode())
    if after.strip() != b': "%s"\n}' % hashlib.sha256(before).hexdigest().encode():
        raise Damaged(f"{name} isn't what was written: its checksum differs.")
    return read_object(name, data)


def read_object(name: str, data: bytes) -> dict[str, Any]:
    """Parse an object that has no checksum. How large it may be is for who has read the data. Raises Damaged."""
    try:
        told = read_json(data, largest=_ANY_SIZE, heaviest=_ANY_SIZE)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Damaged(f"{name} isn't what was written: it can't be read.")
    return told


def _with_sum(line: bytes) -> bytes:
    return b"%s\nsha256 %s\n" % (line, hashlib.sha256(line).hexdigest().encode())


def _without_sum(name: str, data: bytes) -> dict[str, Any]:
    line, _, rest = data.partition(b"\n")
    if rest.strip() != b"sha256 " + hashlib.sha256(line).hexdigest().encode():
        raise Damaged(f"{name} isn't what was written: its checksum differs.")
    return read_object(name, line)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
