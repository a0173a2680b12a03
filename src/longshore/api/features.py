"""Features of a service, and what the codes in its answers mean, as they go over the wire."""

from longshore.api.schemas import Strict
from longshore.model.concern import Severity


class Features(Strict):
    """Features and quotas of a service for the caller; no role of theirs gets more.

    A server does nothing on its own machine for those who ask from elsewhere; a user's own command refuses nothing.
    """

    version: str  # of Longshore
    playbooks: bool  # run before and after migrations and snapshots
    gate_commands: bool  # run between the tiers of a group of replicas
    resource_files: bool  # a project's resources are written to, and read from, directories
    provider_from_token: bool  # an OpenStack can be added without secrets: for the caller's own project
    provider_settings: dict[str, list[str]] | None  # by kind: those that a caller may give; null: all
    files_directories: list[str] | None  # below one of which machines in files have to be; null: anywhere
    vault_endpoints: list[str] | None  # S3 servers in whose buckets vaults have to be; null: anywhere, directories too
    quotas: dict[str, int] | None  # what the project may have at most; null: no such limits


class KindOfConcern(Strict):
    code: str
    about: str  # a heading: "Networks and addresses"
    severity: Severity
    meaning: str  # when it is raised
    advice: str
    acceptable: bool  # a blocker that a user may accept


class KindOfPhase(Strict):
    phase: str
    meaning: str
    lands: bool  # after the last byte, until the machine is seen up: it is off meanwhile, if it was shut down for it


class Catalogue(Strict):
    concerns: list[KindOfConcern]
    phases: list[KindOfPhase]
    courses: dict[str, list[str]]  # of a migration's type, the phases that it may have in their usual order
    statuses: dict[str, bool]  # of migrations and jobs, and whether one has ended with it
    stages: list[str]  # of replicas
