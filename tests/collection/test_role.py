"""The collection's role on a bare Debian 12 with systemd: a server from the packages, and nothing to do again."""

import os
import re
import shlex

import pytest
import yaml
from playbooks import Playbooks

from booted import Booted, until
from packaged import CONFIGURATION, READY, as_root, made, root

pytestmark = [*as_root(), pytest.mark.soak]
NAMES = ("longshore", "longshore-engine", "longshore-server")


@pytest.fixture
def machine(tmp_path):
    place = tmp_path / "machine"
    place.mkdir()
    with Booted(root("bookworm"), place) as machine:
        yield machine


def ran(playbooks, machine, packages, *words, **more):
    """Run the role there. Return how many of its tasks have changed something."""
    # In the place of ssh, whose last word is the command
    way = playbooks.place / "way"
    way.write_text(f'#!/bin/bash\nexec {shlex.join(machine.inside)} sh -c "${{@: -1}}"\n')
    way.chmod(0o755)
    reached = {"ansible_ssh_executable": str(way), "ansible_ssh_transfer_method": "piped"}
    reached["ansible_python_interpreter"] = "/usr/bin/python3"
    (playbooks.place / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"node": reached}}}))
    asked = {"server_packages": str(packages), "server_configuration": CONFIGURATION, **more}
    play = {"hosts": "node", "gather_facts": False, "roles": [{"role": "longshore.longshore.server", "vars": asked}]}
    (playbooks.place / "play.yml").write_text(yaml.safe_dump([play]))
    done = playbooks.ansible("ansible-playbook", "-i", "hosts.yml", "play.yml", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"changed=(\d+)", done.stdout)[1])


def test_a_server_is_installed_runs_and_is_left_alone_then(machine, tmp_path):
    packages = tmp_path / "packages"
    assert set(NAMES) <= set(made(packages, "none"))
    playbooks = Playbooks(tmp_path, {}, dict(os.environ))
    assert ran(playbooks, machine, packages) > 0
    until(lambda: machine.on(READY) == "200", 300)
    assert machine.on("systemctl is-enabled longshore-server") == "enabled"
    assert machine.on("dpkg-query --show --showformat '${Package} ' 'longshore*'").split() == list(NAMES)
    assert machine.on("stat -c '%U:%G %a' /etc/longshore/longshore.toml") == "root:longshore 640"
    assert ran(playbooks, machine, packages) == 0
    before = machine.on("systemctl show --property MainPID longshore-server")
    assert ran(playbooks, machine, packages, server_configuration=f"{CONFIGURATION}# changed\n") > 0
    assert machine.on("systemctl show --property MainPID longshore-server") != before, "it has read that"
