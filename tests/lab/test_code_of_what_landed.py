"""What `plan iac` writes of a machine that has landed, judged by openstack.cloud: its tasks find everything as it is.

They run in an environment of their own, made where there is a network: a virtual environment with ansible 12.3.0 and
openstacksdk below 4.15. The variable LONGSHORE_OPENSTACK_CLOUD is its directory. Without it, this test is skipped.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from moves import READY

THEIRS = os.environ.get("LONGSHORE_OPENSTACK_CLOUD")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.skipif(THEIRS is None, reason="LONGSHORE_OPENSTACK_CLOUD doesn't say where openstack.cloud is"),
]


def test_tasks_of_openstack_cloud_change_nothing(cli, tiny, cloud, lab, tidy, tmp_path):
    create = ["plan", "create", "one", "--from", "vc", "--to", "cloud", "--name", tiny.name]
    create += ["--network", "VM Network=private", "--option", "landing=unchanged", "--option", f"boot_mark={READY}"]
    for words in (create, ["plan", "start", "one", "--wait", "--plain"]):
        done = cli(*words)
        assert done.returncode == 0, done.stderr
    written = tmp_path / "landed.yml"
    done = cli("plan", "iac", "one", str(written), "--format", "ansible")
    assert done.returncode == 0, done.stderr
    (server,) = cloud.compute.servers(name=f"^{tiny.name}$")
    before = server.updated_at
    for words in (("--check",), ()):
        ran = subprocess.run(
            [Path(THEIRS, "bin/ansible-playbook"), "-i", "localhost,", "-c", "local", *words, written],
            env={
                **os.environ,
                "OS_CLOUD": "lab",
                "OS_CLIENT_CONFIG_FILE": str(lab.clouds_file),
                "ANSIBLE_PYTHON_INTERPRETER": f"{THEIRS}/bin/python",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert re.search(r"ok=[1-9]\d* +changed=0 ", ran.stdout), ran.stdout
    assert cloud.compute.get_server(server.id).updated_at == before
