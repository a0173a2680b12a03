"""Lanes of the lab's tests that run side by side: `pytest -n 4` runs four.

What uses the vCenter or the project `demo` is one group, whose tests run one after another. What `SECOND_VCENTER` names
is another: it gets a second vCenter and a project of its own for both. What `OWN_PROJECTS` names, and what needs none
of the lab's clouds (tests/guests), are as many groups as there are modules.
"""

import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import openstack
import yaml
from xdist.scheduler import LoadScopeScheduling

PROJECT = Path(__file__).parents[2]
sys.path.append(str(PROJECT / "lab" / "openstack"))

# Modules that touch neither the vCenter nor the project `demo`
OWN_PROJECTS = {
    "test_a_cloud_of_today",
    "test_backups_of_servers",
    "test_federated_log_in",
    "test_foreign_readers",
    "test_guest_conversion",
    "test_increments_of_servers",
    "test_locked_buckets",
    "test_loose_volumes_in_plans",
    "test_octavia",
    "test_openstack_source",
    "test_tenancy",
    "test_two_clouds",
    "test_vaults_and_kills",
}
# Modules whose machines come from the second vCenter. They know both sides by fixtures only, and need no way from the
# lab to a guest's address, no ESXi host's SSH server and no vCenter that is started again: those are the first's.
SECOND_VCENTER = {
    "test_cold_migration",
    "test_collection",
    "test_debian_moves",
    "test_protected_machines",
    "test_second_tries",
    "test_uefi_moves",
    "test_web",
}

# Modules that build guests on the disks of one appliance, which is started once
ONE_APPLIANCE = {
    "test_drivers",
    "test_families",
    "test_findings",
    "test_finish",
    "test_installing_agents",
    "test_windows_drivers",
    "test_windows_first_boot",
}

FIRST_LANE, SECOND_LANE, APPLIANCE = "the vCenter and demo", "the second vCenter", "one appliance"
# By the minutes that they take: what takes long and begins late keeps the others waiting at the end. But what waits for
# APIs itself begins early, beside those that compute: at the end it would leave the processors idle
FIRST = (
    FIRST_LANE,
    SECOND_LANE,
    APPLIANCE,
    "test_openstack_source",
    "test_tenancy",
    "test_loose_volumes_in_plans",
)

SECOND_HOST = "vcenter2.lab"
SECOND_PROJECT = "second-lane"


def lane(nodeid):
    path = PROJECT / nodeid.partition("::")[0]
    if path.stem in ONE_APPLIANCE:
        return APPLIANCE
    if path.parent != Path(__file__).parent or path.stem in OWN_PROJECTS:
        return path.stem
    return SECOND_LANE if path.stem in SECOND_VCENTER else FIRST_LANE


class InGroups(LoadScopeScheduling):
    """The tests of a group run one after another, whichever process has taken the first of them."""

    def _split_scope(self, nodeid):
        return lane(nodeid)

    def _assign_work_unit(self, node):
        self.workqueue.move_to_end(min(self.workqueue, key=_place), last=False)
        super()._assign_work_unit(node)


def _place(group):
    return FIRST.index(group) if group in FIRST else len(FIRST)


@contextmanager
def second_vcenter(lab, admin):
    """A directory like the lab's, whose vCenter and whose cloud `lab` are the second lane's."""
    second = PROJECT / "lab" / "vcenter" / "second"
    try:
        subprocess.run([second, "start"], check=True)
        root = lab / "second-vcenter"
        clouds = yaml.safe_load((lab / "etc" / "clouds.yaml").read_text())
        clouds["clouds"]["lab"] = _project(admin, clouds["clouds"]["lab"])
        (root / "etc" / "clouds.yaml").write_text(yaml.safe_dump(clouds))  # in a directory that only root looks into
        yield root
    finally:
        subprocess.run([second, "stop"], check=True)


def _project(admin, entry):
    """The entry of clouds.yaml for a project that has what `demo` has but for the way from outside.

    It stays for the lab's life. Servers that an interrupted run has left there go.
    """
    import seed
    from moves import remove_server

    if member := admin.identity.find_user(SECOND_PROJECT):
        admin.identity.delete_user(member)  # nobody knows its password any more
    password = uuid.uuid4().hex
    project = seed.project_and_member(admin, SECOND_PROJECT, password)
    seed.quotas(admin, project)
    auth = {**entry["auth"], "username": SECOND_PROJECT, "project_name": SECOND_PROJECT, "password": password}
    entry = {**entry, "auth": auth}
    with openstack.connect(load_yaml_config=False, load_envvars=False, **entry) as cloud:
        seed.private_network(cloud)
        for server in cloud.compute.servers():
            remove_server(cloud, server.id)
    return entry
