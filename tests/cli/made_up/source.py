from dataclasses import dataclass

from longshore.model.machine import Machine, PowerState
from longshore.model.reach import Reach
from made_up.declaration import MADE_UP


@dataclass(frozen=True)
class Settings:
    address: str
    depth: int = 3
    ratio: float | None = None
    careful: bool = False
    shelves: tuple[str, ...] | None = None
    tool_dir: str | None = None
    colour: str | None = None
    labels: tuple[str, ...] | None = None
    reach: Reach | None = None


class Source:
    """A source with as much as adding and listing ask for."""

    def __init__(self, settings, secrets):
        self.settings, self.secrets = settings, secrets

    def check(self):
        told = {"address": self.settings.address, "depth": str(self.settings.depth)}
        return told | {"careful": str(self.settings.careful), "token": f"{len(self.secrets['token'])} characters"}

    def machines(self, _wanted):
        yield Machine("m1", "web", PowerState.OFF, 1, 512, (), (), platform=MADE_UP.kind)

    def references(self, _wanted):
        return ["m1"]

    def describe(self, _refs):
        return self.machines(None)

    def tags(self, _refs):
        return {}

    def close(self):
        pass
