"""The support bundle of a migration."""

from pydantic import BaseModel, ConfigDict

from longshore.api.reports import Report
from longshore.api.schemas import LedgerEntry, Migration, Moment


class Bundle(BaseModel):
    """All that is on record of a migration. No settings of providers, passwords or texts for the guest are in it; names
    of machines, networks and hosts are."""

    model_config = ConfigDict(extra="forbid")

    version: str  # of the release
    flow_version: str
    made_at: Moment
    source_kind: str
    target_kind: str
    migration: Migration
    report: Report  # with its events
    ledger: list[LedgerEntry]
