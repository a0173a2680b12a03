"""What OS-Migrate makes of files that Longshore wrote: it compares all of `params` with what it knows of the cloud."""

from resource_files import Files, exported, group, imported, network, of

# What OS-Migrate 1.0.5 has in `params`
KNOWN = {
    "routers.yml": "availability_zone_hints description is_admin_state_up is_distributed is_ha name tags "
                   "external_gateway_refinfo flavor_ref",
    "security_groups.yml": "name description",
    "security_group_rules.yml": "description direction ether_type port_range_max port_range_min protocol "
                                "remote_ip_prefix security_group_ref remote_group_ref",
    "flavors.yml": "description disk ephemeral extra_specs is_public name ram rxtx_factor swap vcpus",
}  # fmt: skip
KINDS = "flavors,networks,subnets,security_groups,security_group_rules,address_groups,routers"


def filled(small):
    """A project with something in it that OS-Migrate has no word for."""
    there = small.connect("admin")
    public = small.add("networks", {"name": "public", "router:external": True, "shared": True}, "outside")
    compute, net = there.compute, there.network
    compute.create_flavor(name="big", ram=1, vcpus=1)
    net.create_router(
        name="edge",
        external_gateway_info={"network_id": public["id"], "enable_snat": False},
        routes=[{"destination": "10.9.0.0/16", "nexthop": "10.2.0.9"}],
    )
    web = net.create_security_group(name="web", stateful=False)
    net.set_tags(web, ["edge"])
    offices = net.create_address_group(name="offices", addresses=["192.0.2.0/28"])
    net.create_security_group_rule(security_group_id=web.id, direction="ingress", remote_address_group_id=offices.id)
    return there


def test_params_are_os_migrates_and_the_rest_lies_where_it_does_not_compare(small, tmp_path):
    there = filled(small)
    exported(there, tmp_path, KINDS)
    files = Files(tmp_path)
    for name, known in KNOWN.items():
        assert {field for r in files.read(name) for field in r["params"]} == set(known.split()), name
    (edge,) = files.read("routers.yml")
    assert set(edge["params"]["external_gateway_refinfo"]) == {"network_ref"}
    assert edge["_migration_params"] == {
        "external_gateway_refinfo": {"enable_snat": False},
        "routes": [{"destination": "10.9.0.0/16", "nexthop": "10.2.0.9"}],
    }
    assert [r["_migration_params"] for r in files.read("security_groups.yml")] == [
        {"is_stateful": False, "tags": ["edge"]}
    ]
    # Without its address group, which OS-Migrate doesn't know, a rule would let everybody in
    assert not any(r["params"]["direction"] == "ingress" for r in files.read("security_group_rules.yml"))
    (let_in,) = files.read("longshore/security_group_rules.yml")
    assert let_in["params"]["remote_address_group_ref"]["name"] == "offices"


def test_what_lies_there_is_imported_and_edited_as_the_rest(small, tmp_path):
    there = filled(small)
    exported(there, tmp_path, KINDS)
    assert {row.action for row in imported(there, tmp_path, KINDS).rows} == {"left"}
    Files(tmp_path).replace("10.2.0.9", "10.2.0.7")
    assert of(imported(there, tmp_path, KINDS), "changed") == {("router", "edge")}
    (edge,) = small.things["routers"].values()
    assert edge["routes"] == [{"destination": "10.9.0.0/16", "nexthop": "10.2.0.7"}]
    assert edge["external_gateway_info"]["enable_snat"] is False


def test_files_of_earlier_versions_have_all_in_params(small, files):
    files.write("security_groups.yml", group("web", tags=["edge"], is_stateful=False))
    imported(small.connect(), files.path, "security_groups")
    assert {(g["name"], g["stateful"]) for g in small.things["security-groups"].values()} == {("web", False)}


def test_allocation_pools_are_in_its_order(small, tmp_path):
    here = small.connect()
    front = here.network.create_network(name="front")
    pools = [{"start": "10.0.0.1", "end": "10.0.0.9"}, {"start": "10.0.0.10", "end": "10.0.0.19"}]
    here.network.create_subnet(
        name="s", network_id=front.id, ip_version=4, cidr="10.0.0.0/24", allocation_pools=pools[::-1]
    )
    exported(here, tmp_path, "networks,subnets")
    assert Files(tmp_path).read("subnets.yml")[0]["params"]["allocation_pools"] == pools


def test_images_have_what_its_imports_give_them(small, tmp_path):
    here = small.connect()
    here.image.create_image("tool", data=b"x", disk_format="raw", container_format="bare", team="web")
    exported(here, tmp_path, "images")
    assert Files(tmp_path).read("images.yml")[0]["params"]["properties"] == {
        "owner_specified.openstack.md5": "",
        "owner_specified.openstack.object": "images/tool",
        "owner_specified.openstack.sha256": "",
        "team": "web",
    }


def test_what_is_passed_over_is_said(small, files):
    server = {"type": "openstack.compute.Server", "params": {"name": "web01", "flavor_ref": {"name": "m1"}}}
    volume = {"type": "openstack.network.ServerVolume", "params": {"name": "data"}}
    files.write("networks.yml", network("front"))
    files.write("workloads.yml", server)
    files.write("detached_volumes.yml", volume, volume)
    from longshore.tenancy.kinds import BY_PLURAL

    report = imported(small.connect(), files.path, ",".join(BY_PLURAL))
    assert of(report, "made") == {("network", "front")}
    assert report.notes == [
        "workloads: 1 left out; servers are moved by plans (longshore plan create --from-workloads).",
        "detached_volumes: 2 left out; volumes are moved by longshore volume migrate --file.",
    ]
    assert imported(small.connect(), files.path, "networks").notes == []
