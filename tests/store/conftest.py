import pytest

from longshore.store import StateDirectory, Store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """One in a file, and one in PostgreSQL."""
    url = request.getfixturevalue("postgresql").database() if request.param == "postgresql" else None
    store = Store(StateDirectory(tmp_path / "state", url))
    yield store
    store.close()
