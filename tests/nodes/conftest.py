"""Three nodes, which all tests here have one after the other."""

import pytest
import three_nodes as machines
from node_work import jobs


@pytest.fixture(scope="session", autouse=True)
def nodes():
    machines.up()
    try:
        assert jobs("prepare").wait() == 0
        yield
    finally:
        machines.down()
