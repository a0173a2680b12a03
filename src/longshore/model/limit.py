"""Limits that are set for places, whatever plans say: how much may be at work there at once, and how fast it reads."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_IDS = uuid.UUID("5b3b4a2e-8a0f-4d0b-9b3c-3f1c6a0d5e21")  # any would do, as long as it stays
MOST_AT_ONCE = 1_000_000_000
SLOWEST = 64 << 10  # bytes per second: with less, copies that share it would be taken for ones that hang
FASTEST = (1 << 63) - 1
LONGEST_NAME = 255  # characters


class LimitOf(StrEnum):
    """The kind of place that a limit is of."""

    SOURCE = "source"
    HOST = "host"  # of a source
    DATASTORE = "datastore"  # of a source
    TARGET = "target"
    PROJECT = "project"
    PLAN = "plan"

    @property
    def of_provider(self) -> bool:
        """Tell whether it is a provider, or in one: then others' jobs may be there, too."""
        return self not in (LimitOf.PROJECT, LimitOf.PLAN)

    @property
    def named(self) -> bool:
        """Tell whether its provider has several places of this kind, which are told apart by name."""
        return self in (LimitOf.HOST, LimitOf.DATASTORE)


class LimitPlace(NamedTuple):
    """A place where a job is at work, or on whose behalf. Hosts and datastores of two vCenters are two."""

    of: LimitOf
    subject: str  # the id of the provider, the plan or the project
    name: str = ""  # of the host or datastore


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of one place, and of those of its jobs that it counts."""

    place: LimitPlace
    project_id: str | None  # whose jobs it counts; None: all projects'
    at_once: int | None = None  # jobs
    bytes_per_second: int | None = None  # that all of their copies may read together

    @property
    def id(self) -> str:
        return id_of(self.place, self.project_id)


def id_of(place: LimitPlace, project_id: str | None) -> str:
    """A limit is known by what it is of: the same place, and the same jobs, always have the same id."""
    return str(uuid.uuid5(_IDS, "\0".join(("*" if project_id is None else project_id, *place))))


def places_at_work(
    *, project_id: str, source_id: str, target_id: str, plan_id: str | None, host: str, datastores: Iterable[str]
) -> Iterator[LimitPlace]:
    """Yield all places of a job. `host` may be unknown ("")."""
    yield LimitPlace(LimitOf.PROJECT, project_id)
    if plan_id is not None:
        yield LimitPlace(LimitOf.PLAN, plan_id)
    yield LimitPlace(LimitOf.SOURCE, source_id)
    yield LimitPlace(LimitOf.TARGET, target_id)
    if host:
        yield LimitPlace(LimitOf.HOST, source_id, host)
    for datastore in dict.fromkeys(datastores):
        yield LimitPlace(LimitOf.DATASTORE, source_id, datastore)


def counting(place: LimitPlace, project_id: str) -> Iterator[tuple[LimitPlace, str | None]]:
    """Yield each place with the projects whose limits count a job of this project: its own, and None for those of all
    projects."""
    yield place, project_id
    if place.of.of_provider:
        yield place, None
