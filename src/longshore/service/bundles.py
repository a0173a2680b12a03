"""All that is on record of a migration, to be given to those who help."""

from importlib.metadata import version

from longshore.api.bundles import Bundle
from longshore.api.schemas import LedgerEntry
from longshore.engine.version import FLOW_VERSION
from longshore.errors import NotFound
from longshore.service.migrations_shown import shown
from longshore.service.parts import TheStore, judged_router
from longshore.service.reports import reports_of
from longshore.store import Store
from longshore.store.tables import utc_now

router = judged_router("/v1")


@router.get("/migrations/{migration}/bundle")
def bundle(migration: str, store: TheStore) -> Bundle:
    """Return what was asked for, what happened, what was made and what is left, without anything secret."""
    record = store.migrations.get(migration)
    return Bundle(
        version=version("longshore"),
        flow_version=FLOW_VERSION,
        made_at=utc_now(),
        source_kind=_kind(store, record.source_id),
        target_kind=_kind(store, record.target_id),
        migration=shown(store, [record])[0],
        report=reports_of(store, [record])[0],
        ledger=[
            LedgerEntry(kind=e.kind, step=e.step, ref=e.ref, state=e.state, note=e.note)
            for e in store.ledger.entries(record.id)
        ],
    )


def _kind(store: Store, provider_id: str) -> str:
    """Return the kind of a provider; empty where it is no longer shared."""
    try:
        return store.providers.get(provider_id).kind
    except NotFound:
        return ""
