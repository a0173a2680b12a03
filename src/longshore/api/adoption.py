"""Replicas that are found at a target, as they go over the wire."""

from pydantic import BaseModel, ConfigDict, Field

from longshore.api.schemas import Moment
from longshore.model.request import MigrationRequest


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewAdoption(_Strict):
    target: str
    machines: list[str] = Field(default=[], max_length=1000)  # by name, reference or replica's id; none: all
    request: MigrationRequest = Field(default_factory=MigrationRequest)  # its type counts for nothing


class FoundReplica(_Strict):
    id: str
    machine_name: str
    machine_ref: str
    disks: int
    size: int  # bytes, of the newest point's disks
    points: int  # whole ones
    newest: Moment | None  # its moment
    adopted: bool  # by this very request
    objection: str | None  # why it can't be adopted
    refused: list[str]  # what of it isn't taken for what it says it is, and why
