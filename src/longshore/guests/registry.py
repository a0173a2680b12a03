"""Windows' registry, read and written in the appliance."""

from collections.abc import Iterator
from contextlib import contextmanager

from longshore.guests.appliance import Guest

Key = int  # a node of the hive, never 0
_DWORD = 4  # of the registry's types
_SYSTEM = "/Windows/System32/config/SYSTEM"


class Hive:
    """One file of the registry. The appliance can have one open at a time."""

    def __init__(self, guest: Guest, *top: str) -> None:
        """`top` is the path to the key from which others are looked up. Raises RuntimeError when it isn't there."""
        self._files = guest.files
        self._top: Key = self._files.hivex_root()
        top_key = self.key(*top)
        if top_key is None:
            raise RuntimeError(f"it has no key {'/'.join(top)}")
        self._top = top_key

    def key(self, *names: str, below: Key | None = None) -> Key | None:
        """Return the key of this path; None when it isn't there. Case doesn't matter."""
        node = self._top if below is None else below
        for name in names:
            node = self._files.hivex_node_get_child(node, name)
            if not node:
                return None
        return int(node)

    def in_file(self, *names: str) -> Key | None:
        """Return the key of this path from the file's own root, wherever others are looked up."""
        return self.key(*names, below=int(self._files.hivex_root()))

    def made(self, *names: str) -> Key:
        """Return the key of this path, made where it isn't there: for a hive opened to be written."""
        node = self._top
        for name in names:
            node = self._files.hivex_node_get_child(node, name) or self._files.hivex_node_add_child(node, name)
        return int(node)

    def set_number(self, key: Key, name: str, value: int) -> None:
        """Set a value to a DWORD."""
        self._files.hivex_node_set_value(key, name, _DWORD, value.to_bytes(4, "little"))

    def values(self, key: Key | None) -> Iterator[tuple[str, bytes]]:
        """Yield the (name, content) of each value of a key."""
        if key is None:
            return
        for found in self._files.hivex_node_values(key):
            value = found["hivex_value_h"]
            yield self._files.hivex_value_key(value), bytes(self._files.hivex_value_value(value))

    def children(self, key: Key | None) -> Iterator[tuple[str, Key]]:
        """Yield the (name, key) of each key right below."""
        if key is None:
            return
        for child in self._files.hivex_node_children(key):
            node = child["hivex_node_h"]
            yield self._files.hivex_node_name(node), node

    def number(self, key: Key | None, name: str) -> int | None:
        """Return a DWORD; None when it isn't there."""
        raw = self._raw(key, name)
        return None if raw is None else int.from_bytes(raw[:4], "little")

    def texts(self, key: Key | None, name: str) -> tuple[str, ...]:
        """Return all words of a value, be it one string or several; those that are empty are left out."""
        raw = self._raw(key, name) or b""
        return tuple(word for word in raw.decode("utf-16-le", errors="replace").split("\0") if word.strip())

    def text(self, key: Key | None, name: str) -> str:
        """Return a string; "" when it isn't there."""
        return next(iter(self.texts(key, name)), "")

    def _raw(self, key: Key | None, name: str) -> bytes | None:
        if key is None:
            return None
        try:
            value = self._files.hivex_node_get_value(key, name)
        except RuntimeError:  # hivex takes a value that isn't there for an error
            return None
        return bytes(self._files.hivex_value_value(value)) if value else None


@contextmanager
def system_hive(guest: Guest) -> Iterator[Hive]:
    """SYSTEM, from the control set on that Windows starts with.

    Raises RuntimeError, as guestfs does, when it is damaged or missing.
    """
    root = guest.system.root
    control_set = guest.files.inspect_get_windows_current_control_set(root)
    with _opened(guest, guest.files.inspect_get_windows_system_hive(root)):
        yield Hive(guest, control_set)


@contextmanager
def changed_system_hive(guest: Guest) -> Iterator[Hive]:
    """Open the hive to be written, of a guest that needn't have been inspected by this appliance; what is written is
    committed at the end.

    Raises RuntimeError.
    """
    with _opened(guest, guest.files.case_sensitive_path(_SYSTEM), write=True):
        whole = Hive(guest)
        current = whole.number(whole.key("Select"), "Current")
        yield Hive(guest, f"ControlSet{1 if current is None else current:03d}")
        guest.files.hivex_commit(None)


@contextmanager
def software_hive(guest: Guest) -> Iterator[Hive]:
    """Open the hive SOFTWARE. Raises RuntimeError."""
    with _opened(guest, guest.files.inspect_get_windows_software_hive(guest.system.root)):
        yield Hive(guest)


@contextmanager
def _opened(guest: Guest, path: str, *, write: bool = False) -> Iterator[None]:
    guest.files.hivex_open(path, write=write)
    try:
        yield
    finally:
        guest.files.hivex_close()
