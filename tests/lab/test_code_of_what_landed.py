"""Files that `plan iac` writes of a machine that has landed, judged by their readers: tasks of openstack.cloud find
everything as it is; Heat adopts it, changes nothing, and gives it back.

Each is in an environment of its own, made where there is a network: a virtual environment with ansible 12.3.0 and
openstacksdk below 4.15, whose directory LONGSHORE_OPENSTACK_CLOUD names, and one with openstack-heat 27.0.1, which
LONGSHORE_HEAT names (`make judges` makes both). Without one, what it judges is skipped.
"""

import json
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml
from moves import READY

from conftest import wait_for
from ports import port_to_serve

OF_ANSIBLE, OF_HEAT = os.environ.get("LONGSHORE_OPENSTACK_CLOUD"), os.environ.get("LONGSHORE_HEAT")
pytestmark = [pytest.mark.lab, pytest.mark.soak]


@pytest.fixture
def landed(cli, tiny, cloud, tidy, tmp_path):
    """Yield the server that a tiny machine has become, and what writes a file of it in a format."""
    create = ["plan", "create", "one", "--from", "vc", "--to", "cloud", "--name", tiny.name]
    create += ["--network", "VM Network=private", "--option", "landing=unchanged", "--option", f"boot_mark={READY}"]
    for words in (create, ["plan", "start", "one", "--wait", "--plain"]):
        done = cli(*words)
        assert done.returncode == 0, done.stderr
    (server,) = cloud.compute.servers(name=f"^{tiny.name}$")

    def written(form):
        file = tmp_path / form
        done = cli("plan", "iac", "one", str(file), "--format", form)
        assert done.returncode == 0, done.stderr
        return file

    yield server, written
    now = cloud.compute.get_server(server.id)
    assert (now.status, now.updated_at) == (server.status, server.updated_at), "nobody has touched it"


@pytest.mark.skipif(OF_ANSIBLE is None, reason="LONGSHORE_OPENSTACK_CLOUD doesn't say where openstack.cloud is")
def test_tasks_of_openstack_cloud_change_nothing(landed, lab):
    _server, written = landed
    playbook = written("ansible")
    for words in (("--check",), ()):
        ran = subprocess.run(
            [Path(OF_ANSIBLE, "bin/ansible-playbook"), "-i", "localhost,", "-c", "local", *words, playbook],
            env={
                **os.environ,
                "OS_CLOUD": "lab",
                "OS_CLIENT_CONFIG_FILE": str(lab.clouds_file),
                "ANSIBLE_PYTHON_INTERPRETER": f"{OF_ANSIBLE}/bin/python",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert re.search(r"ok=[1-9]\d* +changed=0 ", ran.stdout), ran.stdout


class Heat:
    """Heat, as a user of a project asks it."""

    def __init__(self, at, project, token):
        self._stacks = f"{at}/v1/{project}/stacks"
        self._token = token

    def ask(self, method, path="", body=None):
        """Ask about stacks, and return what is told of them."""
        answer = requests.request(
            method, self._stacks + path, json=body, headers={"X-Auth-Token": self._token()}, timeout=120
        )
        assert answer.ok, answer.text
        return answer.json() if method == "GET" else None

    def stack(self, name):
        return self.ask("GET", f"/{name}")["stack"]

    def becomes(self, name, status):
        """Wait until what is done to a stack is over, and see that it is well. Return the stack's path."""
        action = status.partition("_")[0]
        ends = (status, f"{action}_FAILED")
        wait_for(lambda: self.stack(name)["stack_status"] in ends, 120, f"{name} to be {status}")
        found = self.stack(name)
        assert found["stack_status"] == status, found["stack_status_reason"]
        return f"/{name}/{found['id']}"


@contextmanager
def heat_for(place, login, project, token):
    """Yield Heat. `login`: an administrator's; `token`: returns a user's of the project."""
    place.mkdir()
    port = port_to_serve()
    script = Path(__file__).with_name("heat_in_one_process.py")
    process = subprocess.Popen(
        [Path(OF_HEAT, "bin/python"), "-P", script, place, str(port)],
        env={**os.environ, "HEAT_LOGIN": json.dumps(login)},
        stdout=subprocess.PIPE,
        stderr=(place / "said").open("w"),
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n", (place / "said").read_text()
        yield Heat(f"http://127.0.0.1:{port}", project, token)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def adopt_and_give_back(heat, data):
    """Have Heat adopt what the data says, find nothing to change, and abandon it."""
    heat.ask("POST", "", {"stack_name": "landed", "timeout_mins": 10, "adopt_stack_data": json.dumps(data)})
    path = heat.becomes("landed", "ADOPT_COMPLETE")
    found = heat.ask("GET", f"{path}/resources")["resources"]
    assert {one["resource_name"]: one["physical_resource_id"] for one in found} == {
        name: one["resource_id"] for name, one in data["resources"].items()
    }
    heat.ask("PUT", path, {"template": data["template"]})
    heat.becomes("landed", "UPDATE_COMPLETE")
    assert heat.ask("GET", f"{path}/resources")["resources"] == found, "none was made anew"
    heat.ask("DELETE", f"{path}/abandon")


def point_and_let_go(heat, template):
    """Have Heat know what the template points at, and delete the stack."""
    heat.ask("POST", "", {"stack_name": "known", "timeout_mins": 10, "template": template})
    heat.ask("DELETE", heat.becomes("known", "CREATE_COMPLETE"))
    left = "DELETE_COMPLETE"  # for a moment
    wait_for(lambda: all(one["stack_status"] == left for one in heat.ask("GET")["stacks"]), 120, "the stack to go")


@pytest.mark.skipif(OF_HEAT is None, reason="LONGSHORE_HEAT doesn't say where Heat is")
def test_heat_adopts_it_changes_nothing_and_gives_it_back(landed, cloud, admin_cloud, tmp_path):
    _server, written = landed
    login = {**admin_cloud.config.get_auth_args(), "region_name": admin_cloud.config.get_region_name()}
    with heat_for(tmp_path / "heat-place", login, cloud.current_project_id, cloud.session.get_token) as heat:
        adopt_and_give_back(heat, json.loads(written("heat-adopt").read_text()))
        point_and_let_go(heat, yaml.safe_load(written("heat").read_text()))
