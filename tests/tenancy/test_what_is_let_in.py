"""Whatever a project has, and may see of others: what was imported lets in nothing that the original doesn't.

What is let in is worked out here from what the cloud keeps, by samples of packets, without the code under test.
"""

import ipaddress
import itertools

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from resource_files import Files, compared, exported, imported
from small_cloud import SmallCloud

from longshore.errors import Conflict
from longshore.tenancy import validate

pytestmark = pytest.mark.long

ONLY = "networks,subnets,address_groups,security_groups,security_group_rules,ports,rbac_policies"
NAMES = ("a", "b", "c")
STRANGERS = ("other", "third")
ADDRESSES = ("10.0.0.7", "192.0.2.9", "198.51.100.1", "fd00::7", "2001:db8::1")
PREFIXES = ("0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/24", "fd00::/8", None)
PORTS = (22, 80, 5432)

names = st.sampled_from(NAMES)
seen = st.sets(st.sampled_from(["one", "two"]))
of_strangers = st.lists(st.tuples(st.sampled_from(STRANGERS), names, seen), unique_by=lambda each: each[:2], max_size=4)
pick = st.integers(0, 5)
rules = st.tuples(
    pick,
    st.sampled_from(["ingress", "egress"]),
    st.sampled_from(["IPv4", "IPv6"]),
    st.sampled_from([None, "tcp", "udp"]),
    st.sampled_from([None, (22, 22), (1, 65535), (80, 5432)]),
    st.one_of(
        st.none(),
        st.tuples(st.just("prefix"), st.sampled_from(PREFIXES[:-1])),
        st.tuples(st.sampled_from(["group", "their group", "addresses", "their addresses", "of nobody"]), pick),
    ),
)
ports = st.tuples(pick, st.booleans(), st.lists(st.tuples(st.booleans(), pick), max_size=3))
worlds = st.fixed_dictionaries(
    {
        "groups": st.lists(st.tuples(names, st.booleans()), unique_by=lambda each: each[0], min_size=1, max_size=3),
        "their_groups": of_strangers,
        "addresses": st.lists(names, unique=True, max_size=2),
        "their_addresses": of_strangers,
        "target_has": st.lists(names, unique=True, max_size=3),
        "rules": st.lists(rules, max_size=7),
        "networks": st.lists(st.tuples(names, st.booleans()), unique_by=lambda each: each[0], max_size=2),
        "ports": st.lists(ports, max_size=3),
        "shares": st.sets(st.tuples(st.sampled_from(["security_group", "network"]), names, st.sampled_from(
            ["*", "one", *STRANGERS])), max_size=2),
    }
)  # fmt: skip


class World:
    """A small cloud with a project `one` as drawn, strangers, and a project `two` that has some groups already."""

    def __init__(self, small, drawn):
        self.small = small
        self.strangers = set()
        self.names = {}  # of groups of any project by id: project and name
        self.groups = [self.group("one", name, egress=egress) for name, egress in drawn["groups"]]
        self.theirs = [self.group(*each) for each in drawn["their_groups"]]
        self.addresses = [self.address_group("one", name) for name in drawn["addresses"]]
        self.their_addresses = [self.address_group(*each) for each in drawn["their_addresses"]]
        for name in drawn["target_has"]:
            self.group("two", name)
        for each in drawn["rules"]:
            self.rule(*each)
        self.networks = [
            small.add("networks", {"name": name, "port_security_enabled": secure}, "one")
            for name, secure in drawn["networks"]
        ]
        for number, each in enumerate(drawn["ports"] if self.networks else ()):
            self.port(number, *each)
        for kind, name, target in drawn["shares"]:
            for thing in self.groups if kind == "security_group" else self.networks:
                if thing["name"] == name:
                    share = {"object_type": kind, "object_id": thing["id"], "action": "access_as_shared"}
                    small.add("rbac-policies", {**share, "target_tenant": target}, "one")
        self.before = {id_ for things in small.things.values() for id_ in things}

    def group(self, project, name, seen_by=None, *, egress=True):
        made = self.small.add("security-groups", {"name": name}, project)
        self.names[made["id"]] = (project, name)
        if not egress:
            for rule in list(made["security_group_rules"]):
                self.small.drop("security-group-rules", rule["id"])
        if seen_by is not None:
            self.small.seen_by[made["id"]] = seen_by
        return made

    def address_group(self, project, name, seen_by=None):
        about = f"{ADDRESSES[(NAMES.index(name) + len(project)) % 3]}/32"
        made = self.small.add("address-groups", {"name": name, "addresses": [about]}, project)
        if seen_by is not None:
            self.small.seen_by[made["id"]] = seen_by
        return made

    def rule(self, at, direction, ethertype, protocol, between, remote):
        group = self.groups[at % len(self.groups)]
        rule = {"security_group_id": group["id"], "direction": direction, "ethertype": ethertype, "protocol": protocol}
        if between and protocol:
            rule["port_range_min"], rule["port_range_max"] = between
        kind, which = remote or (None, None)
        if kind == "prefix":
            if f"IPv{ipaddress.ip_network(which).version}" != ethertype:
                return
            rule["remote_ip_prefix"] = which
        elif kind == "of nobody":
            rule["remote_group_id"] = f"gone-{which}"
        elif kind:
            field = "remote_group_id" if "group" in kind else "remote_address_group_id"
            among = {"group": self.groups, "their group": self.theirs, "addresses": self.addresses}
            things = among.get(kind, self.their_addresses)
            if not things:
                return
            rule[field] = things[which % len(things)]["id"]
        if not self.small.same_rule(rule):
            self.small.add("security-group-rules", rule, "one")

    def port(self, number, at, secure, groups):
        picked = [(self.theirs if theirs else self.groups, which) for theirs, which in groups]
        ids = sorted({things[which % len(things)]["id"] for things, which in picked if things})
        port = {"name": f"p{number}", "network_id": self.networks[at % len(self.networks)]["id"]}
        self.small.add("ports", {**port, "port_security_enabled": secure, "security_groups": ids}, "one")

    # What is let in

    def told(self, group_id, project):
        """A group as it is the same in both clouds: the project's own by its name, others by whose they are."""
        owner, name = self.names.get(group_id, ("nobody", group_id))
        return ("own", name) if owner == project else (owner, name)

    def packets(self, rule, project):
        """Samples of what a rule lets through, each with who is at the other end."""
        peers = {("address", a) for a in ADDRESSES if f"IPv{ipaddress.ip_address(a).version}" == rule["ethertype"]}
        if rule["remote_ip_prefix"] not in (None, "0.0.0.0/0", "::/0"):  # one for all addresses is one without a prefix
            net = ipaddress.ip_network(rule["remote_ip_prefix"])
            peers = {peer for peer in peers if ipaddress.ip_address(peer[1]) in net}
        elif rule["remote_address_group_id"]:
            listed = self.small.things["address-groups"][rule["remote_address_group_id"]]["addresses"]
            nets = [ipaddress.ip_network(each) for each in listed]
            peers = {peer for peer in peers if any(ipaddress.ip_address(peer[1]) in net for net in nets)}
        elif rule["remote_group_id"]:
            peers = {self.told(rule["remote_group_id"], project)}
        else:
            everyone = itertools.product(["own", *STRANGERS], NAMES)
            peers |= {*everyone, *(("nobody", f"gone-{n}") for n in range(6))}
        low, high = rule["port_range_min"] or 1, rule["port_range_max"] or 65535
        protocols = [rule["protocol"]] if rule["protocol"] else ["tcp", "udp", "icmp"]
        return {
            (rule["direction"], rule["ethertype"], protocol, number, peer)
            for protocol, number, peer in itertools.product(protocols, [n for n in PORTS if low <= n <= high], peers)
        }

    def of_groups(self, project, kept=frozenset()):
        """By the name of each of the project's groups; without the rules `kept`, which nobody imported."""
        let = {}
        for group in self.small.things["security-groups"].values():
            if group["project_id"] == project:
                rules = (rule for rule in group["security_group_rules"] if rule["id"] not in kept)
                let[group["name"]] = set().union(*(self.packets(rule, project) for rule in rules))
        return let

    def rules_of(self, project, name):
        there = self.small.things["security-groups"].values()
        (found,) = (group for group in there if (group["project_id"], group["name"]) == (project, name))
        return found["security_group_rules"]

    def of_ports(self, project):
        """By port: its groups, which are what lets in; or that nothing is kept out of it."""
        asked = {
            b["port"]["name"]: b["port"] for m, path, b in self.small.log if m == "POST" and path.endswith("/ports")
        }
        let = {}
        for port in self.small.things.get("ports", {}).values():
            if port["project_id"] == project:
                groups = {self.told(group, project) for group in port["security_groups"]}
                if project == "two" and "security_groups" not in asked[port["name"]]:
                    groups.add(("own", "default"))
                let[port["name"]] = groups if port["port_security_enabled"] else {"everything", *groups}
        return let

    def shares(self, project):
        things = {
            id_: thing["name"]
            for by_id in self.small.things.values()
            for id_, thing in by_id.items()
            if "name" in thing
        }
        return {
            (share["object_type"], things[share["object_id"]], share["target_tenant"])
            for share in self.small.things.get("rbac-policies", {}).values()
            if share["project_id"] == project
        }


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds)
def test_an_import_lets_in_no_more_than_the_original(tmp_path_factory, drawn):
    files = Files(tmp_path_factory.mktemp("files"))
    with SmallCloud() as small:
        world = World(small, drawn)
        exported(small.connect("one"), files.path, ONLY)
        assert [str(fault) for fault in validate(files.path)[1]] == []

        # Where it came from nothing is to be done, and nothing is
        changes = small.made()
        assert {row.action for row in compared(small.connect("one"), files.path, ONLY).rows} <= {"leave"}
        imported(small.connect("one"), files.path, ONLY)
        assert small.made() == changes

        original, of_ports, shares = world.of_groups("one"), world.of_ports("one"), world.shares("one")
        taken = {g["name"] for g in small.things["security-groups"].values() if g["project_id"] == "two"}
        try:
            imported(small.connect("two"), files.path, ONLY)
        except Conflict as refused:
            event(f"refused: {type(refused).__name__}")
            assert small.made() == changes
            return
        world.names |= {
            g["id"]: ("two", g["name"]) for g in small.things["security-groups"].values() if g["id"] not in world.before
        }
        copy = world.of_groups("two", world.before)
        for name, packets in copy.items():
            assert packets <= original.get(name, set()), name
        for name, groups in world.of_ports("two").items():
            assert groups <= of_ports[name], name
        assert world.shares("two") <= shares
        if not drawn["their_groups"] and not drawn["their_addresses"]:  # and what can be carried, is
            for name in original.keys() - taken:
                rules = [r for r in world.rules_of("one", name) if not str(r["remote_group_id"]).startswith("gone")]
                assert copy[name] == set().union(*(world.packets(r, "one") for r in rules)), name
            event("all of one's own was carried")
