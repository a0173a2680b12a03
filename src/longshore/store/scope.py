"""Scopes, which say whose things are seen. Every part of a store reads and writes for one, so no caller has to."""

from dataclasses import dataclass

from longshore.configuration import QuotaSettings

EVERY_PROJECT = "*"  # with whom a provider may be shared


@dataclass(frozen=True, slots=True)
class Scope:
    project_id: str  # to which new things belong
    everything: bool = False  # other projects' things are seen, too
    quotas: QuotaSettings | None = None  # what may be added to the project's things; None: whatever there is room for


# A user's own command and an engine: new things belong to no OpenStack project, and nothing is hidden
WHOLE = Scope("", everything=True)
