"""Requests, each of a class that has what its kind of job can be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, get_args

from longshore.model.addresses import AdapterWishes, Addressing
from longshore.model.agents import Agent
from longshore.model.proxy import NewProxy
from longshore.model.quantity_fields import Rate, Seconds
from longshore.model.source_marks import SourceMarks
from longshore.model.verify import Verify as Verify  # noqa: PLC0414 - for those who import it from here


class MigrationType(StrEnum):
    DRY_RUN = "dry-run"  # a copy of the machine is booted and checked; the machine itself goes on as it was
    COLD = "cold"  # the machine is shut down, then copied
    WARM = "warm"  # copied while it runs, again and again; shut down only for the last changes
    CONVERSION = "conversion"  # a machine that landed as it was is converted, in a stop of its own
    VOLUME = "volume"  # a volume that no machine has is copied; nothing boots
    INSPECTION = "inspection"  # the machine's disks are looked into where it is; nothing is moved
    REPLICA = "replica"  # copied while it runs, for ever, each time to a point that it can be made of again
    TEST = "test-failover"  # a machine made of a replica's point is booted and checked, and goes again
    FAILOVER = "failover"  # a machine made of a replica's point takes the place of the machine
    LOOK = "look"  # a replica's point is looked into, to know beforehand how it lands; nothing is made of it
    GROUP_TEST = "group-test"  # tests of a group's replicas, tier after tier; each machine has a record of its own
    GROUP_FAILOVER = "group-failover"
    BACKUP = "backup"  # copied while it runs, to a point in a vault
    BACKUP_POLICY = "backup-policy"  # backups by a clock; each machine's backup has a record of its own
    VERIFICATION = "verification"  # all that a vault's points name is read
    PRUNE = "prune"  # what no point of a vault names any more goes
    VAULT_COPY = "vault-copy"  # a vault's points, into another vault
    IN_PLACE = "in-place"  # a machine made of a point in a vault takes the place of the server that was backed up
    FAILBACK = "failback"  # what has become of that machine is written back, and runs where it came from
    PLAN_CHECK = "plan-check"  # what stands against a plan is looked for; nothing is moved
    PROXY = "proxy"  # a machine is made at a source, to which others' disks are attached
    TENANT_EXPORT = "tenant-export"  # a project's resources are written to files
    TENANT_DIFF = "tenant-diff"  # an import is foreseen
    TENANT_IMPORT = "tenant-import"  # a cloud is given what files say

    @property
    def moves(self) -> bool:
        """A machine, or a volume that none has, goes from a source to a target: what is called a migration."""
        return self in (MigrationType.DRY_RUN, MigrationType.COLD, MigrationType.WARM, MigrationType.VOLUME)

    @property
    def of_point(self) -> bool:
        """Tell whether it works on a replica's point alone, whatever its machine does meanwhile."""
        return self in (MigrationType.TEST, MigrationType.FAILOVER, MigrationType.LOOK)

    @property
    def of_group(self) -> bool:
        return self in (MigrationType.GROUP_TEST, MigrationType.GROUP_FAILOVER)

    @property
    def of_vault(self) -> bool:
        """Tell whether it is about a vault itself, without a machine."""
        return self in (MigrationType.VERIFICATION, MigrationType.PRUNE, MigrationType.VAULT_COPY)

    @property
    def awaited(self) -> bool:
        """Tell whether somebody waits for its answer, as of a question: it is in nobody's way."""
        return self is MigrationType.PLAN_CHECK or self.of_tenant

    @property
    def of_tenant(self) -> bool:
        """Tell whether it is about a tenant's resources other than machines."""
        return self in (MigrationType.TENANT_EXPORT, MigrationType.TENANT_DIFF, MigrationType.TENANT_IMPORT)

    @property
    def rehearses(self) -> bool:
        """Tell whether the server that boots is a further copy, while the machine itself goes on."""
        return self in (MigrationType.DRY_RUN, MigrationType.TEST)


MOVES = tuple(kind for kind in MigrationType if kind.moves)
# As the database has them
OF_POINTS = tuple(kind.value for kind in MigrationType if kind.of_point)
AWAITED = tuple(kind.value for kind in MigrationType if kind.awaited)
MADE_OF_POINTS = tuple(kind for kind in OF_POINTS if kind != MigrationType.LOOK.value)


class LandingMode(StrEnum):
    """The change to a guest before it boots on the target."""

    CONVERT = "convert"  # it is given the drivers of the target's hardware
    AS_IS = "as-is"  # unchanged, on hardware that it knows from where it comes
    UNCHANGED = "unchanged"  # unchanged, on the target's own hardware, whose drivers it has
    AUTO = "auto"  # unchanged from a cloud that runs on KVM, as the target does; converted from elsewhere


class PowerAfter(StrEnum):
    """The power state that the server is left in. It is always started once, to see that it boots."""

    AS_BEFORE = "as-before"  # as the machine was found at the source
    ON = "on"
    OFF = "off"


class BootProof(StrEnum):
    """The proof that a guest has come up on the target."""

    AUTO = "auto"  # whichever comes first of those that can be had
    CONSOLE = "console"  # the mark asked for, else a login prompt
    AGENT = "agent"  # the guest's qemu-guest-agent answers
    PORT = "port"  # one of `boot_port` takes a connection
    NONE = "none"  # nothing has to: it is enough that the server runs and its console doesn't say that it is dead


class FloatingMode(StrEnum):
    """The fate of floating IPs."""

    AUTO = "auto"  # the same address, where the target project has it free; else a new one
    NEW = "new"
    EXISTING = "existing"  # the same address or none
    SKIP = "skip"


class CutoverMode(StrEnum):
    MANUAL = "manual"  # syncs go on until the user says so
    AUTOMATIC = "automatic"  # as soon as the next sync would fit the downtime asked for
    SCHEDULED = "scheduled"  # at a time, inside a window


class WhenStuck(StrEnum):
    """The fate of a migration whose cloud stays away, whose storage stalls or whose quota is short, or that fails once
    its machine is copied."""

    PARK = "park"  # it keeps what it has, and goes on when that has passed, or when somebody lets it try again
    TAKE_BACK = "take-back"  # what was made is removed, and the source runs again if it did


@dataclass(frozen=True, slots=True)
class Cutover:
    """The time at which a warm migration stops its machine. Times in seconds, moments in UTC."""

    mode: CutoverMode = CutoverMode.MANUAL
    downtime: Seconds = 60.0  # automatic: that the last sync, not the boot, may take
    interval: Seconds = 600.0  # between two syncs while there is nothing else to do
    syncs: int = 10  # automatic: if so many didn't get there, it waits for the user
    at: datetime | None = None  # scheduled: not before
    until: datetime | None = None  # scheduled: not begun any later; the migration then waits for the user


@dataclass(frozen=True, slots=True)
class Carry:
    """Details of a machine at its source that go along to its server. Lists hold names; * and ? stand for any."""

    annotation: bool = True  # its notes (OpenStack: its description) become the server's description
    tags: bool | tuple[str, ...] = (
        True  # vSphere: CATEGORY/NAME becomes the tag CATEGORY:NAME; a list: those categories
    )
    attributes: bool | tuple[str, ...] = True  # vSphere: custom attributes become metadata; a list: those attributes
    cpu_topology: bool = True  # several cores on a socket stay that: Windows' editions are licensed for few sockets


@dataclass(frozen=True, slots=True)
class VolumeWishes:
    """Wishes for a volume that no machine has, when it is made at the target. None: as it is at the source."""

    name: str | None = None
    description: str | None = None
    image_properties: dict[str, str] | None = None


class _Request:
    """A request is what the database keeps of a caller's wishes."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as the database has it."""
        from longshore.model.forms import form  # whoever only copies needn't load what writes it

        plain: dict[str, Any] = form(type(self)).dump_python(self, mode="json")
        return plain


MachineWork = Literal[  # that a MigrationRequest asks for
    MigrationType.DRY_RUN,
    MigrationType.COLD,
    MigrationType.WARM,
    MigrationType.CONVERSION,
    MigrationType.VOLUME,
    MigrationType.INSPECTION,
    MigrationType.REPLICA,
    MigrationType.TEST,
    MigrationType.FAILOVER,
    MigrationType.LOOK,
    MigrationType.IN_PLACE,
    MigrationType.FAILBACK,
]


@dataclass(frozen=True, slots=True)
class CopyRequest(_Request):
    """The common part of requests that have a machine's disks copied."""

    type: MigrationType
    quiesce: bool = False  # freeze the guest's file systems for each snapshot of the running machine, or fail
    verify: Verify = Verify.FULL
    carry: Carry = field(default_factory=Carry)
    before: str | None = None  # path of an Ansible playbook run before anything is done, or before a snapshot
    after: str | None = None  # and one run when the target is up, before the migration counts as done; or after it
    # conversion: the migration that brought the machine; of a point: its replica; backup: the policy
    of: str | None = None
    accept: tuple[str, ...] = ()  # codes of blockers that the user accepts
    when_stuck: WhenStuck = WhenStuck.PARK
    rate_limit: Rate | None = None  # bytes per second and disk


@dataclass(frozen=True, slots=True)
class BackupRequest(CopyRequest):
    """A request for the backup of a machine."""

    type: Literal[MigrationType.BACKUP] = MigrationType.BACKUP


@dataclass(frozen=True, slots=True)
class MigrationRequest(CopyRequest):
    """A request for work on a machine, a volume, or a point of one.

    Times in seconds. Mappings go from the source's name to the target's name or id.
    """

    networks: dict[str, str] = field(default_factory=dict)
    storage: dict[str, str] = field(default_factory=dict)  # datastore: volume type; unmapped ones get the default type
    subnets: dict[str, str] = field(default_factory=dict)  # source network: subnet, where the target has several
    ports: dict[str, str] = field(default_factory=dict)  # MAC: id of a port that is there already, made by an admin
    adapters: dict[str, AdapterWishes] = field(default_factory=dict)  # by MAC
    # MAC: what the guest's interface and its port get, instead of what they have at the source
    addresses: dict[str, Addressing | Literal["dhcp"]] = field(default_factory=dict)
    readdress: dict[str, str] = field(default_factory=dict)  # network: another of its size, in which hosts keep theirs
    test_addresses: dict[str, Addressing | Literal["dhcp"]] = field(default_factory=dict)  # of dry runs and tests
    test_readdress: dict[str, str] = field(default_factory=dict)
    flavor: str | None = None  # None: the smallest that fits
    type: MachineWork = MigrationType.COLD
    landing: LandingMode = LandingMode.AUTO
    landing_else: LandingMode | None = None  # tried at once where the guest doesn't get to land in the first way
    cutover: Cutover = field(default_factory=Cutover)
    power: PowerAfter = PowerAfter.AS_BEFORE
    isolated: bool = False  # dry run: on a network made for it that leads nowhere, not on the mapped ones
    keep: bool = False  # until it is cleaned up: a dry run's server, or what a migration that failed has made
    clean_up_after: Seconds | None = None  # test of a point: how long its server stays once it is up
    server_name: str | None = None  # None: as the machine is called
    security_groups: tuple[str, ...] | None = None  # None: the project's default
    availability_zone: str | None = None
    key_name: str | None = None
    server_group: str | None = None  # name or id
    user_data: str | None = None  # text that cloud-init is given, or "base64:" and any bytes in base64
    metadata: dict[str, str] = field(default_factory=dict)  # of the server
    tags: tuple[str, ...] = ()  # of the server
    allowed_addresses: tuple[str, ...] = ()  # further addresses that all its ports may speak for: a cluster's VIPs
    floating: FloatingMode = FloatingMode.AUTO  # what becomes of the machine's floating IPs
    first_boot: tuple[str, ...] = ()  # texts of scripts that a converted guest runs once, in this order
    agents: tuple[Agent, ...] = ()  # what a converted guest is given, from packages that the operator has laid down
    guest_keys: tuple[str, ...] = ()  # passphrases for what LUKS encrypts on the machine's disks
    volume: VolumeWishes = field(default_factory=VolumeWishes)  # of a volume that no machine has
    point: int | None = None  # of the replica: what a test or failover is made of
    new_machine: bool = False  # failback: the machine that it came from is gone, and another one is made
    new_server: bool = False  # failback: to a cloud, in full to a server that is made for it
    replaces: str | None = None  # in-place: id of the server of the target whose place the new one takes
    mark_source: SourceMarks = field(default_factory=SourceMarks)  # as soon as the migration is done
    mark_source_later: SourceMarks = field(default_factory=SourceMarks)  # once the time of grace is over, too
    grace: Seconds = 14 * 86400.0  # after it was done
    keep_copy: Seconds | None = None  # how long one waits for another try that nobody asks for; None: until a cancel
    shutdown_timeout: Seconds = 600.0
    force_power_off: bool = False  # when the guest doesn't shut down in time, or can't be asked
    boot_timeout: Seconds = 900.0
    boot_mark: str | None = None  # regular expression that the console must show; None: a login prompt
    boot_port: int | tuple[int, ...] = ()  # TCP ports of the guest, of which one takes connections once it is up
    boot_proof: BootProof = BootProof.AUTO

    @property
    def boot_ports(self) -> tuple[int, ...]:
        """Return `boot_port`, however it was written."""
        return (self.boot_port,) if isinstance(self.boot_port, int) else self.boot_port


@dataclass(frozen=True, slots=True)
class VaultRequest(_Request):
    """A request for work on a vault itself."""

    type: Literal[MigrationType.VERIFICATION, MigrationType.PRUNE, MigrationType.VAULT_COPY]
    of: str | None = None  # the policy of backups that wants it; None: a person


@dataclass(frozen=True, slots=True)
class PolicyRequest(_Request):
    """A request for backups by a clock. Of what, and when, stands in the row of the policy."""

    type: Literal[MigrationType.BACKUP_POLICY] = MigrationType.BACKUP_POLICY


@dataclass(frozen=True, slots=True)
class GroupRequest(_Request):
    """A request for a test or a failover of a group. Each of its machines has a request of its own."""

    type: Literal[MigrationType.GROUP_TEST, MigrationType.GROUP_FAILOVER]


@dataclass(frozen=True, slots=True)
class CheckRequest(_Request):
    """A request for the check of a plan as it was when that was asked for."""

    of: str  # the plan's id
    revision: int  # of the plan
    total: int  # machines and volumes that are looked at
    wave: int | None = None
    machines: tuple[str, ...] = ()  # as the plan names them, or their references; none: all of them
    accept: tuple[str, ...] = ()  # codes of blockers that the user accepts
    started_as: MigrationType | None = None  # None: as the plan says
    type: Literal[MigrationType.PLAN_CHECK] = MigrationType.PLAN_CHECK


@dataclass(frozen=True, slots=True)
class TenantRequest(_Request):
    """A request to carry a tenant's resources between a cloud and files of the user's machine. Paths are absolute."""

    type: Literal[MigrationType.TENANT_EXPORT, MigrationType.TENANT_DIFF, MigrationType.TENANT_IMPORT]
    directory: str
    only: tuple[str, ...] = ()  # kinds, as their files are called
    filters: tuple[str, ...] = ()
    overwrite: bool = False  # export: files that are there
    passwords: str | None = None  # import: the file for those of users who are made


@dataclass(frozen=True, slots=True)
class ProxyRequest(_Request):
    """A request for a proxy of the relay's image."""

    proxy: NewProxy
    image: str  # absolute path, where whoever does the work finds it
    type: Literal[MigrationType.PROXY] = MigrationType.PROXY


Request = (
    MigrationRequest
    | BackupRequest
    | VaultRequest
    | PolicyRequest
    | GroupRequest
    | CheckRequest
    | TenantRequest
    | ProxyRequest
)
_SHAPES: dict[MigrationType, type[Request]] = {
    kind: shape for shape in get_args(Request) for kind in get_args(shape.__annotations__["type"])
}


def request_from_json(told: Mapping[str, Any]) -> Request:
    """Read a request as the database has it."""
    from longshore.model.forms import form

    shape = _SHAPES[MigrationType(told.get("type", MigrationType.COLD))]
    read: Request = form(shape).validate_python(told)
    return read
