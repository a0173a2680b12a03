import pytest

from longshore.store import Store


@pytest.fixture
def store(each_state):
    store = Store(each_state)
    yield store
    store.close()
