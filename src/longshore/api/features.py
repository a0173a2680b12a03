"""Features of a service, as they go over the wire."""

from pydantic import BaseModel, ConfigDict


class Features(BaseModel):
    """Features and quotas of a service for the caller; no role of theirs gets more.

    A server does nothing on its own machine for those who ask from elsewhere; a user's own command refuses nothing.
    """

    model_config = ConfigDict(extra="forbid")

    version: str  # of Longshore
    playbooks: bool  # run before and after migrations and snapshots
    gate_commands: bool  # run between the tiers of a group of replicas
    resource_files: bool  # a project's resources are written to, and read from, directories
    provider_from_token: bool  # an OpenStack can be added without secrets: for the caller's own project
    provider_settings: dict[str, list[str]] | None  # by kind: those that a caller may give; null: all
    files_directories: list[str] | None  # below one of which machines in files have to be; null: anywhere
    vault_endpoints: list[str] | None  # S3 servers in whose buckets vaults have to be; null: anywhere, directories too
    quotas: dict[str, int] | None  # what the project may have at most; null: no such limits
