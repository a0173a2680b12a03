"""Heat's templates, and tasks of openstack.cloud; what each file says to its reader."""

import json
from dataclasses import replace

import pytest
import yaml
from built import DREADFUL, OFF, PORTS, WEB

from longshore.iac import written
from longshore.model.as_built import CodeFormat


def text_of(form, *servers):
    return written(CodeFormat(form), "shop", servers).text


def properties(*servers):
    template = json.loads(text_of("heat-adopt", *servers))["template"]
    return {name: one["properties"] for name, one in template["resources"].items()}


class Ansibles(yaml.SafeLoader):
    """Reads what Ansible reads, and knows which texts it wouldn't evaluate."""


class Unsafe(str):
    pass


Ansibles.add_constructor("!unsafe", lambda loader, node: Unsafe(loader.construct_scalar(node)))


def tasks(*servers):
    (play,) = yaml.load(text_of("ansible", *servers), Ansibles)
    assert (play["hosts"], play["gather_facts"]) == ("localhost", False)
    return [(kind, said) for task in play["tasks"] for kind, said in task.items() if kind != "name"]


def test_a_template_points_at_what_is_there_and_says_nothing_of_it():
    template = yaml.safe_load(text_of("heat", WEB))
    assert str(template["heat_template_version"]) >= "2016-10-14", "before that there was no external_id"
    assert template["resources"] == {
        "web_disk0": {"type": "OS::Cinder::Volume", "external_id": "vol-0"},
        "web_disk1": {"type": "OS::Cinder::Volume", "external_id": "vol-1"},
        "web_nic0": {"type": "OS::Neutron::Port", "external_id": "port-0"},
        "web_nic1": {"type": "OS::Neutron::Port", "external_id": "port-1"},
        "web": {"type": "OS::Nova::Server", "external_id": "server-0"},
    }


def test_a_stack_that_adopts_leaves_everything_behind_when_it_goes():
    data = json.loads(text_of("heat-adopt", WEB, OFF))
    assert (data["action"], data["status"], data["name"]) == ("CREATE", "COMPLETE", "shop")
    resources = data["template"]["resources"]
    assert resources.keys() == data["resources"].keys()
    assert {one["deletion_policy"] for one in resources.values()} == {"retain"}
    assert {one["type"] == data["resources"][name]["type"] for name, one in resources.items()} == {True}
    assert data["resources"]["web_2"]["resource_id"] == "server-1"
    assert {one["status"] for one in data["resources"].values()} == {"COMPLETE"}


def test_a_stacks_server_has_its_own_ports_and_volumes():
    server = properties(WEB)["web"]
    assert server["user_data_format"] == "RAW", "else a replacement asks for another endpoint"
    assert server["networks"] == [{"port": {"get_resource": "web_nic0"}}, {"port": {"get_resource": "web_nic1"}}]
    volumes = [one["volume_id"]["get_resource"] for one in server["block_device_mapping_v2"]]
    assert volumes == ["web_disk0", "web_disk1"]
    assert {one["delete_on_termination"] for one in server["block_device_mapping_v2"]} == {False}
    assert (server["key_name"], server["metadata"]) == ("ops", WEB.metadata)
    assert "key_name" not in properties(OFF)["web"]


def test_tasks_name_everything_by_its_id():
    told = tasks(WEB)
    assert [(kind.removeprefix("openstack.cloud."), said["name"]) for kind, said in told] == [
        ("port", "port-0"),
        ("port", "port-1"),
        ("volume", "vol-0"),
        ("volume", "vol-1"),
        ("server", "server-0"),
    ]


def test_tasks_say_what_openstack_cloud_would_take_away_otherwise():
    said = dict(tasks(WEB))["openstack.cloud.server"]
    assert said["security_groups"] == ["group-0"], "left out, it takes all groups off the ports"
    assert said["auto_ip"] is False
    assert (said["metadata"], said["tags"]) == (WEB.metadata, ["blue"])
    assert (said["boot_volume"], said["volumes"]) == ("vol-0", ["vol-1"])
    assert "floating_ips" not in said, "with some other one there, the module ends in an error"
    assert [one["is_bootable"] for kind, one in tasks(WEB) if kind.endswith("volume")] == [True, False]


@pytest.mark.parametrize("text", DREADFUL)
def test_no_text_is_evaluated(text):
    strange = replace(WEB, name=text, metadata={text: text}, tags=(text,))
    assert properties(strange).popitem()[1]["name"] == text
    assert len(yaml.safe_load(text_of("heat", strange))["resources"]) == 5
    told = dict(tasks(strange))["openstack.cloud.server"]
    ((key, value),) = told["metadata"].items()
    assert (key, value, told["tags"]) == (text, text, [text])
    if "{" in text:
        assert {type(one) for one in (key, value, told["tags"][0])} == {Unsafe}
    play = yaml.load(text_of("ansible", strange), Ansibles)
    assert not any("{" in task["name"] for task in play[0]["tasks"])


@pytest.mark.parametrize("form", CodeFormat)
def test_a_reader_is_told_what_is_not_in_it(form):
    grouped = replace(OFF, name="db", group="apart")
    code = written(form, "shop", [WEB, grouped], ["cache", "mail\n# x"])
    said = " ".join(code.notes)
    assert "Secrets aren't in it" in said
    assert "Not landed, so left out: cache, mail\\x0a# x." in said
    assert "db is off" in said
    assert "server group apart" in said
    assert ("Floating IPs" in said) is (form is not CodeFormat.TOFU)
    assert code.file_name.startswith("shop.")
    for name in ("user_data:", "admin_pass", "password:"):
        assert name not in code.text
    if form is not CodeFormat.HEAT_ADOPT:
        assert all(f"# {note}\n" in code.text for note in code.notes)
        head = code.text.partition("\n\n")[0].splitlines()
        assert all(one.startswith("# ") for one in head), "a name ends no comment"


def test_a_server_between_two_states_is_named():
    notes = written(CodeFormat.TOFU, "shop", [replace(WEB, status="RESIZE", ports=PORTS[1:])]).notes
    assert any("web is RESIZE now" in note for note in notes)


def test_a_server_that_is_called_as_anothers_disk_is_leaves_none_of_them_out():
    """In Heat all resources of a template have names of one kind."""
    servers = [WEB, replace(OFF, name="web_disk0"), replace(OFF, id="server-2", name="web_nic1")]
    named = sum(1 + len(server.volumes) + len(server.ports) for server in servers)
    assert len(properties(*servers)) == named


def test_metadata_that_heat_would_evaluate_is_left_out_and_said():
    asking = replace(WEB, metadata={"get_file": "/etc/passwd"})
    assert properties(asking)["web"]["metadata"] == {}
    said = "web's metadata isn't in it: Heat would take it for one of its functions."
    assert said in written(CodeFormat.HEAT_ADOPT, "shop", (asking,)).notes
    assert said not in written(CodeFormat.HEAT_ADOPT, "shop", (WEB,)).notes
