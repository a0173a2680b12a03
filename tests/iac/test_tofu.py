"""HCL of what has landed: read by a parser of HCL, and held against what the provider knows.

The parser is no Terraform, and the schema is that of one release (3.4.0): what a real plan made of a trial's
file with these words is told in docs/decisions/landed-as-code.md.
"""

import json
from dataclasses import replace
from pathlib import Path

import hcl2
import pytest
from built import DREADFUL, OFF, PORTS, VOLUMES, WEB

from longshore.border.documents import hcl_text
from longshore.iac.tofu import tofu

SCHEMA = json.loads((Path(__file__).parent / "provider_schema.json").read_text())["resources"]
SERVER, PORT = "openstack_compute_instance_v2", "openstack_networking_port_v2"
VOLUME, FLOATING = "openstack_blockstorage_volume_v3", "openstack_networking_floatingip_v2"


def plain(word):
    return word.strip('"') if isinstance(word, str) else word


def read(servers):
    """Return the resources by kind and label, and the ids that are imported, by address."""
    said = hcl2.loads(tofu(servers))
    resources = {
        (plain(kind), plain(label)): {plain(name): value for name, value in body.items() if not name.startswith("__")}
        for one in said["resource"]
        for kind, labelled in one.items()
        if not kind.startswith("__")
        for label, body in labelled.items()
    }
    imports = {one["to"].strip("${}"): plain(one["id"]) for one in said["import"]}
    assert len(resources) == len(said["resource"]), "no label stands there twice"
    return resources, imports


def faults(known, said):
    """Yield the words that the provider doesn't know, that it only tells, and that are missing."""
    for name, value in said.items():
        field = known.get(plain(name))
        if name == "lifecycle":
            ignored = [plain(word).strip("${}") for block in value for word in block["ignore_changes"]]
            yield from (f"ignore_changes: {word}" for word in ignored if word not in known)
        elif field is None:
            yield f"{name} isn't known"
        elif "of" in field:
            for block in value:
                yield from faults(field["of"], {plain(n): v for n, v in block.items() if not n.startswith("__")})
        elif not (field.get("required") or field.get("optional")):
            yield f"{name} is only read"
    for name, field in known.items():
        if (field.get("required") or field.get("min_items")) and name not in said:
            yield f"{name} is missing"


@pytest.mark.parametrize("servers", [[WEB], [OFF], [WEB, OFF, replace(WEB, volumes=(), ports=())]])
def test_the_provider_knows_every_word(servers):
    resources, imports = read(servers)
    assert {kind for kind, _ in resources} <= SCHEMA.keys()
    found = [(where, fault) for where, body in resources.items() for fault in faults(SCHEMA[where[0]], body)]
    assert found == []
    assert {f"{kind}.{label}" for kind, label in resources} == imports.keys(), "each is imported, and said"


def test_everything_is_imported_under_its_id():
    _, imports = read([WEB])
    assert imports == {
        f"{SERVER}.web": "server-0",
        f"{PORT}.web_nic0": "port-0",
        f"{PORT}.web_nic1": "port-1",
        f"{FLOATING}.web_nic0_floating0": "fip-0",
        f"{VOLUME}.web_disk0": "vol-0",
        f"{VOLUME}.web_disk1": "vol-1",
    }


# What a real provider made of each word that is missing here: server, port or volume replaced, or something deleted
IGNORED = {
    SERVER: {"block_device", "config_drive", "network", "tags", "user_data"},
    PORT: {"fixed_ip", "no_security_groups", "security_group_ids", "tags"},
    VOLUME: {"backup_id", "image_id", "snapshot_id", "source_vol_id"},
    FLOATING: {"tags"},
}


def test_what_an_import_does_not_read_is_no_change_and_nothing_may_be_destroyed():
    resources, _ = read([WEB, OFF])
    for (kind, label), body in resources.items():
        (lifecycle,) = body["lifecycle"]
        assert lifecycle["prevent_destroy"] is True, label
        assert {plain(word).strip("${}") for word in lifecycle["ignore_changes"]} == IGNORED[kind], label


def test_what_would_replace_a_server_is_said_as_it_is():
    resources, _ = read([WEB])
    server = resources[SERVER, "web"]
    assert (plain(server["key_pair"]), plain(server["availability_zone"])) == ("ops", "nova")
    assert plain(server["flavor_name"]) == "m1.small"
    assert not {"image_id", "image_name", "personality", "scheduler_hints", "config_drive", "user_data"} & server.keys()
    assert [block["boot_index"] for block in server["block_device"]] == [0, 1]
    assert {block["delete_on_termination"] for block in server["block_device"]} == {False}
    assert [block["port"].strip("${}") for block in server["network"]] == [
        f"{PORT}.web_nic0.id",
        f"{PORT}.web_nic1.id",
    ], "in the guest's own order"


def test_what_would_be_deleted_in_the_cloud_is_said_in_full():
    resources, _ = read([WEB])
    metadata = {plain(name): plain(value) for name, value in resources[SERVER, "web"]["metadata"].items()}
    assert metadata == WEB.metadata, "Longshore's marks, too"
    assert plain(resources[PORT, "web_nic0"]["description"]) == "longshore:owner=m/port-4000"
    assert plain(resources[VOLUME, "web_disk1"]["description"]) == "the data"


def test_a_server_that_is_off_is_written_so():
    resources, _ = read([WEB, OFF])
    assert plain(resources[SERVER, "web"]["power_state"]) == "active"
    assert plain(resources[SERVER, "web_2"]["power_state"]) == "shutoff"
    assert "key_pair" not in resources[SERVER, "web_2"]
    # Between two states there is nothing to write: a change would be planned
    between, _ = read([replace(WEB, status="VERIFY_RESIZE")])
    assert "power_state" not in between[SERVER, "web"]


def test_a_mac_stays_as_neutron_writes_it_and_of_a_pair_only_another_one_is_said():
    resources, _ = read([WEB])
    port = resources[PORT, "web_nic0"]
    assert plain(port["mac_address"]) == PORTS[0].mac
    pairs = [{plain(n): plain(v) for n, v in p.items() if n[0] != "_"} for p in port["allowed_address_pairs"]]
    assert pairs == [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.10", "mac_address": "00:50:56:00:00:01"}]
    assert resources[PORT, "web_nic1"]["no_security_groups"] is True


def test_servers_of_one_name_are_told_apart_and_labels_are_words():
    names = ["web", "web", "web_2", "1st", "", "-", "Zürich", "web.example"]
    resources, _ = read([replace(WEB, name=name, volumes=VOLUMES[:1], ports=()) for name in names])
    labels = [label for kind, label in resources if kind == SERVER]
    assert len(set(labels)) == len(names)
    assert all(label.isascii() and label.replace("_", "").isalnum() and label[0].isalpha() for label in labels), labels


def decoded(text):
    """Read a quoted text as HCL does: its escapes after its templates, of which there may be none."""
    body, out, at = text[1:-1], [], 0
    while at < len(body):
        assert body[at : at + 2] not in ("${", "%{"), f"a template: {text}"
        if body[at] != "\\":
            assert body[at] not in '"\n\r', text
            out.append(body[at])
            at += 1
            continue
        kind = body[at + 1]
        digits = {"u": 4, "U": 8}.get(kind, 0)
        out.append(
            chr(int(body[at + 2 : at + 2 + digits], 16))
            if digits
            else {"n": "\n", "r": "\r", "t": "\t"}.get(kind, kind)
        )
        assert digits or kind in 'nrt"\\', f"no escape of HCL's: \\{kind}"
        at += 2 + digits
    return "".join(out)


@pytest.mark.parametrize("text", DREADFUL)
def test_no_text_is_taken_for_code(text):
    assert decoded(hcl_text(text)) == text
    server = replace(WEB, name=text, metadata={text: text}, tags=(text,))
    resources, imports = read([server])
    assert set(imports.values()) == {"server-0", "port-0", "port-1", "fip-0", "vol-0", "vol-1"}
    assert len(resources) == len(read([WEB])[0])
    assert f"name = {hcl_text(text)}" in tofu([server])
