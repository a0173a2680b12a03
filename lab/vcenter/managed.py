"""The base of all managed objects, and what the API requires of data objects."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pyVmomi import vmodl
from pyVmomi.VmomiSupport import F_OPTIONAL, DataObject, Enum

from .context import Context

D = TypeVar("D", bound=DataObject)
Method = Callable[[Any, "Call"], Any]


class ApiFault(Exception):
    """A fault that the client is to see: a pyVmomi fault object and the sentence that goes with it."""

    def __init__(self, fault: Any, message: str = "") -> None:
        super().__init__(message or type(fault).__name__)
        self.fault = fault
        self.message = message or f"{type(fault).__name__}"


class HangUp(Exception):
    """Close the connection without an answer: a fault that a test asked for."""


@dataclass
class Call:
    """One SOAP call: its arguments by name (None where not given) and the session it came with."""

    method: str
    arguments: dict[str, Any]
    cookie: str = ""
    new_cookie: str | None = None
    """Set by Login: the cookie that the answer carries."""
    task_error: Exception | None = None
    """Set by a test's order: what the task that this call starts ends in."""
    carried_out: bool = False
    """Set by a test's order: what was asked for is done all the same, before the trouble."""
    hang_up: bool = False
    """Set by a test's order: the connection is closed when the call has been carried out."""

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)


def soap_method(name: str) -> Callable[[Method], Method]:
    """Mark a method of a managed object as the SOAP method of this WSDL name."""

    def mark(function: Method) -> Method:
        function.wsdl_name = name  # type: ignore[attr-defined]
        return function

    return mark


def invalid_argument(name: str) -> ApiFault:
    return ApiFault(vmodl.fault.InvalidArgument(invalidProperty=name), f"A specified parameter was not correct: {name}")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _plain_value(kind: type) -> Any:
    """A value for a required property that nobody set; None if its type has none (an object reference)."""
    if issubclass(kind, DataObject):
        return fill(kind())
    if kind is bool:
        return False
    if issubclass(kind, datetime.datetime):
        return now()
    if issubclass(kind, int):
        return kind(0)
    if getattr(kind, "values", None):
        return kind.values[0]  # type: ignore[attr-defined]
    if issubclass(kind, (str, list)):
        return kind()
    return None


def fill(obj: D) -> D:
    """Give every required, unset property of a data object a plain value, all the way down: clients insist on them."""
    for prop in obj._GetPropertyList():
        value = getattr(obj, prop.name)
        if value is None and not prop.flags & F_OPTIONAL:
            plain = _plain_value(prop.type)
            if plain is not None:
                setattr(obj, prop.name, plain)
        elif isinstance(value, DataObject):
            fill(value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, DataObject):
                    fill(item)
    return obj


def _of_its_type(value: Any, info: Any) -> Any:
    """Return a property's value as the API's own type, by which an answer tells a client what it is: of lists, and of
    words that are one of a few."""
    plain = type(value) is list or (type(value) is str and issubclass(info.type, Enum))
    return info.type(value) if plain else value


class ManagedObject:
    """One managed object: its reference, its stored properties and, in subclasses, computed ones and SOAP methods."""

    vim_type: ClassVar[Any] = None
    prefix: ClassVar[str] = "object"
    methods: ClassVar[dict[str, Method]] = {}
    computed: ClassVar[dict[str, str]] = {}
    """Property name -> name of the Python method that works it out at each reading."""
    volatile: ClassVar[bool] = False
    """True: properties may change without a new stamp, so that filters must always look."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {m.wsdl_name: m for m in vars(cls).values() if hasattr(m, "wsdl_name")}
        cls.methods = {**cls.methods, **own}

    def __init__(self, context: Context, moid: str | None = None, **properties: Any) -> None:
        self.context = context
        self.moid: str = moid or context.new_id(self.prefix)
        self.ref = self.vim_type(self.moid)
        self.properties: dict[str, Any] = properties
        with context.changed:
            self.stamp = context.next_stamp()
            context.objects[self.moid] = self
            context.changed.notify_all()

    def get(self, path: str) -> Any:
        """The value at a dotted property path, None where unset. KeyError or AttributeError: no such property."""
        first, _, rest = path.partition(".")
        info = self.vim_type._GetPropertyInfo(first)
        if info is None:
            raise KeyError(path)
        method = self.computed.get(first)
        value = _of_its_type(getattr(self, method)() if method else self.properties.get(first), info)
        for name in filter(None, rest.split(".")):
            if value is None:
                return None
            value = _of_its_type(getattr(value, name), value._GetPropertyInfo(name))
        return value

    def set(self, **changes: Any) -> None:
        """Change properties; `runtime__powerState=…` changes one inside a data object."""
        with self.context.changed:
            for name, value in changes.items():
                *way, last = name.split("__")
                if not way:
                    self.properties[last] = value
                    continue
                target = self.properties[way[0]]
                for step in way[1:]:
                    target = getattr(target, step)
                setattr(target, last, value)
            self.touch()

    def touch(self) -> None:
        """Say that this object has changed: filters that watch it compare it anew."""
        with self.context.changed:
            self.stamp = self.context.next_stamp()
            self.context.changed.notify_all()

    def drop(self) -> None:
        """Take the object out of the service."""
        with self.context.changed:
            self.context.objects.pop(self.moid, None)
            self.context.next_stamp()
            self.context.changed.notify_all()
