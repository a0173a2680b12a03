"""longshore features: what a server refuses whatever one's roles."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from longshore.cli.command import ShowOne


class ShowFeatures(ShowOne):
    """Show which features this server allows you, and your project's quota."""

    examples = ("longshore features",)

    def show(self, _args: Namespace) -> dict[str, Any]:
        found = self.client.features().model_dump()
        if not self.for_people:
            return found
        return {name: _said(name, value) for name, value in found.items()}


def _said(name: str, value: Any) -> str:
    """Write a value as people read it; of what isn't limited it says so."""
    match value:
        case None:
            return "no limits" if name == "quotas" else "any"
        case bool():
            return "yes" if value else "no"
        case list():
            return "\n".join(value) or "none"
        case dict():
            return "\n".join(f"{of}: {', '.join(one) if isinstance(one, list) else one}" for of, one in value.items())
        case _:
            return str(value)
