"""From one cloud to another: the second is raised for this alone, and gone afterwards. It is of the same release, or of
one of today."""

import subprocess

import openstack
import pytest
import yaml
from tenants import BYTES, furnish, params, replace, rows, tenants

from conftest import PROJECT, Cli

# A whole cloud is raised on the way. Between two projects of one cloud the same is done every day in test_tenancy.
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

FLAVOR = "tenancy-two"


@pytest.fixture(scope="module", params=["two", "today"])
def two(lab, request):
    """The second cloud: the file with its logins, and its administrator."""

    def second(*words):
        command = [PROJECT / "lab" / "lab", "--cloud", request.param, *words]
        return subprocess.run(command, capture_output=True, text=True)

    try:
        started = second("up")
        assert started.returncode == 0, started.stderr
        path = lab.root / "clouds" / request.param / "etc" / "clouds-outside.yaml"
        entry = yaml.safe_load(path.read_text())["clouds"]["lab-admin"]
        with openstack.connect(load_yaml_config=False, load_envvars=False, **entry) as admin:
            yield path, admin
    finally:
        ended = second("down")
        assert ended.returncode == 0, ended.stderr
        assert not (lab.root / "clouds" / request.param / "data").exists()


@pytest.fixture
def both(lab, admin_cloud, two, tmp_path):
    """A furnished project in the first cloud, an empty one in the second, and a command that knows them."""
    path, admin_of_two = two
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        tenants(lab.root / "etc" / "clouds.yaml", admin_cloud, tmp_path / "one", 1) as ((full,), clouds_of_one),
        tenants(path, admin_of_two, tmp_path / "two", 1) as ((empty,), clouds_of_two),
    ):
        furnish(full)
        cli = Cli(tmp_path / "state")
        for name, entry, clouds in (
            ("one", full.name, clouds_of_one),
            ("one-admin", "lab-admin", clouds_of_one),
            ("two", empty.name, clouds_of_two),
            ("two-admin", "lab-admin", clouds_of_two),
        ):
            done = cli("provider", "add", "openstack", name, "--os-cloud", entry, OS_CLIENT_CONFIG_FILE=str(clouds))
            assert done.returncode == 0, done.stderr
        yield cli, full, empty


def said(value):
    """The same with nothing for what is empty: a cloud with names for addresses has empty ones where one without has
    none."""
    if isinstance(value, dict):
        return {name: said(each) for name, each in value.items()}
    if isinstance(value, list):
        return [said(each) for each in value]
    return None if value == "" else value


@pytest.fixture
def flavor(admin_cloud):
    made = admin_cloud.compute.create_flavor(name=FLAVOR, ram=384, vcpus=1, disk=0, is_public=False)
    admin_cloud.compute.create_flavor_extra_specs(made, {"hw:cpu_policy": "shared"})
    yield made
    admin_cloud.compute.delete_flavor(made)


def test_a_tenant_moves_to_another_cloud_with_edits(both, flavor, two, tmp_path):
    cli, _, empty = both
    first, again = tmp_path / "first", tmp_path / "again"

    def export(cloud, directory, *more):
        done = cli("tenant", "export", "--cloud", cloud, *more, str(directory), "-f", "json")
        assert done.returncode == 0, done.stderr

    def import_(cloud, *more):
        return cli("tenant", "import", "--cloud", cloud, *more, str(first), "-f", "json")

    flavors = ("--only", "flavors", "--filter", f"name={FLAVOR}")
    export("one", first)
    export("one-admin", first, *flavors)

    # A person renames a network, and gives another one other addresses
    replace(first, "name: front\n", "name: entrance\n")
    replace(first, "10.61.2.", "10.62.2.")
    valid = cli("tenant", "validate", str(first), "-f", "json")
    assert (valid.returncode, valid.stdout.strip()) == (0, "[]"), valid.stderr

    assert rows(import_("two-admin", *flavors), "made") == {("flavor", FLAVOR): ""}
    report = import_("two")
    made = rows(report, "made")
    assert rows(report, "changed", "failed") == {}
    assert {kind for kind, _ in made} == {
        "address group", "address scope", "floating ip", "image", "key pair", "network", "port", "router",
        "router interface", "security group", "security group rule", "server group", "subnet", "subnet pool",
    }  # fmt: skip

    # Again: nothing
    for cloud, more in (("two-admin", flavors), ("two", ())):
        second_time = import_(cloud, *more)
        assert rows(second_time, "made", "changed", "failed") == {}
        assert "Nothing had to be changed." in second_time.stderr

    # What comes out of the second cloud is what a person made of what came out of the first
    export("two", again)
    export("two-admin", again, *flavors)
    assert said(params(again)) == said(params(first))
    assert [path.read_bytes() for path in (again / "image_blobs").iterdir()] == [BYTES]

    # And that cloud says so itself
    _, admin_of_two = two
    network = empty.cloud.network
    assert {each.name for each in network.networks(project_id=empty.id)} == {"entrance", "back", "pooled"}
    assert network.find_subnet("back-v4", project_id=empty.id).cidr == "10.62.2.0/24"
    router = network.find_router("edge", project_id=empty.id)
    assert router.routes == [{"destination": "10.210.0.0/16", "nexthop": "10.62.2.9"}]
    assert router.external_gateway_info["network_id"] == network.find_network("public").id
    assert admin_of_two.compute.find_flavor(FLAVOR).extra_specs == {"hw:cpu_policy": "shared"}
