"""Machines that have landed, as they go over the wire."""

from typing import Any

from longshore.api.schemas import Moment, Strict
from longshore.model.request import MigrationType


class LandedPort(Strict):
    id: str
    mac: str
    addresses: list[str]  # fixed ones
    floating: list[str] | None  # null: the target wasn't asked


class Landed(Strict):
    """A machine that has landed, as its migration has left it."""

    migration: str
    project_id: str = ""  # empty without a server: nothing belongs to a project then
    machine_name: str
    machine_ref: str
    source: str
    target: str
    plan: str | None
    wave: int | None
    type: MigrationType
    server_id: str
    server_name: str
    flavor: str | None
    ports: list[LandedPort]
    volumes: list[str]  # ids, in the order of the machine's disks
    guest: dict[str, Any] | None  # what runs on it: kind, product, version, …; null: nobody has looked into its disks
    landed_at: Moment | None


class PlanCode(Strict):
    """A plan's servers as code for a tool."""

    file_name: str
    text: str
    notes: list[str]  # what isn't in it, and what to look after
