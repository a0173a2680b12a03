"""A tenant's resources as files: what is asked for, and what comes of it."""

from typing import Literal

from pydantic import Field

from longshore.api.schemas import Strict


class TenancyRequest(Strict):
    provider: str
    directory: str = Field(min_length=1)  # an absolute path on the machine of the service
    only: list[str] = Field(default=[])  # kinds, as their files are called: networks, security_groups, …
    filters: list[str] = Field(default=[])  # name=WORD, name~REGEX, tag=WORD, tag~REGEX; ! before = or ~ denies


class ExportRequest(TenancyRequest):
    overwrite: bool = False


class ImportRequest(TenancyRequest):
    # A file for the new passwords of users who are made: an absolute path on the machine of the service
    passwords: str | None = Field(default=None, min_length=1)


class TenancyRow(Strict):
    action: str
    kind: str
    name: str
    said: str


class TenancyReport(Strict):
    rows: list[TenancyRow] = Field(default=[])  # of an export: only what failed
    files: dict[str, int] = Field(default={})  # of an export: how many resources are in each
    notes: list[str] = Field(default=[])  # what was left out, and why


class TenancyJob(Strict):
    id: str
    state: Literal["running", "done", "failed"]
    done: int  # of `total` things, in the step that it is at
    total: int
    doing: str
    report: TenancyReport | None
    error: str | None
    error_code: str | None
