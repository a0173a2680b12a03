"""OS-Migrate's own playbooks, as they are, beside `longshore tenant`: each takes in what the other has written.

They run in an environment of their own: a virtual environment with ansible-core and what OS-Migrate's requirements.txt
has, in which `ansible_collections` has the built collection os_migrate.os_migrate. The variable LONGSHORE_OS_MIGRATE is
its directory. Without it, these tests are skipped.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tenants import SSH_KEY, rows, tenants

from conftest import Cli

THEIRS = os.environ.get("LONGSHORE_OS_MIGRATE")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(THEIRS is None, reason="LONGSHORE_OS_MIGRATE doesn't say where OS-Migrate is"),
]
# In the order in which they build on each other, as its walkthrough has them
KINDS = (
    *("networks", "subnets", "routers", "router_interfaces", "security_groups", "security_group_rules", "keypairs"),
    "images",
)
BYTES = b"a small image" * 1000


def furnish(tenant):
    """Make something of each kind that OS-Migrate knows."""
    network, compute = tenant.cloud.network, tenant.cloud.compute
    front = network.create_network(name="front", description="where visitors come in")
    subnet = network.create_subnet(
        name="front-v4",
        network_id=front.id,
        ip_version=4,
        cidr="10.61.1.0/24",
        dns_nameservers=["10.61.1.53"],
        host_routes=[{"destination": "10.200.0.0/24", "nexthop": "10.61.1.9"}],
        allocation_pools=[{"start": "10.61.1.100", "end": "10.61.1.150"}],
    )
    public = network.find_network("public")
    router = network.create_router(name="edge", external_gateway_info={"network_id": public.id})
    network.add_interface_to_router(router, subnet.id)
    web = network.create_security_group(name="web", description="the front")
    db = network.create_security_group(name="db")
    for group, port, more in ((web, 443, {"remote_ip_prefix": "0.0.0.0/0"}), (db, 5432, {"remote_group_id": web.id})):
        how = {"direction": "ingress", "protocol": "tcp", "ether_type": "IPv4"}
        network.create_security_group_rule(
            security_group_id=group.id, port_range_min=port, port_range_max=port, **how, **more
        )
    compute.create_keypair(name="ops", public_key=SSH_KEY)
    tenant.cloud.image.create_image("tool", container_format="bare", disk_format="raw", data=BYTES, min_disk=1)


@pytest.fixture
def three(lab, admin_cloud, tmp_path):
    """Yield a command, a furnished project and two empty ones that it knows, and their log-ins."""
    with tenants(lab.root / "etc" / "clouds.yaml", admin_cloud, tmp_path, 3) as (made, clouds):
        furnish(made[0])
        cli = Cli(tmp_path / "state", {"OS_CLIENT_CONFIG_FILE": str(clouds)})
        for tenant in made:
            done = cli("provider", "add", "openstack", tenant.name, "--os-cloud", tenant.name)
            assert done.returncode == 0, done.stderr
        yield cli, made, yaml.safe_load(clouds.read_text())["clouds"]


def playbook(name, directory, clouds):
    """Run one, and return how many of its tasks have changed something."""
    told = {"os_migrate_data_dir": str(directory)}
    for side, cloud in clouds.items():
        told[f"os_migrate_{side}_auth"] = cloud["auth"]
        told[f"os_migrate_{side}_region_name"] = cloud["region_name"]
    inventory = directory.with_name("inventory.yml")
    here = {"ansible_connection": "local", "ansible_python_interpreter": f"{THEIRS}/bin/python"}
    inventory.write_text(yaml.safe_dump({"migrator": {"hosts": {"localhost": here}}}))
    variables = directory.with_name("variables.yml")
    variables.write_text(yaml.safe_dump(told))
    path = Path(THEIRS, "ansible_collections/os_migrate/os_migrate/playbooks", f"{name}.yml")
    done = subprocess.run(
        [Path(THEIRS, "bin/ansible-playbook"), "-i", inventory, "-e", f"@{variables}", path],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PATH": f"{THEIRS}/bin:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": THEIRS,
            "LC_ALL": "C.UTF-8",
        },
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return sum(int(count) for count in re.findall(r"changed=(\d+)", done.stdout))


def test_what_it_exports_is_imported_and_the_same(three, tmp_path):
    cli, (full, empty, _), clouds = three
    directory = tmp_path / "theirs"
    directory.mkdir()
    for kind in KINDS:
        playbook(f"export_{kind}", directory, {"src": clouds[full.name], "dst": clouds[empty.name]})
    valid = cli("tenant", "validate", str(directory), "-f", "json")
    assert (valid.returncode, valid.stdout.strip()) == (0, "[]"), valid.stderr
    assert rows(cli("tenant", "diff", "--cloud", full.name, str(directory), "-f", "json"), "make", "change") == {}
    made = rows(cli("tenant", "import", "--cloud", empty.name, str(directory), "-f", "json"), "made")
    named = {("network", "front"), ("subnet", "front-v4"), ("router", "edge"), ("security group", "web")}
    assert named | {("key pair", "ops"), ("image", "tool")} <= set(made)
    again = cli("tenant", "import", "--cloud", empty.name, str(directory), "-f", "json")
    assert rows(again, "made", "changed", "failed", "skipped") == {}


def test_what_we_export_it_imports_and_the_second_time_changes_nothing(three, tmp_path):
    cli, (full, _, empty), clouds = three
    directory = tmp_path / "ours"
    done = cli("tenant", "export", "--cloud", full.name, str(directory))
    assert done.returncode == 0, done.stderr
    logins = {"src": clouds[full.name], "dst": clouds[empty.name]}
    assert sum(playbook(f"import_{kind}", directory, logins) for kind in KINDS) > 0
    assert sum(playbook(f"import_{kind}", directory, logins) for kind in KINDS) == 0
    compared = cli("tenant", "diff", "--cloud", empty.name, str(directory), "-f", "json")
    assert rows(compared, "make", "change") == {}
