"""Shapes that go over the wire. Times are RFC 3339 in UTC, sizes bytes; unknown fields are refused."""

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    SecretStr,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from longshore.api.shown_machine import ShownMachine
from longshore.model.concern import Severity
from longshore.model.limit import FASTEST, LONGEST_NAME, MOST_AT_ONCE, SLOWEST, LimitOf
from longshore.model.plan import NAME, PlannedType
from longshore.model.platform import Platform, Side
from longshore.model.quantity_fields import Rate, Seconds
from longshore.model.request import BootProof, LandingMode, MigrationRequest, MigrationType, Request
from longshore.model.source_marks import SourceMarks
from longshore.model.status import Status


def _without_zone(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError:
        raise PydanticCustomError(
            "no-moment", "that moment is before the year 1 or after the year 9999 in UTC"
        ) from None


# UTC without a zone, as the store has it; on the wire as RFC 3339 wants it
Moment = Annotated[
    datetime,
    AfterValidator(_without_zone),
    PlainSerializer(lambda moment: f"{moment.isoformat()}Z", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _in_pieces(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, dict):
        return check(value)
    items = iter(value.items())
    checked: dict[Any, Any] = {}
    while piece := dict(islice(items, _PIECE)):
        checked |= check(piece)
    return checked


_PIECE = 100
# Where a value may be long, only the first fault is told: a list of all takes longer than the rest of a request
Names = Annotated[list[str], FailFast()]
InPieces = WrapValidator(_in_pieces)  # of a dict
Mapped = Annotated[dict[str, str], InPieces]
Name = Annotated[str, Field(pattern=NAME)]
ONE_LINE = r"^[^\x00-\x1f\x7f]+$"  # a text without control characters


class Strict(BaseModel):
    """The base of what goes over the wire."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(Strict):
    code: str
    message: str  # with the advice at its end
    advice: str = ""  # what to do about it, where that can be said
    field: str = ""  # of the body, that is wrong, where it is a single one


class NewProvider(Strict):
    name: Name
    kind: Platform
    settings: dict[str, Any]
    secrets: dict[str, SecretStr]
    # Entry of clouds.yaml on the service's machine that says where and as whom; a server on the network takes none
    login: str | None = Field(default=None, min_length=1, max_length=255)


class ProviderChange(Strict):
    """Changes to a provider. A field that isn't named stays as it is; null puts a setting back to its default."""

    settings: dict[str, Any] = {}
    secrets: dict[str, SecretStr] = {}


class LastCheck(Strict):
    at: Moment
    found: dict[str, str]  # empty when it didn't let us in
    error: str | None  # why not
    code: str | None


class Provider(Strict):
    id: str
    project_id: str  # empty without a server: nothing belongs to a project then
    name: str
    kind: str
    sides: list[Side]  # where it can stand: machines are taken from a source, moved to a target, backed up to a vault
    moves: list[PlannedType]  # how machines can be moved from there: warm only what runs, and isn't read as a whole
    settings: dict[str, Any]  # empty when it is another project's, which shares it
    shared: bool = False  # by another project
    created_at: Moment
    last_check: LastCheck | None = None  # none was made yet, or it is another project's


class ProviderCheck(Strict):
    provider: Provider  # without an id where a dry run would have made it
    changed: bool = False  # its settings or secrets were, or would be by a dry run
    found: dict[str, str]


class FingerprintOf(Strict):
    host: str = Field(min_length=1)
    port: int = Field(default=443, ge=1, le=65535)


class Fingerprint(Strict):
    sha256: str


class References(Strict):
    refs: list[str] = Field(max_length=2000)


class NewMigration(Strict):
    machine: str
    source: str
    target: str
    request: MigrationRequest = MigrationRequest()


class NewConversion(Strict):
    """Options of a conversion, in addition to those that the machine was moved with."""

    accept: tuple[str, ...] = ()  # codes of blockers that the user accepts
    guest_keys: tuple[str, ...] = ()  # passphrases for what LUKS encrypts on the machine's disks


class NewTry(Strict):
    """Options of a further try, in place of those of the try before; an option that isn't given stays.

    Networks and subnets are added to the earlier ones, as are `accept` and `guest_keys`.
    """

    networks: dict[str, str] = {}
    subnets: dict[str, str] = {}
    flavor: str | None = None
    landing: LandingMode = LandingMode.AUTO
    server_name: str | None = None
    key_name: str | None = None
    accept: tuple[str, ...] = ()
    guest_keys: tuple[str, ...] = ()
    boot_mark: str | None = None
    boot_port: int | tuple[int, ...] = ()
    boot_proof: BootProof = BootProof.AUTO
    boot_timeout: float = 900.0
    shutdown_timeout: float = 600.0
    force_power_off: bool = False


class CutoverTime(Strict):
    """The time at which warm migrations are cut over by themselves. Moments in UTC where they don't say otherwise."""

    at: Moment
    until: Moment | None = None  # not begun any later: it then waits for a person


class NewMarks(Strict):
    """Marks for the source machine of a migration that is done, in place of the earlier ones."""

    mark_source: SourceMarks = SourceMarks()
    mark_source_later: SourceMarks = SourceMarks()  # once the time of grace is over, too
    grace: Seconds = 14 * 86400.0  # after the migration was done


class NewInspection(Strict):
    machine: str  # name, inventory path or reference
    source: str


class NewProxy(Strict):
    name: str
    host: str  # the ESXi host that it runs on, and whose datastores it reaches
    datastore: str  # for its own disk
    network: str
    address: str  # with the prefix of its network: 192.0.2.10/24
    gateway: str | None = None
    image: str | None = None  # path of the relay's image on the user's own machine; a server's callers have its own


class DiskProgress(Strict):
    key: str
    position: int
    label: str
    size: int
    state: str
    progress: dict[str, Any] | None
    volume_id: str | None
    root_digest: str | None


class QueuedBehind(Strict):
    """The reason why something is queued and not begun; without one it is only in line."""

    # A wave goes first; a limit is reached; all places of workers are taken; it is to begin at a time
    what: Literal["wave", "limit", "workers", "time"]
    wave: int | None = None  # that goes first
    of: LimitOf | None = None  # of a limit
    name: str | None = None  # of the provider that the limit is of, or of the host or datastore
    at_once: int | None = None  # so many may be at work there
    at: Moment | None = None  # when it is to begin


class ListedMigration(Strict):
    """One migration in a list."""

    id: str
    project_id: str = ""  # empty without a server: nothing belongs to a project then
    machine_name: str
    machine_ref: str
    source: str
    target: str
    plan: str | None  # that it was started from
    wave: int | None
    type: MigrationType
    landing: LandingMode
    status: Status
    interrupted: bool  # it isn't finished, and no engine is running it
    stranded: str | None = None  # why nobody that lives can take it, and what to do
    waits_for_cutover: bool = False  # it is for a person to say when its machine is stopped
    cutover_failed: bool = False  # it waits for another one, with what was copied and the machine running again
    may_be_taken_back: bool = False  # its cutover was asked for, now or at a time, and hasn't begun
    parked: str | None = None  # why it can't go on for now; it keeps what it has
    queued_behind: QueuedBehind | None = None
    due_at: Moment | None = None  # when it goes on by itself, if it is parked or waits for its cutover
    phase: str
    error: str | None
    error_code: str | None
    cancel_requested: bool
    cutover_requested: bool
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    downtime_seconds: float | None = None  # so far, while it lasts
    disks: list[DiskProgress]  # in the short form those that are being copied or read back now


class Migration(ListedMigration):
    request: Request = Field(discriminator="type")
    source_off_at: Moment | None
    target_up_at: Moment | None
    source_on_at: Moment | None = None  # it was taken back, and the source is powered on again
    downtime_note: str | None = None  # why there was none though the machine was off, or what the figure leaves out
    server_id: str | None
    syncs: list[dict[str, Any]]  # what each copy of the running machine came to, oldest first
    result: dict[str, Any] | None


class MigrationCounts(Strict):
    total: int
    statuses: dict[str, int]  # how many are queued, running, done, …; those that none are in are left out


class LastMove(Strict):
    """The last migration of a machine, dry runs included."""

    machine_ref: str
    id: str
    type: MigrationType
    status: Status
    finished_at: Moment | None


class ChosenMigrations(Strict):
    ids: list[str] = Field(min_length=1, max_length=1000)  # or the beginnings of them


class ChosenCutover(ChosenMigrations):
    time: CutoverTime | None = None  # at which they are cut over; None: now


class ChosenAnswer(Strict):
    id: str  # as it was asked for
    migration: Migration | None = None  # it, or what was started in its place
    error: ErrorBody | None = None  # why nothing was done about this one


class Workload(Strict):
    """A server of OS-Migrate's workloads.yml."""

    params: dict[str, Any]
    info: dict[str, Any] = {}  # `_info`
    how: dict[str, Any] = {}  # `_migration_params`


class NewPlan(Strict):
    """Request for the proposal of a plan. Machines are named by name, path or reference, or found by place and name."""

    name: Name
    source: str
    target: str
    description: str = ""
    machines: Names = []
    folder: str | None = None
    cluster: str | None = None
    tag: str | None = None
    match: str | None = None  # pattern of names
    networks: Mapped = {}  # what is to be mapped so, whatever would be proposed
    storage: Mapped = {}
    defaults: dict[str, Any] = {}
    workloads: Annotated[
        list[Workload], FailFast()
    ] = []  # their machines are meant, too, and are to become what they say
    volumes: Names = []  # those without a server of these ids, or called like these patterns
    create_flavors: bool = False  # make those that no flavor of the target is large enough for; needs an admin
    # Not a plan yet: a word of the caller's own, by which it may be proposed again, under another name, too. It goes by
    # itself a month after its last change
    draft: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{8,64}$")


class PlanConcern(Strict):
    machine: str  # as the plan calls it; empty: several, or the plan as a whole
    code: str
    severity: Severity
    subject: str
    text: str
    advice: str
    acceptable: bool


class PlanAnswer(Strict):
    plan: dict[str, Any]  # as its file has it
    changed: bool = True
    open: list[PlanConcern] = []  # what the user has to decide, or might want to


class PlanChanged(Strict):
    changed: bool
    version: str  # what If-Match compares, in quotes
    changed_at: Moment
    plan: dict[str, Any] | None = None  # as it would be, of a dry run


class PlanCopy(Strict):
    name: Name
    description: str | None = None  # None: the same


class WaveForecast(Strict):
    """The forecast of when a wave is done, or copied."""

    wave: int
    done_at: Moment
    give_or_take: float  # seconds
    until_cutover: bool  # what is told is when all of it is copied


class PlanFigures(Strict):
    """Figures of a plan, or of one of its waves, added up."""

    wave: int | None  # null: all of the plan
    machines: int  # and volumes
    states: dict[str, int]  # how many of them are planned, queued, running, done, …
    bytes_done: int  # of the disks of those that were started, as large as they are
    bytes_total: int
    bytes_per_second: float  # that are copied or read back now
    begins_at: Moment | None = None  # the earliest moment at which something of it is to begin by itself
    done_at: Moment | None = None  # about then all that was started is done
    give_or_take: float | None = None  # seconds
    until_cutover: bool = False  # what is told is when all of it is copied: then it waits for its cutover
    # Why that isn't known though something is under way: not-measured (yet), cutover-first (what waits for its cutover,
    # or will, is in a wave before), begins-later
    no_forecast: str | None = None
    at_work: WaveForecast | None = None  # of all of a plan, where for cutover-first only that of a wave is known


class PlanSummary(Strict):
    id: str = ""
    name: str
    project_id: str = ""  # empty without a server: nothing belongs to a project then
    description: str
    source: str
    target: str
    machines: int
    volumes: int = 0
    waves: int
    draft: str | None = None  # the word of one that was proposed, and neither kept nor started yet
    states: dict[str, int]  # how many machines and volumes are planned, queued, running, done, …
    changed_at: Moment
    unreadable: str | None = None  # why nothing else is known of it: it can be exported, replaced and deleted
    figures: PlanFigures | None = None  # of all of it, where they were asked for


class PlannedState(Strict):
    machine: str
    ref: str | None
    wave: int
    status: str  # planned, or that of its latest migration
    type: str | None
    phase: str | None
    migration: str | None
    error: str | None
    stranded: str | None = None  # why nobody that lives can take it, and what to do


class PlannedProgress(PlannedState):
    """Progress of one machine of a plan.

    Figures are of the disks that are being copied or read back now, all together.
    """

    interrupted: bool = False  # it isn't finished, and no engine is running it
    waits_for_cutover: bool = False
    cutover_failed: bool = False
    downtime_seconds: float | None = None  # so far, while it lasts
    parked: str | None = None  # why it can't go on for now; it keeps what it has
    queued_behind: QueuedBehind | None = None
    syncs: int = 0  # copies of the running machine that are done
    bytes_changed: int | None = None  # what the last of them found changed
    bytes_done: int | None = None
    bytes_total: int | None = None
    bytes_per_second: float | None = None
    seconds_left: float | None = None  # of the disk that takes longest
    disks: list[DiskProgress] = []  # those


class PlanStates(Strict):
    plan: PlanSummary
    version: str  # of the plan: with another one than before all may be otherwise
    until: Moment  # what to ask for next as changed_since
    total: int  # machines and volumes that fit
    startable: int  # of all of them, those that aren't moved or on their way
    may_cut_over: int  # of all of them, those whose warm migration is under way
    may_take_back: int = 0  # of all of them, those whose cutover was asked for, now or at a time, and hasn't begun
    broken_off: int = 0  # of all of them, those that an engine would go on with if one ran
    figures: PlanFigures  # of all of the plan
    waves: list[PlanFigures]
    machines: list[PlannedProgress]


class PlanView(Strict):
    plan: dict[str, Any]
    project_id: str = ""  # empty without a server: nothing belongs to a project then
    created_at: Moment
    changed_at: Moment
    version: str  # what If-Match compares, in quotes
    draft: str | None = None  # the word of one that was proposed, and neither kept nor started yet
    machines: list[PlannedState]
    flavors: list[str] = []  # that were made for it; they stay when it is forgotten
    unreadable: str | None = None  # why nothing is known of its machines: it can be exported, replaced and deleted


class FoundMachine(Strict):
    entry: str  # as the plan calls it
    wave: int
    machine: ShownMachine | None
    error: str | None


class PlanStart(Strict):
    type: PlannedType | None = None  # None: as the plan says
    accept: Names = []  # codes of blockers, besides those that the plan accepts
    wave: int | None = None  # None: all
    machines: Names = []  # of that only these, as the plan calls them, or by their references; empty: all
    at: Moment | None = None  # then, by itself; None: now. A check doesn't go by it


class LimitChange(Strict):
    """A limit by what it is of. Of its figures, what isn't named stays as it was, and null lifts it."""

    of: LimitOf
    provider: str | None = None  # of a source, host, datastore or target
    name: str | None = Field(default=None, min_length=1, max_length=LONGEST_NAME, pattern=ONE_LINE)
    plan: str | None = None  # of a plan
    at_once: int | None = Field(default=None, ge=1, le=MOST_AT_ONCE)  # jobs
    bytes_per_second: Annotated[Rate, Field(ge=SLOWEST, le=FASTEST)] | None = None  # that their copies read together


class Limit(Strict):
    id: str
    of: LimitOf
    provider: str | None  # of a source, host, datastore or target
    provider_id: str | None
    name: str | None  # of the host or datastore
    plan: str | None
    project_id: str | None  # whose jobs it counts (empty without a server); null: all projects'
    at_once: int | None
    bytes_per_second: int | None


class Event(Strict):
    id: int
    at: Moment
    level: str
    phase: str
    text: str


class PlanEvent(Event):
    migration: str  # its id
    machine: str  # its name


class LedgerEntry(Strict):
    kind: str
    step: str
    ref: str | None
    state: str
    note: str | None


class ServerConsole(Strict):
    """Console output of a migration's server, without control characters that only a terminal acts on."""

    server_id: str
    text: str
    off: bool = False  # its cloud says so; what it printed before may be gone then


class Cleanup(Strict):
    left: list[str]  # a sentence for each thing that could not be removed
