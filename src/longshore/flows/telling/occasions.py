"""The occasions of channels: what stands now that somebody may want to be told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from longshore.flows.replicas.standing import conditions_of
from longshore.model.channel import Message, Occasion
from longshore.model.copy_progress import figures_of
from longshore.model.durations import duration
from longshore.model.forms import form
from longshore.model.request import Cutover, CutoverMode, MigrationType
from longshore.model.status import Status
from longshore.store import Store
from longshore.store.channels import ChannelRecord
from longshore.store.protection import Protected
from longshore.store.tables import without_zone
from longshore.store.watched import EndedWave, TroubledVault, WatchedMove

LATELY = timedelta(days=1)  # what has ended before isn't told any more
_SOON = timedelta(hours=1)  # before a window: what isn't copied by then is in danger
_OF_REPLICAS = ("suspect", "drifted", "cannot-land")
_BY_THEMSELVES = (MigrationType.REPLICA, MigrationType.BACKUP_POLICY)  # what fails of them is told as a condition


@dataclass(frozen=True, slots=True)
class Observed:
    """All that was seen at one moment, whoever is to be told of it."""

    now: datetime  # UTC, without a zone
    moves: Sequence[WatchedMove]
    waves: Sequence[EndedWave]
    replicas: Sequence[Protected]
    vaults: Sequence[TroubledVault]


def look_around(store: Store, channels: Sequence[ChannelRecord], now: datetime) -> Observed:
    """Look at what these channels have to do with. `now` has its zone."""
    moment = without_zone(now)
    projects = None if any(one.of_all for one in channels) else {one.project_id for one in channels}
    since = max(moment - LATELY, min(one.created_at for one in channels))
    moves = store.watched.moves(since, projects)
    plans = {one.plan_id for one in moves if one.plan_id and one.finished_at}
    replicas = [one for one in store.protection.all() if projects is None or one.project_id in projects]
    return Observed(moment, moves, store.watched.waves(since, plans), replicas, store.watched.vaults(projects))


def standing_for(look: Observed, channel: ChannelRecord) -> dict[str, Message]:
    """Return what stands of that which a channel is to tell, by keys that stay while it stands."""
    found = dict(_said(look, channel))
    return {key: said for key, said in found.items() if said.occasion in channel.occasions}


def _said(look: Observed, channel: ChannelRecord) -> Iterator[tuple[str, Message]]:
    def own(project_id: str) -> bool:
        return channel.of_all or channel.project_id == project_id

    for move in look.moves:
        if own(move.project_id):
            yield from _of_move(move, channel, look.now)
    for wave in look.waves:
        if own(wave.project_id) and wave.ended_at >= channel.created_at:
            yield f"wave/{wave.plan_id}/{wave.wave}/{wave.rehearsal}", _of_wave(wave)
    for replica in look.replicas:
        if own(replica.project_id):
            yield from _of_replica(replica, look.now)
    for vault in look.vaults:
        if own(vault.project_id):
            text = f"{vault.kind.capitalize()} {vault.name}: {vault.text}"
            over = f"{vault.kind.capitalize()} {vault.name} is in order again."
            yield f"vault/{vault.id}", Message(Occasion.VAULT, vault.kind, vault.id, vault.name, text, over=over)


def _of_move(move: WatchedMove, channel: ChannelRecord, now: datetime) -> Iterator[tuple[str, Message]]:
    def said(occasion: Occasion, text: str, after: float = 0.0, over: str | None = None) -> tuple[str, Message]:
        told = Message(occasion, move.type.value, move.id, move.machine_name, text, after, over)
        return f"{occasion.value}/{move.id}", told

    name = f"{move.type.value} of {move.machine_name}"
    if move.status is Status.FAILED and move.type not in _BY_THEMSELVES and not move.type.awaited:
        if move.finished_at is not None and move.finished_at >= channel.created_at:
            occasion = Occasion.VAULT if move.type.of_vault else Occasion.FAILED
            why = move.error or "it doesn't say why."
            yield said(occasion, f"The {name} has failed: {why}")
    elif not move.status.ended:
        if move.parked is not None:
            why = f": {move.parked}" if move.parked else "."
            yield said(Occasion.PARKED, f"The {name} is parked, and is tried again by itself{why}")
        elif move.status.waits_for_person or (move.by_hand and move.synced):
            waits = f"The {name} has waited for you for {duration(channel.waits_after)}: {_WAITS[move.status]}"
            yield said(Occasion.WAITS, waits, after=channel.waits_after)
        if (danger := _danger(move, now)) is not None:
            yield said(Occasion.WINDOW, f"The window of {move.machine_name} {danger}")


_TO_CUT_OVER = "its copy is up to date, and it is to be cut over."
_WAITS = dict.fromkeys(Status, _TO_CUT_OVER) | {
    Status.WAITS_WITH_COPY: "its cutover has failed, and it keeps its copy for another try.",
    Status.WAITS_FOR_DECISION: "what was restored is up, and is to stay or to go.",
}


def _danger(move: WatchedMove, now: datetime) -> str | None:
    """Return what is wrong with a scheduled cutover, as the end of a sentence; None: nothing is."""
    if move.type is not MigrationType.WARM or not move.cutover:
        return None
    cutover = form(Cutover).validate_python(move.cutover)
    if cutover.mode is not CutoverMode.SCHEDULED or cutover.at is None:
        return None
    at = _plain(cutover.at)
    until = _plain(cutover.until) if cutover.until is not None else None
    if until is not None and now >= until and move.status in (Status.WAITS_FOR_CUTOVER, Status.WAITS_WITH_COPY):
        return f"has passed without a cutover, at {_told(until)}."
    if now >= at - _SOON and (until is None or now < until):
        if move.parked is not None:
            return f"begins at {_told(at)}, and it is parked."
        if not move.synced and now < at:
            return f"begins at {_told(at)}, and its first copy isn't done."
    left = [figures_of(disk.state, disk.progress).left or 0.0 for disk in move.disks]
    if left and until is not None and now < until < now + timedelta(seconds=max(left)):
        return f"ends at {_told(until)}, and its first copy takes {duration(max(left))} yet."
    return None


def _plain(moment: datetime) -> datetime:
    return without_zone(moment) if moment.tzinfo is not None else moment


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _of_wave(wave: EndedWave) -> Message:
    counts = ", ".join(f"{number} {status.value}" for status, number in sorted(wave.counts.items()))
    what = "rehearsal of wave" if wave.rehearsal else "wave"
    text = f"The {what} {wave.wave} of plan {wave.plan} has ended: {counts}."
    return Message(Occasion.WAVE_ENDED, "plan", wave.plan_id, wave.plan, text)


def _of_replica(one: Protected, now: datetime) -> Iterable[tuple[str, Message]]:
    for condition in conditions_of(one, now.replace(tzinfo=UTC)):
        if condition.code == "rpo-breached" or condition.code in _OF_REPLICAS:
            occasion = Occasion.RPO if condition.code == "rpo-breached" else Occasion.REPLICA
            name = one.machine_name
            over = f"The replica of {name}: {condition.code} is over."
            text = f"The replica of {name}: {condition.text}"
            yield f"{condition.code}/{one.id}", Message(occasion, "replica", one.id, name, text, over=over)
