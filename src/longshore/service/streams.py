"""The number of those who follow events at the same time."""

from collections import Counter
from collections.abc import AsyncIterator

OF_A_PROJECT = 20  # streams at once; each asks the database twice a second


class Streams:
    """Streams of events under way in one application, by project."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()

    def full(self, project_id: str) -> bool:
        return self._under_way[project_id] >= OF_A_PROJECT

    async def counted(self, project_id: str, told: AsyncIterator[str]) -> AsyncIterator[str]:
        if self.full(project_id):  # several were asked for in the same moment
            return
        self._under_way[project_id] += 1
        try:
            async for each in told:
                yield each
        finally:
            self._under_way[project_id] -= 1
