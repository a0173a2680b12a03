"""What somebody waits for the answer of is a job like others: it survives its engine, and waits for no machine."""

import sys
import threading
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from test_plans import until
from test_plans import user as user  # noqa: PLC0414 a fixture

sys.path.insert(0, str(Path(__file__).parents[1] / "tenancy"))

from resource_files import Files, network
from small_cloud import SmallCloud

from longshore.api.schemas import PlanStart
from longshore.client import Client, Embedded
from longshore.configuration import read_configuration

pytestmark = pytest.mark.long

NAMES = [f"net-{number:02}" for number in range(30)]


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


def _if_ended(job):
    return job if job.state != "running" else None


class Slow(SmallCloud):
    """Makes one network, and of the next none before it is told to."""

    def __init__(self):
        super().__init__()
        self.asked_again, self.goes_on = Event(), Event()
        self._others = set(threading.enumerate())  # of other tests' servers, whose connections are kept open

    def handle(self, method, path, query, body, project):
        if method == "POST" and path.endswith("/networks") and names(self):
            self.asked_again.set()
            assert self.goes_on.wait(60)
        return super().handle(method, path, query, body, project)

    def is_idle(self):
        """Tell whether nobody's request is under way any more, of whom it may have been."""
        own = set(threading.enumerate()) - self._others
        return not any("process_request_thread" in thread.name for thread in own)


def names(cloud):
    return sorted(one["name"] for one in cloud.things.get("networks", {}).values())


@pytest.fixture
def slow(user):
    with Slow() as cloud:
        auth = {"auth_url": f"{cloud.url}/v3", "username": "user-of-here", "project_name": "here"}
        auth |= {"user_domain_id": "default", "project_domain_id": "default"}
        store = user.store()
        settings = {"auth": auth, "auth_type": "v3password", "region": "R"}
        store.providers.add("there", "openstack", settings, {"password": "x"})
        store.close()
        yield cloud
        cloud.goes_on.set()


@pytest.fixture
def begun(client, slow, tmp_path):
    """Begin an import of many networks, of which one is made."""
    files = Files(tmp_path)
    files.write("networks.yml", *map(network, NAMES))
    job = client.start_tenancy("imports", {"provider": "there", "directory": str(tmp_path), "only": ["networks"]})
    assert slow.asked_again.wait(60)
    return job


def test_an_import_whose_engine_was_killed_is_finished_by_another(user, client, slow, begun):
    user.engines[-1].kill()
    slow.goes_on.set()
    until(slow.is_idle)
    assert 0 < len(names(slow)) < len(NAMES)
    ended = until(lambda: _if_ended(client.tenancy_job(begun.id)))
    assert (ended.state, ended.error, len(user.engines)) == ("done", None, 2)
    assert {row.action for row in ended.report.rows} == {"made", "left"}
    assert names(slow) == NAMES, "each once"
    [job] = user.json("job", "list")
    assert (job["ID"], job["Type"], job["Machine"], job["Status"]) == (begun.id, "tenant-import", "there", "done")


def test_an_import_that_is_stopped_keeps_what_is_made_and_says_what_was_not_tried(user, client, slow, begun):
    client.stop_tenancy_job(begun.id)
    slow.goes_on.set()
    ended = until(lambda: _if_ended(client.tenancy_job(begun.id)))
    assert (ended.state, ended.error) == ("done", None)
    made = [row.name for row in ended.report.rows if row.action == "made"]
    assert sorted(made) == names(slow)
    assert {row.said for row in ended.report.rows if row.name not in made} == {"Not tried: stopped before."}
    [job] = user.json("job", "list")
    assert job["Status"] == "cancelled"
