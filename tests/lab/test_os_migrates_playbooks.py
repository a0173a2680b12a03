"""OS-Migrate's own playbooks, as they are, beside `longshore tenant` and beside ours: each takes in what the other has
written, and what docs/howto/ansible.md shows side by side makes the same.

They run in an environment of their own, whose directory the variable LONGSHORE_OS_MIGRATE is. Without it, these tests
are skipped. It is a virtual environment with ansible-core 2.18 and what OS-Migrate's requirements.txt has,
and its `ansible_collections` has what `ansible-galaxy collection build` makes of its repository. For modules of
openstack.cloud the repository has links, which `make vendor-links` sets; before it is built, copies of the modules take
their places, in which `ansible_collections.openstack.cloud` is replaced by `ansible_collections.os_migrate.os_migrate`.
`conversion.raw` in it is a disk for conversion hosts, which `tests/lab/conversion_host FILE` makes (some minutes, and
a mirror of Debian's).
"""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import yaml
from lanes import PROJECT
from moves import READY
from people import register, unregister, without_cloud
from served import serving
from tenants import SSH_KEY, rows, tenants
from test_openstack_source import TINY, Project, goes_on, volume_disk

from conftest import LONGSHORE, Cli, last_acknowledged, wait_for

sys.path.append(str(PROJECT / "tests" / "collection"))

from playbooks import Playbooks

THEIRS = os.environ.get("LONGSHORE_OS_MIGRATE")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(THEIRS is None, reason="LONGSHORE_OS_MIGRATE doesn't say where OS-Migrate is"),
]
# In the order in which they build on each other, as its walkthrough has them
KINDS = (
    *("networks", "subnets", "routers", "router_interfaces", "security_groups", "security_group_rules", "keypairs"),
    "images",
)
OF_A_RULE = ("direction", "ether_type", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")
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


def set_up(directory, clouds, **more):
    """Write OS-Migrate's inventory and variables to a directory, and return where it has its files then. `clouds`: the
    log-ins of `src` and `dst`; `more`: other variables."""
    files = directory / "theirs"
    files.mkdir(exist_ok=True)
    told = {"os_migrate_data_dir": str(files), **more}
    for side, cloud in clouds.items():
        told[f"os_migrate_{side}_auth"] = cloud["auth"]
        told[f"os_migrate_{side}_region_name"] = cloud["region_name"]
    here = {"ansible_connection": "local", "ansible_python_interpreter": f"{THEIRS}/bin/python"}
    inventory = {"migrator": {"hosts": {"localhost": here}}}
    (directory / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (directory / "os_migrate_vars.yml").write_text(yaml.safe_dump(told))
    return files


def run_theirs(script, directory):
    """Run a shell script in OS-Migrate's environment and a directory, and return how many tasks of its playbooks have
    changed something.

    It logs in to hosts whose addresses others had before: what it then knows of them is forgotten with it.
    """
    apart = 'mkdir -p ~/.ssh && mount -t tmpfs none ~/.ssh && exec bash -ec "$0"'
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-ec", apart, script],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env={
            **os.environ,
            "PATH": f"{THEIRS}/bin:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": THEIRS,
            "ANSIBLE_TIMEOUT": "120",  # guests are emulated
            "LC_ALL": "C.UTF-8",
        },
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return sum(int(count) for count in re.findall(r"changed=(\d+)", done.stdout))


def playbook(name, directory):
    """Run one, and return how many of its tasks have changed something."""
    command = "ansible-playbook -i inventory.yml -e @os_migrate_vars.yml"
    return run_theirs(f"{command} os_migrate.os_migrate.{name}", directory)


def test_what_it_exports_is_imported_and_the_same(three, tmp_path):
    cli, (full, empty, _), clouds = three
    directory = set_up(tmp_path, {"src": clouds[full.name], "dst": clouds[empty.name]})
    for kind in KINDS:
        playbook(f"export_{kind}", tmp_path)
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
    directory = set_up(tmp_path, {"src": clouds[full.name], "dst": clouds[empty.name]})
    done = cli("tenant", "export", "--cloud", full.name, str(directory))
    assert done.returncode == 0, done.stderr
    assert sum(playbook(f"import_{kind}", tmp_path) for kind in KINDS) > 0
    assert sum(playbook(f"import_{kind}", tmp_path) for kind in KINDS) == 0
    compared = cli("tenant", "diff", "--cloud", empty.name, str(directory), "-f", "json")
    assert rows(compared, "make", "change") == {}


def shown(title):
    """Return what docs/howto/ansible.md shows under a title: OS-Migrate's commands as a script, and our playbook."""
    part = (PROJECT / "docs/howto/ansible.md").read_text().partition(f"\n### {title}\n")[2].partition("\n### ")[0]
    typed = re.search(r"^```console\n(.*?)^```", part, re.DOTALL | re.MULTILINE)[1]
    ours = re.search(r"^```yaml\n(.*?)^```", part, re.DOTALL | re.MULTILINE)[1]
    return re.sub(r"^[$>] ", "", typed, flags=re.MULTILINE), ours


def there(tenant):
    """Return what a project has, by what people call it: names, addresses, rules, digests."""
    network, mine = tenant.cloud.network, {"project_id": tenant.id}
    groups = {group.id: group for group in network.security_groups(**mine)}
    names = {one.id: one.name for one in (*network.networks(), *network.subnets(**mine), *groups.values())}
    return {
        "networks": {(one.name, one.description, one.mtu) for one in network.networks(**mine)},
        "subnets": {
            one.name: (names[one.network_id], one.cidr, one.gateway_ip, one.allocation_pools, one.dns_nameservers)
            for one in network.subnets(**mine)
        },
        "routes": {one.name: one.host_routes for one in network.subnets(**mine)},
        "routers": {(one.name, names[one.external_gateway_info["network_id"]]) for one in network.routers(**mine)},
        "interfaces": {
            (names[at["subnet_id"]], at["ip_address"])
            for port in network.ports(device_owner="network:router_interface", **mine)
            for at in port.fixed_ips
        },
        "groups": {(group.name, group.description) for group in groups.values()},
        "rules": {
            (names[rule.security_group_id], names.get(rule.remote_group_id), *(rule[field] for field in OF_A_RULE))
            for rule in network.security_group_rules(**mine)
        },
        "key pairs": {(pair.name, pair.fingerprint) for pair in tenant.cloud.compute.keypairs()},
        "images": {
            (image.name, image.disk_format, image.container_format, image.min_disk, image.size, image.checksum)
            for image in tenant.cloud.image.images(owner=tenant.id)
        },
    }


def test_what_the_page_shows_side_by_side_makes_the_same(three, tmp_path):
    cli, (full, of_theirs, of_ours), clouds = three
    script, play = shown("A tenant")
    set_up(tmp_path, {"src": clouds[full.name], "dst": clouds[of_theirs.name]})
    for name, tenant in (("old", full), ("new", of_ours)):
        done = cli("provider", "add", "openstack", name, "--os-cloud", tenant.name)
        assert done.returncode == 0, done.stderr
    seconds = {}

    begun = time.monotonic()
    assert run_theirs(script, tmp_path) > 0
    seconds["OS-Migrate's"] = time.monotonic() - begun

    known = {name: value for name, value in os.environ.items() if not name.startswith(("LONGSHORE_", "OS_"))}
    known["LONGSHORE_STATE"] = str(cli.state)
    passwords = tuple(clouds[tenant.name]["auth"]["password"] for tenant in (full, of_ours))
    playbooks = Playbooks(tmp_path, {}, known, passwords)
    written = play.replace("/srv/tenant", str(tmp_path / "ours"))
    begun = time.monotonic()
    assert playbooks.run_text(written)[0] == ["changed", "changed"]
    seconds["ours"] = time.monotonic() - begun
    assert playbooks.run_text(written)[0] == ["ok", "ok"]

    print(", ".join(f"{whose}: {taken:.0f} s" for whose, taken in seconds.items()))
    assert there(of_theirs) == there(full)
    assert there(of_ours) == there(full)


FOR_HOSTS = {
    f"os_migrate_{side}_conversion_{name}": value
    for side in ("src", "dst")
    for name, value in {
        "flavor_name": "t.small",
        "external_network_name": "public",
        "host_boot_from_volume": True,
        "host_volume_size": 2,
    }.items()
} | {
    "os_migrate_conversion_host_deploy_timeout": 1200,
    "os_migrate_conversion_host_ssh_user": "cloud-user",
    "os_migrate_workload_stop_before_migration": True,
}
ADDRESSES = {"web01": "10.71.0.31", "web02": "10.71.0.32", "db01": "10.71.0.33"}


@contextmanager
def registered(served, admin_cloud):
    """Have the catalogue name the server."""
    done = register(served.config)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        unregister(admin_cloud.identity)


@pytest.fixture
def conversion_image(admin_cloud):
    """Upload the image of OS-Migrate's conversion hosts, for all projects. They get their key by a drive."""
    image = admin_cloud.image.create_image(
        "os_migrate_conv",
        container_format="bare",
        disk_format="raw",
        filename=f"{THEIRS}/conversion.raw",
        visibility="public",
        img_config_drive="mandatory",
        hw_cdrom_bus="scsi",
        hw_scsi_model="virtio-scsi",
    )
    yield
    admin_cloud.image.delete_image(image)


@pytest.fixture
def shop(lab, admin_cloud, tmp_path):
    """Yield three projects with networks alike, in whose first one the page's machines write, and their clouds.yaml."""
    with tenants(lab.root / "etc" / "clouds.yaml", admin_cloud, tmp_path, 3) as (made, path):
        old, *others = projects = [Project(tenant) for tenant in made]
        flavor = admin_cloud.compute.find_flavor("t.nano")
        root = old.cloud.image.create_image(
            "tiny-root", container_format="bare", disk_format="raw", filename=str(TINY / "root.raw")
        )
        data = old.cloud.image.create_image(
            "tiny-data", container_format="bare", disk_format="raw", filename=str(TINY / "data.raw")
        )
        servers = {}
        for name, address in ADDRESSES.items():
            volumes = [old.volume(image, f"{name} {what}") for what, image in (("root", root), ("data", data))]
            for volume in volumes:
                # OS-Migrate 1.0.5 asks Cinder for a volume with the same, which Cinder refuses
                kept = old.cloud.block_storage.get_volume(volume.id).volume_image_metadata
                old.cloud.block_storage.delete_volume_image_metadata(volume, list(kept))
            disks = [volume_disk(volume, index) for index, volume in enumerate(volumes)]
            servers[name] = old.server(name, flavor, address, disks)[0]
        yield old, others, servers, path
        for project in projects:
            project.clear()


def landed(project):
    """Return what a project has of the page's machines, by what people call it."""
    compute, network = project.cloud.compute, project.cloud.network
    found = {}
    for server in compute.servers():
        (port,) = network.ports(device_id=server.id)
        found[server.name] = (
            server.status,
            compute.get_server(server.id).flavor["original_name"],
            server.key_name,
            [network.get_network(port.network_id).name, port.fixed_ips[0]["ip_address"]],
            [network.get_security_group(group).name for group in port.security_group_ids],
            sorted(project.cloud.block_storage.get_volume(one.id).size for one in server.attached_volumes),
        )
    return found


def assert_written_on(project, acknowledged):
    """Fail unless every machine boots, has all that it had written, and writes on.

    Each is started anew: Nova shows the last 100 KiB of a console, and a server that landed early has long written more
    since it said what it has.
    """
    compute = project.cloud.compute
    for server in compute.servers():
        compute.reboot_server(server, "HARD")
        compute.wait_for_server(compute.get_server(server.id), wait=300)
        goes_on(project, server, acknowledged[server.name], restarted=True)


def test_what_the_page_shows_of_machines_moves_them_alike(
    shop, conversion_image, lab, admin_cloud, tmp_path, tmp_path_factory
):
    old, (of_theirs, of_ours), servers, path = shop
    script, play = shown("Its machines")
    # The lab's guests don't ask for a log-in, by which others are seen to be up
    play = play.replace("          machines:\n", f"          defaults: {{boot_mark: {READY}}}\n          machines:\n")
    clouds = yaml.safe_load(path.read_text())
    clouds["clouds"]["mine"] = clouds["clouds"][old.name]
    path.write_text(yaml.safe_dump(clouds))
    logins = clouds["clouds"]
    consoles = {name: lambda server=server: last_acknowledged(old.console(server)) for name, server in servers.items()}
    seconds = {}

    def writing():
        """Return what each machine has acknowledged, once all write."""
        for name, acknowledged in consoles.items():
            wait_for(lambda a=acknowledged: a() > 20, 600, f"{name} to write")
        return {name: acknowledged() for name, acknowledged in consoles.items()}

    with (
        serving(tmp_path_factory.mktemp("served"), lab, admin_cloud.identity) as served,
        registered(served, admin_cloud),
    ):
        known = without_cloud() | {"OS_CLIENT_CONFIG_FILE": str(path), "OS_CLOUD": "mine"}
        for name, project in (("old", old), ("new", of_ours)):
            words = [LONGSHORE, "provider", "add", "openstack", name, "--os-cloud", project.name]
            added = subprocess.run(
                words, env={**known, "LONGSHORE_URL": served.url}, capture_output=True, text=True, check=False
            )
            assert added.returncode == 0, added.stderr
        passwords = tuple(logins[project.name]["auth"]["password"] for project in (old, of_ours))
        playbooks = Playbooks(tmp_path, {}, known, passwords)
        before = writing()
        begun = time.monotonic()
        assert playbooks.run_text(play)[0] == ["changed", "changed"]
        seconds["ours"] = time.monotonic() - begun
        assert playbooks.run_text(play)[0] == ["ok", "ok"]
        assert_written_on(of_ours, before)
        ours = landed(of_ours)
        of_ours.clear()

    for server in servers.values():
        old.cloud.compute.start_server(server)
        old.cloud.compute.wait_for_server(old.cloud.compute.get_server(server.id), wait=300)
    before = writing()
    set_up(tmp_path, {"src": logins[old.name], "dst": logins[of_theirs.name]}, **FOR_HOSTS)
    begun = time.monotonic()
    assert run_theirs(script, tmp_path) > 0
    seconds["OS-Migrate's"] = time.monotonic() - begun
    assert_written_on(of_theirs, before)

    print(", ".join(f"{whose}: {taken:.0f} s" for whose, taken in seconds.items()))
    assert landed(of_theirs) == ours
    assert {server.status for server in old.cloud.compute.servers()} == {"SHUTOFF"}
