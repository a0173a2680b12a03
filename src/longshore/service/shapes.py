"""Shapes that go over the wire, filled from records."""

from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import BaseModel

from longshore.api.schemas import PlanConcern
from longshore.model.concern import Concern
from longshore.store import Store

T = TypeVar("T", bound=BaseModel)


def shaped(kind: type[T], *records: Any, **others: Any) -> T:
    """Make one: each of its fields has what `others` has by that name, else what the first of the records has that has
    it."""

    def found(name: str) -> Any:
        return others[name] if name in others else getattr(next(one for one in records if hasattr(one, name)), name)

    return kind(**{name: found(name) for name in kind.model_fields})


def shown_concern(concern: Concern, called: str | None = None) -> PlanConcern:
    """Return a concern as it goes over the wire.

    `called`: what its machine is called there, if not as in the concern.
    """
    return PlanConcern(**{**asdict(concern), "machine": concern.machine if called is None else called})


class Names(dict[str, str]):
    """Names by ids. What has none any more, as a provider that is no longer shared, is called by its id."""

    def __missing__(self, id_: str) -> str:
        return id_


def provider_names(store: Store) -> Names:
    return Names({provider.id: provider.name for provider in store.providers.all()})
