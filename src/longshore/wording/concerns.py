"""Concerns of many machines, grouped by what they mean: a thousand machines with the same trouble are one row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longshore.api.schemas import PlanConcern
from longshore.model.concern import Severity


@dataclass(frozen=True, slots=True)
class Alike:
    """Concerns that say the same of different machines: `first` stands for all of them."""

    first: PlanConcern
    machines: Sequence[str]  # as the plan calls them, each once; empty: it is about the plan as a whole

    @property
    def names_one(self) -> bool:
        """Tell whether the sentence names one of several machines, and is an example for the others."""
        return len(self.machines) > 1 and without_name(self.first.machine, self.first.text) != self.first.text


@dataclass(frozen=True, slots=True)
class SameKind:
    """All concerns of one kind and severity. `machines` are those behind it, each once."""

    code: str
    severity: Severity
    found: Sequence[PlanConcern]
    alike: Sequence[Alike]  # the same by what they say, names of machines apart

    @property
    def machines(self) -> list[str]:
        return _machines(self.found)


def by_kind(concerns: Iterable[PlanConcern]) -> list[SameKind]:
    """Group concerns by their kind: blockers first, otherwise in the order in which kinds come first."""
    order = list(Severity)
    kinds: dict[tuple[Severity, str], list[PlanConcern]] = {}
    for one in concerns:
        kinds.setdefault((one.severity, one.code), []).append(one)
    return [
        SameKind(code, severity, found, _alike(found))
        for (severity, code), found in sorted(kinds.items(), key=lambda kind: order.index(kind[0][0]))
    ]


def _alike(found: Iterable[PlanConcern]) -> list[Alike]:
    said: dict[tuple[str, str], list[PlanConcern]] = {}
    for one in found:
        said.setdefault((without_name(one.machine, one.text), without_name(one.machine, one.advice)), []).append(one)
    return [Alike(same[0], _machines(same)) for same in said.values()]


def _machines(found: Iterable[PlanConcern]) -> list[str]:
    return list(dict.fromkeys(one.machine for one in found if one.machine))


def without_name(machine: str, text: str) -> str:
    """Return a sentence with a mark instead of its machine's name, which a plan may have behind folders."""
    names = {machine, machine.rpartition("/")[2]} - {""}
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "\0")
    return text
