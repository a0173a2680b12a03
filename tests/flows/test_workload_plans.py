"""OS-Migrate's workloads.yml becomes a plan: what the file wants otherwise than the machines are, and no more."""

import base64
from dataclasses import replace

import pytest
import yaml

from longshore.errors import InvalidInput
from longshore.flows.plans.workloads import follow, mapped, named_in
from longshore.model.machine import Disk, Machine, Nic, PowerState, ServerDetails, ServerSettings
from longshore.model.plan import Mappings
from longshore.model.platform import Platform
from longshore.model.target import Flavor, Network
from longshore.planning.proposal import Offer, propose
from longshore.tenancy import read_workloads

MACHINE = Machine(
    "s-1",
    "web",
    PowerState.ON,
    1,
    256,
    (Disk("v-1", "volume root", 0, 1 << 30, "v-1", "fast"), Disk("v-2", "volume data", 1, 1 << 30, "v-2", "slow")),
    (
        Nic("p-1", "port p-1", "fa:16:3e:00:00:01", "front", addresses=("10.0.0.5",), security_groups=("web",)),
        Nic("p-2", "port p-2", "fa:16:3e:00:00:02", "back", addresses=("10.1.0.5",), security_groups=("web",)),
    ),
    platform=Platform("openstack"),
    server_settings=ServerSettings("ops", None, "nova", "#cloud-config", {"team": "web"}, ("blue",)),
    server=ServerDetails(flavor="m1"),
)
OFFER = Offer([Network(name, name, False, True, ()) for name in ("front", "back", "entrance")], ["fast"],
              [Flavor("f", "m1", 1, 256, 0)])  # fmt: skip


def ref(name):
    return {"name": name, "project_name": "%auth%", "domain_name": "%auth%"}


def part(identity, type_, **params):
    return {"_info": {"id": identity}, "_migration_params": {}, "params": params, "type": type_}


def port(identity, network, address):
    ips = [{"ip_address": address, "subnet_ref": ref("s")}]
    return part(identity, "openstack.network.ServerPort", network_ref=ref(network), fixed_ips_refs=ips)


def volume(identity, kind):
    return part(identity, "openstack.network.ServerVolume", name=identity, volume_type=kind)


@pytest.fixture
def server():
    """As OS-Migrate exports the machine."""
    return {
        "_info": {"id": "s-1", "status": "ACTIVE"},
        "_migration_params": {"boot_disk_copy": True, "data_copy": True, "floating_ip_mode": "auto"},
        "params": {
            "availability_zone": "nova",
            "config_drive": None,
            "flavor_ref": ref("m1"),
            "image_ref": None,
            "key_name": "ops",
            "metadata": {"team": "web"},
            "name": "web",
            "ports": [port("p-1", "front", "10.0.0.5"), port("p-2", "back", "10.1.0.5")],
            "security_group_refs": [ref("web"), ref("web")],
            "tags": ["blue"],
            "user_data": base64.b64encode(b"#cloud-config").decode(),
            "volumes": [volume("v-1", "fast"), volume("v-2", "slow")],
        },
        "type": "openstack.compute.Server",
    }


@pytest.fixture
def planned(tmp_path):
    def planned(*servers, machines=(MACHINE,), given=None):
        path = tmp_path / "workloads.yml"
        path.write_text(yaml.safe_dump({"os_migrate_version": "1.0.5", "resources": list(servers)}))
        found = read_workloads(path)
        assert [entry.wanted for entry in named_in(found)] == [machine.ref for machine in machines]
        said = mapped(machines, found, given or Mappings())
        proposal = propose("shop", "one", "two", machines, OFFER, said)
        plan, concerns = follow(proposal.plan, machines, found)
        return plan, [(c.machine, c.subject, c.text) for c in concerns]

    return planned


def test_a_file_that_nobody_edited_asks_for_the_flavor_only(planned, server):
    plan, concerns = planned(server)
    assert plan.mappings.networks == {"front": "front", "back": "back"}
    assert [(entry.machine, entry.ref, entry.options) for entry in plan.machines] == [("web", "s-1", {"flavor": "m1"})]
    assert concerns == []


def test_what_was_edited_is_followed(planned, server):
    params = server["params"]
    params |= {
        "name": "shop",
        "flavor_ref": ref("m2"),
        "key_name": "new",
        "availability_zone": "az2",
        "security_group_refs": [ref("inner")],
        "metadata": {"team": "web", "moved": True},
        "tags": ["blue", "red"],
        "user_data": base64.b64encode(b"#!/bin/sh\n").decode(),
    }
    server["_migration_params"]["floating_ip_mode"] = "skip"
    params["ports"][0]["params"]["network_ref"] = ref("entrance")
    params["volumes"][1]["params"]["volume_type"] = "fast"
    plan, concerns = planned(server)
    assert plan.mappings.networks == {"front": "entrance", "back": "back"}
    assert plan.mappings.storage == {"fast": "fast", "slow": "fast"}
    assert plan.machines[0].options == {
        "server_name": "shop",
        "flavor": "m2",
        "key_name": "new",
        "availability_zone": "az2",
        "security_groups": ["inner"],
        "metadata": {"moved": "True"},
        "tags": ["red"],
        "user_data": "#!/bin/sh\n",
        "floating": "skip",
    }
    assert concerns == []


def test_where_two_servers_want_a_network_otherwise_each_has_its_own(planned, server):
    other = yaml.safe_load(yaml.safe_dump(server))
    other["_info"]["id"], other["params"]["name"] = "s-2", "db"
    other["params"]["ports"][0]["params"]["network_ref"] = ref("entrance")
    machines = (MACHINE, replace(MACHINE, ref="s-2", name="db"))
    plan, _ = planned(server, other, machines=machines)
    assert [entry.options.get("networks", {}) for entry in plan.machines] == [
        {},
        {"front": "entrance"},
    ]
    # What is said on the command line is kept
    plan, _ = planned(server, other, machines=machines, given=Mappings(networks={"back": "elsewhere"}))
    assert plan.mappings.networks["back"] == "elsewhere"


def test_two_ports_of_one_network_cannot_go_two_ways(planned, server):
    both = (MACHINE.nics[0], replace(MACHINE.nics[1], network="front"))
    with pytest.raises(InvalidInput, match="web has two ports on network front, in the file on front and back"):
        planned(server, machines=(replace(MACHINE, nics=both),))


def test_what_cannot_be_followed_is_said(planned, server):
    params, how = server["params"], server["_migration_params"]
    params["ports"][0]["params"]["fixed_ips_refs"][0]["ip_address"] = "10.0.0.77"
    params["scheduler_hints"] = {"group": "a-group-of-the-source"}
    params["image_ref"] = ref("debian")
    how |= {"boot_disk_copy": False, "data_copy": False}
    _, concerns = planned(server)
    assert [(machine, subject) for machine, subject, _ in concerns] == [
        ("web", "data_copy"),
        ("web", "boot_disk_copy"),
        ("web", "scheduler_hints"),
        ("web", "ports"),
    ]
    assert concerns[-1][2] == "web keeps its addresses; the file wants 10.0.0.77."


def test_a_broken_file_is_one_sentence_with_its_line(planned, server, tmp_path):
    del server["params"]["flavor_ref"]
    with pytest.raises(InvalidInput, match=r"workloads\.yml:\d+: params\.flavor_ref of this server is missing"):
        planned(server)
    with pytest.raises(InvalidInput, match="There are no servers in"):
        planned()
    with pytest.raises(InvalidInput, match=r"nothing\.yml: The file can't be read: No such file"):
        read_workloads(tmp_path / "nothing.yml")
