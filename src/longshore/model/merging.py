"""Changes of a part, as RFC 7396 (JSON Merge Patch) has them: what isn't named stays, and null takes it away."""

from collections.abc import Mapping
from typing import Any


def merged(whole: Any, patch: Any) -> Any:
    """Return `whole` as it is after the patch. Tables are changed name by name, everything else is replaced, lists
    too."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(whole) if isinstance(whole, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found
