"""What a user asks for when a machine is to be moved."""

from dataclasses import dataclass, field
from enum import StrEnum


class MigrationType(StrEnum):
    COLD = "cold"  # the machine is shut down, then copied


class Conversion(StrEnum):
    CONVERT = "convert"  # give the guest the target's drivers before it boots there
    SKIP = "skip"  # the guest boots on the target's hardware as it is


class Verify(StrEnum):
    """What is read back from the target after a copy."""

    NONE = "none"
    WRITTEN = "written"  # what this copy wrote, in all its runs
    FULL = "full"  # the whole disk


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """Times in seconds. Mappings go from the source's name to the target's name or id."""

    networks: dict[str, str] = field(default_factory=dict)
    storage: dict[str, str] = field(default_factory=dict)  # datastore: volume type; unmapped ones get the default type
    flavor: str | None = None  # None: the smallest that fits
    type: MigrationType = MigrationType.COLD
    conversion: Conversion = Conversion.CONVERT
    verify: Verify = Verify.FULL
    server_name: str | None = None  # None: as the machine is called
    security_groups: tuple[str, ...] | None = None  # None: the project's default
    availability_zone: str | None = None
    key_name: str | None = None
    shutdown_timeout: float = 600.0
    force_power_off: bool = False  # when the guest doesn't shut down in time, or can't be asked
    boot_timeout: float = 900.0
    boot_mark: str | None = None  # regular expression that the console must show; None: a login prompt
    rate_limit: int | None = None  # bytes per second and disk
