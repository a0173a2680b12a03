"""A vault as it is known here."""

from longshore.errors import InvalidInput
from longshore.providers.registry import kinds_for
from longshore.store import ProviderRecord, Store


def vault_record(store: Store, name: str) -> ProviderRecord:
    """Raises NotFound, InvalidInput."""
    record = store.providers.get(name)
    if record.kind not in kinds_for("vault"):
        raise InvalidInput(f"Provider {record.name} is {record.kind}, no vault.", advice="See: longshore vault list.")
    return record
