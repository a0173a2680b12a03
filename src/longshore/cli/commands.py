"""The commands: those that are written down (pyproject.toml), and one for each kind of provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from typing import Any, Protocol

GROUP = "longshore.cli"
_ADD = "provider add"


class CommandLoader(Protocol):
    """A loader of a command when it is used: with all of them loaded, each would begin a second later."""

    @property
    def name(self) -> str: ...

    def load(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Adding:
    kind: str

    @property
    def name(self) -> str:
        return f"{_ADD} {self.kind}"

    def load(self) -> Any:
        from longshore.cli.provider_add import adding
        from longshore.providers.registry import provider_type

        return adding(provider_type(self.kind))


def written_down() -> dict[str, CommandLoader]:
    """Return the written-down commands by their words."""
    return {point.name.replace("_", " "): point for point in distribution("longshore").entry_points.select(group=GROUP)}


def all_commands() -> Mapping[str, CommandLoader]:
    """Return all commands by their words."""
    from longshore.providers.registry import PROVIDERS

    return written_down() | {point.name: point for point in (_Adding(known.kind) for known in PROVIDERS)}
