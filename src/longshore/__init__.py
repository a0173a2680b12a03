"""Longshore moves virtual machines into OpenStack: verified, bootable, as fast as the wire."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Debian's packages, by the modules in them. They are compiled for the system's own Python and libraries, and no package
# index has them
BINDINGS = {
    "nbd": "python3-libnbd",
    "libnbdmod": "python3-libnbd",
    "guestfs": "python3-guestfs",
    "libguestfsmod": "python3-guestfs",
    "rados": "python3-rados",
    "rbd": "python3-rbd",
}
DEBIANS_MODULES = "/usr/lib/python3/dist-packages"


class _Bindings:
    """A finder of just these modules among the system's, for an environment that sees none of them.

    All of the system's packages would bring in its old OpenStack libraries: docs/decisions/system-bindings.md.
    """

    @staticmethod
    def find_spec(
        name: str, _path: "Sequence[str] | None" = None, _target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name not in BINDINGS:
            return None
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, [DEBIANS_MODULES])


sys.meta_path.append(_Bindings)
