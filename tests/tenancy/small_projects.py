"""Projects such as clouds have, as Hypothesis draws them, put into a small cloud.

With names that several have or nobody, things of servers, of administrators and of other projects, ports without
addresses, images whose bytes are gone.
"""

import ipaddress
from collections import Counter

from hypothesis import strategies as st

# Some that mean something else to readers of YAML, of paths, of patterns or on a terminal, too
names = st.sampled_from(
    ["a", "a", "a", "b", "b", "c", "", "x" * 255, "yes", "1e3", "~", " a ", "a: b", "- a", "#a", "a/b", "*", "e\u0301",
     "\U0001f600", "a\nb", "a\x1b[31m", "\u2028", "{a}", "A"]
)  # fmt: skip
pick = st.integers(0, 5)
networks = st.fixed_dictionaries(
    {"name": names},
    optional={
        "port_security_enabled": st.booleans(),
        "mtu": st.sampled_from([1500, 1400]),
        "availability_zone_hints": st.just(["az-of-the-source"]),
        "dns_domain": st.just("shop.example.org."),
        "vlan_transparent": st.just(True),
        "shared": st.booleans(),
        "provider:network_type": st.just("vxlan"),
        "tags": st.sampled_from([["web"], ["yes", "1"], ["a b"]]),
        "description": names,
        "admin_state_up": st.booleans(),
    },
)
how_subnets = st.fixed_dictionaries(
    {},
    optional={
        "no_gateway": st.just(True),
        "enable_dhcp": st.booleans(),
        "dns_nameservers": st.sampled_from([["192.0.2.53"], ["192.0.2.54", "192.0.2.53"]]),
        "host_routes": st.just([{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}]),
        "description": names,
        "tags": st.just(["b", "a"]),
    },
)
subnets = st.tuples(
    pick, names, st.sampled_from(["IPv4", "IPv4", "IPv6", "slaac", "delegated"]), st.booleans(), how_subnets
)
routers = st.tuples(
    names,
    st.sampled_from([None, "outer", "twin", "outer without translation"]),
    st.sets(pick, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "description": names,
            "admin_state_up": st.booleans(),
            "tags": st.just(["web"]),
            "distributed": st.booleans(),
            "ha": st.booleans(),
            "routes": st.just([{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}]),
            "availability_zone_hints": st.just(["az-of-the-source"]),
        },
    ),
)
groups = st.tuples(names, st.booleans(), st.booleans())
rules = st.tuples(
    pick,
    st.sampled_from(["ingress", "egress"]),
    st.sampled_from(["IPv4", "IPv6"]),
    st.sampled_from([None, "tcp", "icmp", "6", "112", "sctp", 17, 1]),
    st.sampled_from([(None, None), (1, 65535), (80, 80), (8, 0), (8, None), (0, 0)]),
    st.sampled_from([None, "any prefix", "a prefix", "group", "their group", "of nobody", "addresses"]),
    pick,
    st.booleans(),
)
ports = st.fixed_dictionaries(
    {
        "name": names,
        "at": pick,
        "addresses": st.sampled_from(["none", "any", "one"]),
        "owner": st.sampled_from(["", "", "compute:nova", "network:dhcp"]),
        "groups": st.sets(pick, max_size=2),
        "shared": st.booleans(),
    },
    optional={
        "port_security_enabled": st.booleans(),
        "allowed_address_pairs": st.just([{"ip_address": "10.0.0.99", "mac_address": "fa:16:3e:99:99:99"}]),
        "extra_dhcp_opts": st.just([{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}]),
        "binding:vnic_type": st.just("direct"),
        "mac_address": st.just("fa:16:3e:aa:bb:cc"),
        "admin_state_up": st.booleans(),
        "description": names,
        "tags": st.just(["web"]),
        "dns_name": st.just("front"),
    },
)
images = st.tuples(
    names,
    st.sampled_from(["whole", "whole", "lost", "in snapshots", "signed", "encrypted", "public", "queued"]),
    st.one_of(st.none(), pick),
)
projects = st.fixed_dictionaries(
    {
        "networks": st.lists(networks, max_size=3),
        "subnets": st.lists(subnets, max_size=4),
        "routers": st.lists(routers, max_size=2),
        "groups": st.lists(groups, max_size=3),
        "rules": st.lists(rules, max_size=5),
        "ports": st.lists(ports, max_size=4),
        "trunks": st.lists(st.tuples(names, pick, st.sets(pick, min_size=1, max_size=2)), max_size=2),
        "floating_ips": st.lists(st.tuples(st.one_of(st.none(), pick), names), max_size=2),
        "images": st.lists(images, max_size=3),
        "shares": st.lists(st.tuples(pick, st.sampled_from(["*", "three"]), st.booleans()), max_size=2),
        "key_pairs": st.sets(st.sampled_from(["ops", "ops@example.com"])),
        "server_groups": st.lists(
            st.tuples(names, st.sampled_from(["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"])),
            max_size=2,
        ),
        "qos": st.booleans(),
    }
)


def _may_have(protocol, first, last):
    """Tell whether Neutron takes these ports, or type and code, for a protocol."""
    if str(protocol) in ("icmp", "1"):
        return first is not None and first < 256 and (last or 0) < 256
    return protocol in ("tcp", "6", "sctp", 17) and first not in (None, 0) and (last or 0) >= first


class Project:
    """The project `one` of a small cloud, with an operator's outer networks and other projects' groups beside it."""

    def __init__(self, small, drawn):
        self.small = small
        outer = {"router:external": True, "shared": True, "name": "public"}
        self.outer = [small.add("networks", dict(outer), owner) for owner in ("operator", "operator2")]
        self.shared = small.add("networks", {"name": "a", "shared": True}, "operator")
        cidr = {"cidr": "172.16.0.0/24", "ip_version": 4, "gateway_ip": "172.16.0.1"}
        small.add("subnets", {"name": "a", "network_id": self.shared["id"], **cidr}, "operator")
        self.theirs = small.add("security-groups", {"name": "a"}, "three")
        self.addresses = small.add("address-groups", {"name": "a", "addresses": ["192.0.2.0/28"]}, "one")
        policy = small.add("qos/policies", {"name": "gold", "shared": True}, "operator")
        self.networks = [small.add("networks", dict(each), "one") for each in drawn["networks"]]
        if drawn["qos"] and self.networks:
            self.networks[0]["qos_policy_id"] = policy["id"]
        self.subnets = [
            self.subnet(number, *each) for number, each in enumerate(drawn["subnets"] if self.networks else ())
        ]
        self.taken = set()
        self.routers = [self.router(*each) for each in drawn["routers"]]
        self.groups = [self.group(*each) for each in drawn["groups"]]
        for each in drawn["rules"] if self.groups else ():
            self.rule(*each)
        self.ports = [self.port(**each) for each in drawn["ports"] if self.networks]
        for each in drawn["trunks"] if self.ports else ():
            self.trunk(*each)
        self.floating = set()
        for each in drawn["floating_ips"]:
            self.floating_ip(*each)
        self.images = []
        for each in drawn["images"]:
            self.image(*each)
        for at, target, by_admin in drawn["shares"] if self.networks else ():
            share = {"object_type": "network", "object_id": self.networks[at % len(self.networks)]["id"]}
            share |= {"action": "access_as_shared", "target_tenant": target, "target_project_id": target}
            small.add("rbac-policies", share, "admin" if by_admin else "one")
        mine = small.compute.keypairs.setdefault("user-of-one", {})
        for name in drawn["key_pairs"]:
            mine[name] = {"name": name, "type": "ssh", "fingerprint": "", "public_key": "ssh-ed25519 AAAA"}
        for number, (name, policy) in enumerate(drawn["server_groups"]):
            group = {"id": f"server-group-{number}", "name": name or "d", "policies": [policy], "policy": policy}
            rules = {"max_server_per_host": 2} if policy == "anti-affinity" else {}
            there = small.compute.server_groups.setdefault("one", {})
            there[group["id"]] = group | {"rules": rules, "project_id": "one", "members": []}

    def subnet(self, number, at, name, how, by_admin, more):
        network = self.networks[at % len(self.networks)]
        cidr = f"10.{number}.0.0/24" if how == "IPv4" else f"fd00:0:0:{number + 1}::/64"
        net = ipaddress.ip_network(cidr)
        given = {"name": name, "network_id": network["id"], "cidr": cidr, "ip_version": net.version}
        given["gateway_ip"] = str(net[1])
        if how in ("slaac", "delegated"):
            given |= {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
        if how == "delegated":
            given |= {"cidr": "::/64", "gateway_ip": "::1", "subnetpool_id": "prefix_delegation"}
        given |= {key: value for key, value in more.items() if key != "no_gateway"}
        if how == "IPv4" and "no_gateway" in more:
            given["gateway_ip"] = None
        return self.small.add("subnets", given, "admin" if by_admin else "one")

    def router(self, name, gateway, at, more):
        info = None
        if gateway:
            info = {"network_id": self.outer[gateway == "twin"]["id"]}
            if gateway.endswith("translation"):
                info["enable_snat"] = False
        router = self.small.add("routers", {"name": name, "external_gateway_info": info, **more}, "one")
        for subnet in (self.subnets[each % len(self.subnets)] for each in sorted(at) if self.subnets):
            delegated = subnet.get("subnetpool_id") == "prefix_delegation"
            if subnet["id"] not in self.taken and not delegated:
                self.taken.add(subnet["id"])
                self.small.add_interface(router, self.interface(subnet))
        return router

    def interface(self, subnet):
        """Return what the router is to be given: without a gateway it has to be a port."""
        if subnet["gateway_ip"] is not None:
            return {"subnet_id": subnet["id"]}
        given = {"network_id": subnet["network_id"], "fixed_ips": [{"subnet_id": subnet["id"]}]}
        return {"port_id": self.small.add("ports", given, "one")["id"]}

    def group(self, name, stateful, egress):
        group = self.small.add("security-groups", {"name": name or "d", "stateful": stateful}, "one")
        for rule in [] if egress else list(group["security_group_rules"]):
            self.small.drop("security-group-rules", rule["id"])
        return group

    def rule(self, at, direction, ethertype, protocol, ports, remote, which, by_admin):
        group = self.groups[at % len(self.groups)]
        rule = {"security_group_id": group["id"], "direction": direction, "ethertype": ethertype, "protocol": protocol}
        if _may_have(protocol, *ports):
            rule |= {"port_range_min": ports[0], "port_range_max": ports[1]}
        prefixes = {"IPv4": ("0.0.0.0/0", "10.0.0.0/8"), "IPv6": ("::/0", "fd00::/8")}[ethertype]
        rule |= {
            "any prefix": {"remote_ip_prefix": prefixes[0]},
            "a prefix": {"remote_ip_prefix": prefixes[1]},
            "group": {"remote_group_id": self.groups[which % len(self.groups)]["id"]},
            "their group": {"remote_group_id": self.theirs["id"]},
            "of nobody": {"remote_group_id": "gone"},
            "addresses": {"remote_address_group_id": self.addresses["id"]},
        }.get(remote, {})
        if not self.small.same_rule(rule):
            self.small.add("security-group-rules", rule, "admin" if by_admin else "one")

    def port(self, name, at, addresses, owner, groups, shared, **more):
        network = self.shared if shared else self.networks[at % len(self.networks)]
        groups = [self.groups[each % len(self.groups)]["id"] for each in groups if self.groups]
        given = {"name": name, "network_id": network["id"], "security_groups": sorted(set(groups)), **more}
        chosen = [s for s in self.small.things["subnets"].values() if s["network_id"] == network["id"]]
        chosen = [s for s in chosen if not s.get("ipv6_address_mode")]
        if addresses == "none" or (addresses == "one" and not chosen):
            given["fixed_ips"] = []
        elif addresses == "one":
            given["fixed_ips"] = [{"subnet_id": chosen[0]["id"]}]
        port = self.small.add("ports", given, "one")
        port |= {"device_owner": owner, "device_id": "a-server" if owner else ""}
        return port

    def trunk(self, name, at, subs):
        parent = self.ports[at % len(self.ports)]
        subs = [self.ports[each % len(self.ports)] for each in sorted(subs)]
        free = [port for port in subs if not port["device_owner"] and port is not parent]
        if parent["device_owner"] == "trunk:subport" or "trunk" in parent or any("trunk" in port for port in free):
            return
        parent["trunk"] = True
        parts = []
        for number, port in enumerate({port["id"]: port for port in free}.values(), 1):
            port |= {"device_owner": "trunk:subport", "device_id": "a-trunk", "trunk": True}
            parts.append({"port_id": port["id"], "segmentation_id": number, "segmentation_type": "vlan"})
        self.small.add("trunks", {"name": name, "port_id": parent["id"], "sub_ports": parts}, "one")

    def floating_ip(self, at, description):
        port = self.ports[at % len(self.ports)] if at is not None and self.ports else None
        given = {"floating_network_id": self.outer[0]["id"], "description": description}
        if port and port["fixed_ips"] and port["id"] not in self.floating:
            self.floating.add(port["id"])
            given |= {"port_id": port["id"], "fixed_ip_address": port["fixed_ips"][0]["ip_address"]}
        self.small.add("floatingips", given, "one")

    def image(self, name, state, kernel):
        identity = f"0000000{len(self.images)}-image"
        data = f"bytes of {identity}".encode()
        image = {"id": identity, "name": name or "d", "disk_format": "raw", "container_format": "bare", "tags": []}
        image |= {"owner": "one", "status": "queued", "size": None, "visibility": "shared"}
        if kernel is not None and self.images:
            image["kernel_id"] = self.images[kernel % len(self.images)]
        self.images.append(identity)
        self.small.images[identity] = image
        if state == "queued":
            return
        self.small.keep(identity, data)
        if state == "lost":
            self.small.lost_bytes.add(identity)
        image |= {
            "in snapshots": {"size": 0, "block_device_mapping": '[{"snapshot_id": "s"}]'},
            "signed": {"img_signature_certificate_uuid": "a-certificate"},
            "encrypted": {"cinder_encryption_key_id": "a-key"},
            "public": {"visibility": "public"},
        }.get(state, {})

    def not_told_of(self, files, notes):
        """Kinds of which more is there than is in the files or named as left out."""
        there = Counter()
        for kind, collection in (("networks", "networks"), ("routers", "routers"), ("trunks", "trunks"),
                                 ("security_groups", "security-groups"), ("floating_ips", "floatingips")):  # fmt: skip
            there[kind] = sum(t["project_id"] == "one" for t in self.small.things.get(collection, {}).values())
        there["subnets"], there["images"] = len(self.subnets), len(self.images)
        there["ports"] = sum(port["device_owner"] in ("", "trunk:subport") for port in self.ports)
        there["security_group_rules"] = sum(len(group["security_group_rules"]) for group in self.groups)
        told = Counter(
            note.partition(":")[0] for note in notes if " left out" in note or " server" in note or "queued" in note
        )
        for path in files.path.rglob("*.yml"):
            told[path.stem] += len(files.read(path.relative_to(files.path)))
        return [kind for kind, count in there.items() if told[kind] < count]
