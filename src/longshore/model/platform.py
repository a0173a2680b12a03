"""The kinds of cloud, and what each declares of its machines: planning and the flows ask that, never for a name."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

Side = Literal["source", "target", "vault"]


@dataclass(frozen=True, slots=True)
class Traits:
    """Traits of the machines in a kind of cloud."""

    runs: bool = True  # there is a cloud in which they run, and change while they are copied
    on_kvm: bool = False  # they run on KVM already: a guest lands unchanged, unless something is to be put into it
    asks_guest: bool = True  # stopping and knowing one takes something inside the guest that answers
    tags_apart: bool = False  # tags and attributes are the inventory's own: read apart, carried along by a rule
    in_quota: bool = False  # what is made to read their disks counts against a quota of the source
    stuns: bool = False  # taking a snapshot of one that runs, and removing it, stops it for a moment
    as_server: bool = (
        False  # they are servers: their types, zones, key pairs, image properties may be the target's, too
    )


class Platform(str):
    """The kind of cloud that a provider is, and a machine comes from.

    Whoever only reads what another process wrote needn't know the kind: a client may be older than its server. Its
    traits are known where the kinds are declared: to whoever has imported `longshore.providers.registry`.
    """

    __slots__ = ()
    _declared: ClassVar[dict[str, Traits]] = {}

    @classmethod
    def declare(cls, name: str, traits: Traits) -> Self:
        """Declare a kind of cloud and its traits, once a process."""
        cls._declared[name] = traits
        return cls(name)

    @property
    def is_declared(self) -> bool:
        """Tell whether this process knows the kind."""
        return str(self) in self._declared

    @property
    def traits(self) -> Traits:
        """Return the traits of its machines. Raises KeyError for a kind that this process hasn't declared."""
        return self._declared[self]

    @classmethod
    def __get_pydantic_core_schema__(cls, _kind: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema  # not for whoever only declares

        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: Any, _handler: Any) -> dict[str, Any]:
        """Return a schema that names those kinds that there are when somebody asks."""
        return {"type": "string", "enum": [*cls._declared]}
