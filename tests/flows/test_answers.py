"""What somebody waits for the answer of is a job like others: it survives its engine, and waits for no machine."""

from contextlib import closing

import pytest
from test_plans import until
from test_plans import user as user  # noqa: PLC0414 a fixture

from longshore.api.schemas import PlanStart
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration

pytestmark = pytest.mark.faults


@pytest.fixture
def client(user):
    with closing(Embedded(read_configuration(state=str(user.state.root)))) as ways:
        yield Client(ways)


def test_a_check_whose_engine_was_killed_is_finished_by_another(user, client):
    user.create("--name", "*")
    user.fleet.hold()
    check = client.begin_check("shop", PlanStart(type="cold"))
    until(lambda: user.fleet.was_asked)
    user.engines[-1].kill()
    user.fleet.go_on()
    ended = until(lambda: _if_ended(client.go_on_with_check(check)))
    assert (ended.state, ended.done, len(user.engines)) == ("done", 3, 2)
    [job] = user.json("job", "list")
    assert (job["ID"], job["Type"], job["Status"]) == (check.id, "plan-check", "done")
    code, out, said = user("plan", "check", "shop")
    assert code == 0, (out, said)


def _if_ended(check):
    return check if check.state != "running" else None
