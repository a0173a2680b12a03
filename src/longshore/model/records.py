"""Named tuples as `typing` makes them, without importing it.

A copy's process may live for a twentieth of a second (docs/decisions/starting-a-copy.md), and `typing`, with the
regular expressions that it brings along, would take a tenth of that. To type checkers this is `typing.NamedTuple`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple

    _VALUES = 1  # annotationlib.Format.VALUE, which isn't worth an import

    class _Fields(type):
        """Makes of a class statement with annotated fields the named tuple that has them, and all else in it."""

        def __new__(mcs, name, bases, body):
            # From Python 3.14 on a class body holds a function that makes them
            lazily = body.pop("__annotate_func__", None)
            fields = lazily(_VALUES) if lazily else body.pop("__annotations__")
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body.pop("__module__"))
            del body["__qualname__"]
            made.__annotations__ = fields
            for attribute, value in body.items():
                setattr(made, attribute, value)
            return made

    class _NamedTuple:
        def __mro_entries__(self, bases):
            return (type.__new__(_Fields, "NamedTuple", (), {}),)

    NamedTuple = _NamedTuple()

__all__ = ["NamedTuple"]
