"""What goes over the wire. Times are RFC 3339 in UTC, sizes bytes; unknown fields are refused."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from longshore.model.request import MigrationRequest
from longshore.store import Status


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorBody(_Strict):
    code: str
    message: str


class NewProvider(_Strict):
    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    kind: Literal["vsphere", "openstack"]
    settings: dict[str, Any]
    secrets: dict[str, SecretStr]


class Provider(_Strict):
    id: str
    name: str
    kind: str
    settings: dict[str, Any]
    created_at: datetime


class ProviderCheck(_Strict):
    provider: Provider
    found: dict[str, str]


class FingerprintOf(_Strict):
    host: str = Field(min_length=1)
    port: int = Field(default=443, ge=1, le=65535)


class Fingerprint(_Strict):
    sha256: str


class NewMigration(_Strict):
    machine: str
    source: str
    target: str
    request: MigrationRequest = MigrationRequest()


class DiskProgress(_Strict):
    key: str
    position: int
    label: str
    size: int
    state: str
    progress: dict[str, Any] | None
    volume_id: str | None
    root_digest: str | None


class Migration(_Strict):
    id: str
    machine_name: str
    machine_ref: str
    source: str
    target: str
    request: MigrationRequest
    status: Status
    interrupted: bool  # it isn't finished, and no engine is running it
    phase: str
    error: str | None
    error_code: str | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    source_off_at: datetime | None
    target_up_at: datetime | None
    server_id: str | None
    result: dict[str, Any] | None
    disks: list[DiskProgress]


class Event(_Strict):
    id: int
    at: datetime
    level: str
    phase: str
    text: str


class LedgerEntry(_Strict):
    kind: str
    step: str
    ref: str | None
    state: str
    note: str | None


class Cleanup(_Strict):
    left: list[str]  # a sentence for each thing that could not be removed
