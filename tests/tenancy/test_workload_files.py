"""OS-Migrate's own examples, and its files of servers and volumes: checked with everything else."""

from pathlib import Path

import pytest
import yaml
from resource_files import compared, imported, network, ref, subnet

from longshore.tenancy import read_workloads, validate

EXAMPLES = Path(__file__).parent / "os_migrate"


def said(directory):
    return [str(fault) for fault in validate(directory)[1]]


def test_the_examples_of_os_migrate(small):
    """Those of its own tests of its validation, as they are, and those of its walkthrough."""
    assert said(EXAMPLES / "valid") == []
    unknown = "params.qos_policy_name isn't a field of a network; did you mean qos_policy_ref?"
    assert said(EXAMPLES / "invalid") == [
        f"networks-duplicate.yml:28: {unknown}",
        "networks.yml:24: The network osm_net is here a second time; the first is in networks-duplicate.yml:3.",
        f"networks.yml:28: {unknown}",
    ]
    assert said(EXAMPLES / "walkthrough") == []
    report = imported(small.connect(), EXAMPLES / "valid", "networks")
    assert [(row.action, row.name) for row in report.rows] == [("made", "osm_net")]
    assert {row.action for row in imported(small.connect(), EXAMPLES / "valid", "networks").rows} == {"left"}


@pytest.fixture
def workload(files):
    """The walkthrough's server, to be changed; its file and where the test's changes go."""
    listed = yaml.safe_load((EXAMPLES / "walkthrough" / "workloads.yml").read_text())["resources"]

    def changed(change):
        change(listed[0])
        files.write("workloads.yml", *listed)
        return said(files.path)

    return changed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s["params"].pop("flavor_ref"), "params.flavor_ref of this server is missing."),
        (lambda s: s["params"].update(name=7), "params.name must be text, not the number 7."),
        (
            lambda s: s["params"].update(flavour="x"),
            "params.flavour isn't a field of a server; did you mean flavor_ref?",
        ),
        (
            lambda s: s["params"]["ports"][0]["params"].update(mac_address="fa:16"),
            'params.ports has an entry that has params, which has mac_address, which "fa:16" isn\'t a MAC address.',
        ),
        (
            lambda s: s["_migration_params"].update(floating_ip_mode="maybe"),
            '_migration_params has floating_ip_mode, which must be one of auto, new, existing, skip, not "maybe".',
        ),
    ],
)
def test_what_is_wrong_with_a_server(workload, change, sentence):
    found = workload(change)
    assert len(found) == 1
    assert sentence in found[0]


NBD = {"device": "/dev/vda", "uri": "nbd://compute-1:10809", "port": 10809, "size": 10, "bootable": True}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        # What its role import_from_hypervisor writes, and what it reads
        (
            lambda s: s["_migration_params"].update(nbdkit_disks=[NBD]),
            "_migration_params has nbdkit_disks, which isn't followed.",
        ),
        (
            lambda s: s["_migration_params"].update(nbdkit_port=10809),
            "_migration_params has nbdkit_port, which isn't followed.",
        ),
        (
            lambda s: s["_migration_params"].update(boot_disk_copi=True),
            "_migration_params has boot_disk_copi, which isn't followed; did you mean boot_disk_copy?",
        ),
        (
            lambda s: s["params"]["ports"][0]["params"].update(tags=[]),
            "params.ports has tags, which isn't followed.",
        ),
    ],
)
def test_words_of_other_versions_are_passed_over_and_said(workload, files, change, sentence):
    (place_and_sentence,) = workload(change)
    assert place_and_sentence.endswith(sentence)
    assert [server.name for server in read_workloads(files.path / "workloads.yml")] == ["osm_server"]


def test_flavors_of_its_kit_for_vmware(files, small):
    """As os-migrate/vmware-migration-kit's export_flavor writes them."""
    params = {
        "description": None,
        "disk": 20,
        "ephemeral": 0,
        "extra_specs": {},
        "is_public": True,
        "name": "osm-vmware-vm",
    }
    params |= {"ram": 2048, "rxtx_factor": 1.0, "swap": 0, "vcpus": 2}
    info = {"id": None, "is_disabled": False}
    flavor = {"_info": info, "_migration_params": {}, "params": params, "type": "openstack.compute.Flavor"}
    files.write("flavors.yml", flavor, version="1.0.1")
    assert said(files.path) == []
    assert {row.action for row in imported(small.connect("admin"), files.path, "flavors").rows} == {"made"}


def test_a_server_names_what_the_files_have(workload, files):
    files.write("networks.yml", network("osm_nt"))
    files.write("subnets.yml", subnet("osm_subnet", "192.168.20.0/24", "osm_nt"))
    assert [each.split(": ", 1)[1] for each in workload(lambda s: None)] == [
        "params.ports of server osm_server names the network osm_net, which isn't in these files; did you mean osm_nt?"
    ]
    # Its addresses follow the subnet's, and here somebody forgot
    files.write("networks.yml", network("osm_net"))
    files.write("subnets.yml", subnet("osm_subnet", "192.168.30.0/24", "osm_net"))
    assert [each.split(": ", 1)[1] for each in workload(lambda s: None)] == [
        "The address 192.168.20.7 isn't in 192.168.30.0/24, the CIDR of subnet osm_subnet."
    ]


def test_servers_are_not_imported_with_a_tenant(workload, files, small):
    files.write("networks.yml", network("front"))
    workload(lambda s: s["params"]["ports"][0]["params"].update(network_ref=ref("front"), fixed_ips_refs=[]))
    assert {row.kind for row in compared(small.connect(), files.path).rows} == {"network"}


def test_volumes_without_names_are_not_the_same(files):
    volume = {"type": "openstack.network.ServerVolume", "params": {"name": None, "volume_type": "fast"}}
    files.write("detached_volumes.yml", volume, volume)
    assert said(files.path) == []
    volume["params"]["volume_type"] = 7
    files.write("detached_volumes.yml", volume)
    assert "params.volume_type must be text, not the number 7." in said(files.path)[0]
