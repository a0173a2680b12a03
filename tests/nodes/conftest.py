"""Three nodes for the tests of a file, which has them to itself."""

import pytest
import three_nodes as machines
from node_work import jobs


@pytest.fixture(scope="module", autouse=True)
def nodes():
    machines.up()
    try:
        assert jobs("prepare").wait() == 0
        yield
    finally:
        machines.down()
