"""Figures of a plan and of its waves: how many machines stand how, what is copied, and until when."""

from collections.abc import Mapping, Sequence

from longshore.api.schemas import PlanFigures, PlannedState, WaveForecast
from longshore.engine.stranded import LiveWorkers
from longshore.model.copy_progress import MOVING, figures_of
from longshore.model.status import Status
from longshore.planning.forecast import Course, forecast
from longshore.service.opened_plan import Opened, counted
from longshore.store import Outline
from longshore.store.outlines import DiskOutline
from longshore.store.tables import utc_now

_COPIED = (Status.DONE, Status.REHEARSED, Status.WAITS_FOR_CUTOVER, Status.WAITS_WITH_COPY)
_AHEAD = (Status.QUEUED, Status.RUNNING)


def plan_figures(
    opened: Opened, states: Sequence[PlannedState], disks: Mapping[str, Sequence[DiskOutline]], crew: LiveWorkers
) -> list[PlanFigures]:
    """Return the figures of all of a plan, and then those of its waves, the first one first.

    `states`: of all its machines. `disks`: of each of their migrations, by its id.
    """
    begun = {m.id: _Begun(m, disks.get(m.id, ())) for m in opened.latest.values() if m is not None}
    of_waves: dict[int, list[PlannedState]] = {}
    for state in states:
        of_waves.setdefault(state.wave, []).append(state)
    waves = [_figures(wave, of_waves[wave], begun, crew) for wave in sorted(of_waves)]
    whole = _figures(None, states, begun, crew)
    if whole.no_forecast == "cutover-first":
        known = [one for one in waves if one.done_at is not None]
        whole = whole.model_copy(update={"at_work": _forecast_of(known[0]) if known else None})
    return [whole, *waves]


def _forecast_of(wave: PlanFigures) -> WaveForecast:
    told = wave.model_dump(include={"wave", "done_at", "give_or_take", "until_cutover"})
    return WaveForecast(**told)


class _Begun:
    """A migration with the course of its copy."""

    def __init__(self, migration: Outline, disks: Sequence[DiskOutline]) -> None:
        self.wave = migration.wave
        self.begins_at = migration.begins_at
        self.course = _course(migration, disks)
        self.rate = _rate(migration, disks)
        self.is_for_person = migration.by_hand and not migration.status.ended
        # A wave begins while one before it waits after a failure
        self.holds_up = self.is_for_person and migration.standing is not Status.WAITS_WITH_COPY


def _figures(
    wave: int | None, states: Sequence[PlannedState], begun: Mapping[str, _Begun], crew: LiveWorkers
) -> PlanFigures:
    """Return the figures of a wave, or of all. `states`: of its machines. `begun`: of all the plan, by id."""
    own = [begun[state.migration] for state in states if state.migration is not None]
    found = PlanFigures(
        wave=wave,
        machines=len(states),
        states=counted(states),
        bytes_done=round(sum(one.course.done for one in own)),
        bytes_total=round(sum(one.course.size for one in own)),
        bytes_per_second=sum(one.rate for one in own),
    )
    now = utc_now()
    begins = [one.begins_at for one in own if one.begins_at is not None and one.begins_at > now]
    if begins:
        return found.model_copy(update={"begins_at": min(begins), "no_forecast": "begins-later"})
    ahead = [one.wave for one in own if one.course.ahead]
    if not ahead:
        return found
    # All that is in a wave before has to be there first
    meant = [one for one in begun.values() if one.wave <= max(ahead)]
    if any(one.holds_up and one.wave < max(ahead) for one in meant):
        return found.model_copy(update={"no_forecast": "cutover-first"})
    told = forecast([one.course for one in meant], now) if crew.running else None
    if told is None:
        return found.model_copy(update={"no_forecast": "not-measured"})
    for_person = any(one.is_for_person for one in own)
    fields = {"done_at": told.at, "give_or_take": told.give_or_take, "until_cutover": for_person}
    return found.model_copy(update=fields)


def _course(migration: Outline, disks: Sequence[DiskOutline]) -> Course:
    size = float(sum(disk.size for disk in disks))
    if migration.standing in _COPIED or migration.synced:
        return Course(size, size, 0.0, None, migration.started_at, ahead=False)
    if migration.standing not in (*_AHEAD, Status.PARKED):
        return Course(size, 0.0, 0.0, None, migration.started_at, ahead=False)
    shares = [_share(disk) for disk in disks]
    return Course(
        size,
        sum(done for done, _, _ in shares),
        sum(pace for _, pace, _ in shares) if migration.standing is Status.RUNNING else 0.0,
        max((left for _, _, left in shares if left is not None), default=None),
        migration.started_at,
        ahead=migration.standing in _AHEAD,
    )


def _share(disk: DiskOutline) -> tuple[float, float, float | None]:
    """Return what of a disk's size is copied, how much of it comes each second, and the seconds that are left."""
    if disk.state not in MOVING:
        return float(disk.size) if disk.state == "done" else 0.0, 0.0, None
    told = figures_of(disk.state, disk.progress)
    if disk.state == "verifying":
        return float(disk.size), 0.0, told.left
    part = disk.size / told.total
    return min(told.done * part, float(disk.size)), told.rate * part, told.left


def _rate(migration: Outline, disks: Sequence[DiskOutline]) -> float:
    """Return the bytes per second at which a migration's disks are copied or read back now."""
    if migration.status is not Status.RUNNING:
        return 0.0
    return sum(figures_of(disk.state, disk.progress).rate for disk in disks if disk.state in MOVING)
