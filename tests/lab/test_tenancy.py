"""Resources as files between two projects of the lab's cloud: nothing is lost on the way, and nothing is made twice."""

import json
import uuid

import openstack
import pytest
import yaml
from openstack.image.v2.image import Image
from tenants import BYTES, furnish, params, replace, rows, tenants

from conftest import Cli, refused

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def tenancy(lab, admin_cloud, tmp_path_factory):
    """A furnished project, an empty one, and a command that knows both by their names."""
    directory = tmp_path_factory.mktemp("tenancy")
    with tenants(lab.root / "etc" / "clouds.yaml", admin_cloud, directory) as ((full, empty), clouds):
        furnish(full)
        cli = Cli(directory / "state", {"OS_CLIENT_CONFIG_FILE": str(clouds)})
        for tenant in (full, empty):
            done = cli("provider", "add", "openstack", tenant.name, "--os-cloud", tenant.name)
            assert done.returncode == 0, done.stderr
        yield cli, full, empty


@pytest.mark.turns("what an OpenStack has")
def test_a_tenant_moves_with_edits_and_comes_out_the_same(tenancy, tmp_path):
    cli, full, empty = tenancy
    first, second = tmp_path / "first", tmp_path / "second"
    done = cli("tenant", "export", "--cloud", full.name, str(first), "-f", "json")
    assert done.returncode == 0, done.stderr
    assert {row["File"]: row["Resources"] for row in json.loads(done.stdout)} == {
        "images.yml": 1,
        "keypairs.yml": 1,
        "longshore/address_groups.yml": 1,
        "longshore/address_scopes.yml": 1,
        "longshore/floating_ips.yml": 2,
        "longshore/ports.yml": 1,
        "longshore/security_group_rules.yml": 1,
        "longshore/server_groups.yml": 2,
        "longshore/subnet_pools.yml": 1,
        "networks.yml": 3,
        "router_interfaces.yml": 3,
        "routers.yml": 2,
        "security_group_rules.yml": 13,
        "security_groups.yml": 4,
        "subnets.yml": 4,
    }
    assert "volume_types, qos_policies: left out, since only an administrator may see and make them." in done.stderr
    assert "trunks: left out, since this cloud's network service doesn't have them." in done.stderr
    assert [path.read_bytes() for path in (first / "image_blobs").iterdir()] == [BYTES]

    # Where it came from has all of it
    assert set(rows(cli("tenant", "diff", "--cloud", full.name, str(first), "-f", "json"), "make", "change")) == set()

    # A person renames a network, and gives another one other addresses
    replace(first, "name: front\n", "name: entrance\n")
    replace(first, "10.61.2.", "10.62.2.")
    valid = cli("tenant", "validate", str(first), "-f", "json")
    assert (valid.returncode, valid.stdout.strip()) == (0, "[]"), valid.stderr

    to_make = rows(cli("tenant", "diff", "--cloud", empty.name, str(first), "-f", "json"), "make")
    assert ("network", "entrance") in to_make
    made = rows(cli("tenant", "import", "--cloud", empty.name, str(first), "-f", "json"), "made")
    assert set(made) == set(to_make)

    again = cli("tenant", "import", "--cloud", empty.name, str(first), "-f", "json")
    assert rows(again, "made", "changed", "failed", "skipped") == {}
    assert "Nothing had to be changed." in again.stderr

    assert cli("tenant", "export", "--cloud", empty.name, str(second)).returncode == 0
    assert params(second) == params(first)
    assert [path.read_bytes() for path in (second / "image_blobs").iterdir()] == [BYTES]

    # Each of these could only have come from the edits
    subnets = {each.name: each.cidr for each in empty.cloud.network.subnets(project_id=empty.id)}
    assert subnets["back-v4"] == "10.62.2.0/24"
    router = empty.cloud.network.find_router("edge", project_id=empty.id)
    assert router.routes == [{"destination": "10.210.0.0/16", "nexthop": "10.62.2.9"}]

    # What the API can change is changed, and what it can't is refused before anything is
    replace(first, "description: where visitors come in", "description: the way in")
    changed = cli("tenant", "import", "--cloud", empty.name, "--only", "networks", str(first), "-f", "json")
    assert set(rows(changed, "changed")) == {("network", "entrance")}
    replace(first, "10.61.1.", "10.63.1.")
    replace(first, "description: the way in", "description: never seen")
    done = cli("tenant", "import", "--cloud", empty.name, str(first))
    refused(done, "Subnet front-v4 (subnets.yml:", "The one there is another: cidr is 10.61.1.0/24 there")
    assert empty.cloud.network.find_network("entrance").description == "the way in"


@pytest.mark.turns("what an OpenStack has")
def test_image_bytes_are_checked_on_the_way_in(tenancy, tmp_path):
    cli, full, empty = tenancy
    files = tmp_path / "files"
    done = cli("tenant", "export", "--cloud", full.name, "--only", "images", str(files))
    assert done.returncode == 0, done.stderr
    replace(files, "name: tool", "name: other-tool")
    blob = next((files / "image_blobs").iterdir())
    blob.write_bytes(BYTES[:-1] + b"!" * 1)
    done = cli("tenant", "import", "--cloud", empty.name, str(files), "-f", "json")
    assert done.returncode == 1
    assert "doesn't hold the bytes of image other-tool" in json.loads(done.stdout)[0]["What"]
    assert not [each for each in empty.cloud.image.images(owner=empty.id) if each.name == "other-tool"]
    # One that a broken-off upload left without bytes is filled, not made again
    Image.new(name="other-tool", disk_format="raw", container_format="bare").create(empty.cloud.image)
    blob.write_bytes(BYTES)
    changed = rows(cli("tenant", "import", "--cloud", empty.name, str(files), "-f", "json"), "changed")
    assert set(changed) == {("image", "other-tool")}
    images = [each for each in empty.cloud.image.images(owner=empty.id) if each.name == "other-tool"]
    assert [each.status for each in images] == ["active"]
    assert empty.cloud.image.download_image(images[0]).content == BYTES


@pytest.mark.turns("what an OpenStack has")
def test_servers_of_a_workloads_file_become_a_plan(tenancy, tmp_path):
    """As OS-Migrate writes it, of a server that is there; a person renames the network."""
    cli, full, empty = tenancy
    compute, storage = full.cloud.compute, full.cloud.block_storage
    network = full.cloud.network.find_network("front", project_id=full.id)
    nic = full.cloud.network.create_port(name="nic", network_id=network.id)
    volume = storage.create_volume(name="root", size=1)
    storage.wait_for_status(volume, "available", wait=120)
    storage.set_volume_bootable_status(volume, True)
    server = None
    try:
        mapping = {"uuid": volume.id, "source_type": "volume", "destination_type": "volume", "boot_index": 0}
        server = compute.create_server(
            name="shop",
            flavor_id=compute.find_flavor("t.nano").id,
            networks=[{"port": nic.id}],
            block_device_mapping=[mapping],
        )
        compute.wait_for_server(server, wait=300)

        def ref(name):
            return {"name": name, "project_name": "%auth%", "domain_name": "%auth%"}

        addresses = [{"ip_address": ip["ip_address"], "subnet_ref": ref("front-v4")} for ip in nic.fixed_ips[:1]]
        port = {"_info": {"id": nic.id}, "params": {"network_ref": ref("entrance"), "fixed_ips_refs": addresses},
                "type": "openstack.network.ServerPort"}  # fmt: skip
        params = {"name": "shop", "flavor_ref": ref("t.small"), "key_name": "ops", "ports": [port],
                  "security_group_refs": [ref("default")]}  # fmt: skip
        workload = {"_info": {"id": server.id}, "_migration_params": {}, "params": params,
                    "type": "openstack.compute.Server"}  # fmt: skip
        file = tmp_path / "workloads.yml"
        file.write_text(yaml.safe_dump({"os_migrate_version": "1.0.5", "resources": [workload]}))
        words = ("plan", "create", "of-a-file", "--from", full.name, "--to", empty.name)
        done = cli(*words, "--from-workloads", str(file), "-f", "json")
        assert done.returncode == 0, done.stderr
        assert "Plan of-a-file is made, with 1 machine." in done.stderr
        plan = yaml.safe_load(cli("plan", "export", "of-a-file").stdout)
        assert plan["mappings"]["networks"] == {"front": "entrance"}
        assert plan["machines"] == [{"machine": "shop", "ref": server.id, "flavor": "t.small", "key_name": "ops"}]
    finally:
        if server is not None:
            compute.delete_server(server)
            compute.wait_for_delete(server, wait=120)
        storage.delete_volume(volume)


@pytest.mark.turns("what an OpenStack has")
def test_an_administrator_carries_what_is_the_clouds(admin_cloud, tmp_path):
    """In one cloud, so under other names: projects with quotas, users and groups with roles, private flavors and volume
    types."""
    cli = Cli(tmp_path / "state")
    mark = f"tenancy-{uuid.uuid4().hex[:6]}"
    done = cli("provider", "add", "openstack", "admin", "--os-cloud", "lab-admin")
    assert done.returncode == 0, done.stderr
    identity, compute = admin_cloud.identity, admin_cloud.compute
    try:
        project = identity.create_project(name=f"{mark}-p", domain_id="default", description="one of many")
        user = identity.create_user(name=f"{mark}-u", domain_id="default", default_project_id=project.id)
        identity.assign_project_role_to_user(project, user, identity.find_role("member"))
        # What OS-Migrate has no word for: a group's roles, and those that only count below
        group = identity.create_group(name=f"{mark}-g", domain_id="default")
        identity.add_user_to_group(user, group)
        reader, default = identity.find_role("reader"), identity.get_domain("default")
        identity.assign_project_role_to_group(project, group, reader)
        identity.assign_domain_role_to_group(default, group, reader)
        identity.assign_project_role_to_user(project, user, reader, inherited=True)
        # Two users with a key pair of one name each; the administrator has none
        other = identity.create_user(name=f"{mark}-v", domain_id="default")
        for owner in (user, other):
            compute.create_keypair(name=f"{mark}-k", user_id=owner.id, public_key=KEY)
        flavor = compute.create_flavor(name=f"{mark}-f", ram=512, vcpus=2, disk=0, is_public=False)
        compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "shared"})
        compute.flavor_add_tenant_access(flavor, project.id)
        kind = admin_cloud.block_storage.create_type(name=f"{mark}-t", is_public=False)
        admin_cloud.block_storage.update_type_extra_specs(kind.id, volume_backend_name="ceph")
        admin_cloud.block_storage.add_type_access(kind.id, project.id)
        luks = {"provider": "luks", "cipher": "aes-xts-plain64", "key_size": 256, "control_location": "front-end"}
        admin_cloud.block_storage.create_type_encryption(kind.id, **luks)
        compute.update_quota_set(project.id, instances=3)
        admin_cloud.network.update_quota(project.id, networks=7)
        admin_cloud.block_storage.update_quota_set(project.id, volumes=5)

        only = "projects,users,groups,role_grants,user_project_role_assignments,keypairs,flavors,volume_types,quotas"
        options = ["--cloud", "admin", "--only", only, "--filter", f"name~^{mark}"]
        first, second = tmp_path / "first", tmp_path / "second"
        done = cli("tenant", "export", *options, str(first))
        assert done.returncode == 0, done.stderr
        replace(first, mark, f"{mark}-copy")
        secret = tmp_path / "passwords.yml"
        secret.touch(mode=0o644)
        done = cli("tenant", "import", *options, "--passwords", str(secret), str(first))
        refused(done, "passwords.yml isn't a file of yours alone, so no passwords are written to it.")
        assert identity.find_user(f"{mark}-copy-u") is None
        secret.unlink()
        report = cli("tenant", "import", *options, "--passwords", str(secret), str(first), "-f", "json")
        assert set(rows(report, "made")) == {
            ("project", f"{mark}-copy-p"),
            ("user", f"{mark}-copy-u"),
            ("group", f"{mark}-copy-g"),
            ("role assignment", f"{mark}-copy-p member {mark}-copy-u"),
            ("role grant", f"{mark}-copy-g reader {mark}-copy-p"),
            ("role grant", f"{mark}-copy-g reader Default"),
            ("role grant", f"{mark}-copy-u reader {mark}-copy-p"),
            ("user", f"{mark}-copy-v"),
            ("key pair", f"{mark}-copy-k of {mark}-copy-u"),
            ("key pair", f"{mark}-copy-k of {mark}-copy-v"),
            ("flavor", f"{mark}-copy-f"),
            ("volume type", f"{mark}-copy-t"),
            ("quota", f"{mark}-copy-p"),
        }
        again = cli("tenant", "import", *options, str(first), "-f", "json")
        assert rows(again, "made", "changed", "failed") == {}
        assert cli("tenant", "export", *options[:-1], f"name~^{mark}-copy", str(second)).returncode == 0
        assert params(second) == params(first)
        for copied in (f"{mark}-copy-u", f"{mark}-copy-v"):
            pairs = list(compute.keypairs(user_id=identity.find_user(copied).id))
            assert [(pair.name, pair.public_key) for pair in pairs] == [(f"{mark}-copy-k", KEY)]
        assert not [pair for pair in compute.keypairs() if pair.name.startswith(mark)]
        encryption = admin_cloud.block_storage.get_type_encryption(
            next(t for t in admin_cloud.block_storage.types(is_public="None") if t.name == f"{mark}-copy-t").id
        )
        assert {name: encryption[name] for name in luks} == luks
        copy = identity.find_project(f"{mark}-copy-p")
        user = identity.find_user(f"{mark}-copy-u")
        assert identity.validate_user_has_project_role(copy, user, reader, inherited=True)
        group = identity.find_group(f"{mark}-copy-g")
        assert [each.id for each in identity.group_users(group)] == [user.id]
        assert identity.validate_group_has_project_role(copy, group, reader)
        assert identity.validate_group_has_domain_role(default, group, reader)

        # The new user can log in, with what only the file tells
        listed = yaml.safe_load(secret.read_text())
        (told,) = [each for each in listed if each["user"] != f"{mark}-copy-v"]
        assert (told["domain"], told["user"], secret.stat().st_mode & 0o777) == ("Default", f"{mark}-copy-u", 0o600)
        assert told["password"] not in report.stdout + report.stderr
        assert "2 made with new passwords, which are in" in report.stderr
        login = dict(admin_cloud.config.config["auth"], username=f"{mark}-copy-u", password=told["password"])
        login |= {"project_name": f"{mark}-copy-p"}
        as_user = openstack.connect(load_yaml_config=False, load_envvars=False, auth=login, region_name="RegionOne")
        assert as_user.current_project.name == f"{mark}-copy-p"

        quota = admin_cloud.network.get_quota(copy.id)
        assert quota.networks == 7
    finally:
        for each in list(compute.flavors(is_public="None")):
            if each.name.startswith(mark):
                compute.delete_flavor(each)
        for each in list(admin_cloud.block_storage.types(is_public="None")):
            if each.name.startswith(mark):
                admin_cloud.block_storage.delete_type(each)
        for each in [u for u in identity.users() if u.name.startswith(mark)]:
            for pair in compute.keypairs(user_id=each.id):
                compute.delete_keypair(pair, user_id=each.id)
            identity.delete_user(each)
        for each in [g for g in identity.groups() if g.name.startswith(mark)]:
            identity.delete_group(each)
        for each in [p for p in identity.projects() if p.name.startswith(mark)]:
            identity.delete_project(each)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGMJw2Yk0K2n4X1qvYbX2nGm0W8oHqf7x3o7y8b5r0Ut u@example.com"
