"""Bringing back what a vault's lock has kept, whoever has deleted it or written it again.

Nothing of the vault has to be readable for it: what was locked stands below what hides it.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from longshore.vault import names
from longshore.vault.holds import take_back_deletion
from longshore.vault.points import has_point
from longshore.vault.store import Store
from longshore.vault.vault import Vault
from longshore.vault.versions import TOGETHER, History, is_needed


@dataclass(frozen=True, slots=True)
class Recovered:
    """Objects that are there again, as they were at first."""

    points: tuple[str, ...]  # names
    packs: int
    others: tuple[str, ...]  # names of objects


def recover(store: Store) -> Recovered:
    """Bring back all that is locked still. What pruners have removed since comes, too, and goes again.

    Raises InvalidInput when the store keeps no versions.
    """
    versions = store.versions
    versions.refuse_unfit()
    now = store.now()

    def bring(name: str, history: History) -> str | None:
        if versions.locked_until(name, history.first.id) <= now:
            return None
        for marker in history.markers:
            versions.drop(name, marker)
        left = [version for version in history.versions[:-1] if not versions.drop(name, version.id)]
        if left and left[0].tag != history.first.tag:  # whoever wrote it has locked that, too
            versions.put_first_on_top(name, history.first.id)
        return name

    lost = [
        (name, history)
        for name, history in versions.all().items()
        if is_needed(name) and history.versions and (history.hidden or history.overwritten)
    ]
    with ThreadPoolExecutor(TOGETHER, "longshore-recovery") as threads:
        found = sorted(name for name in threads.map(lambda one: bring(*one), lost) if name is not None)
    points = tuple(point for name in found if (point := names.id_in(names.POINTS, name)) is not None)
    others = tuple(name for name in found if not name.startswith(("points/", "packs/")))
    return Recovered(points, sum(name.startswith("packs/") for name in found), others)


def settle(vault: Vault, found: Recovered) -> None:
    """Take back the deletions of the points that are back. To be called once the vault can be opened."""
    for point in found.points:
        if has_point(vault, point):
            take_back_deletion(vault, point)
