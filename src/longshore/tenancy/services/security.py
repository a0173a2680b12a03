"""Operations of address groups, security groups and their rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from openstack.network.v2.security_group_rule import SecurityGroupRule

from longshore.tenancy.documents import Resource
from longshore.tenancy.kind import OWN
from longshore.tenancy.normal import remote_prefix
from longshore.tenancy.operations import plain
from longshore.tenancy.services.network import NetworkOperations


class SecurityGroups(NetworkOperations):
    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        """Make a group without the two rules that the API adds of its own, which let everything out. Those that the
        files don't have are removed at once: a later import couldn't tell them from rules that somebody made.

        `SecurityGroupRules.create` keeps those that the files have, too.
        """
        group = self.proxy.create_security_group(**{k: v for k, v in values.items() if k != "tags"})
        given = [plain(rule) for rule in group.security_group_rules or []]
        try:
            to_come = self.cloud.rules_to_come.get(values["name"])
            if to_come is not None:
                for rule in [rule for rule in given if not any(self._is(rule, each) for each in to_come)]:
                    self.proxy.delete_security_group_rule(rule["id"], ignore_missing=True)
                    given.remove(rule)
            if values.get("tags"):
                self.tag(group, values["tags"])
        except Exception:
            self.proxy.delete_security_group(group.id)
            raise
        self.cloud.given_rules[group.id] = given
        return str(group.id)

    def _is(self, rule: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
        rules = self.cloud.operations(self.cloud.kind("security group rule"))
        assert isinstance(rules, SecurityGroupRules)
        return rules.is_given(rule, {**wanted, "security_group_id": rule["security_group_id"]})


class SecurityGroupRules(NetworkOperations):
    """Operations of the rules of the project's groups, whoever made them: administrators' rules count in a tenant's
    group as its own do.

    One that lets in an address group would let in everybody if OS-Migrate made it: it doesn't know these groups.
    """

    def listing(self) -> Iterable[Any]:
        groups = self.cloud.own(self.cloud.kind("security group"))
        return [SecurityGroupRule.existing(**rule) for group in groups for rule in group.security_group_rules or ()]

    def own(self, raw: Any) -> bool:
        return True

    def file(self, params: Mapping[str, Any]) -> str:
        return f"{OWN}{self.kind.plural}.yml" if params.get("remote_address_group_ref") else super().file(params)

    def files(self) -> Iterable[str]:
        return (*super().files(), f"{OWN}{self.kind.plural}.yml")

    def key(self, raw: Any) -> tuple[Any, ...]:
        return self._kept(super().key(raw))

    def wanted_key(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return self._kept(super().wanted_key(values))

    def _kept(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the key as the network service keeps it: ICMP of IPv6 under a name of its own, all ports as none."""
        named = dict(zip(self.kind.key, key, strict=True))
        if named["ether_type"] == "IPv6" and named["protocol"] == "icmp":
            named["protocol"] = "ipv6-icmp"
        if (named["port_range_min"], named["port_range_max"]) == (1, 65535):
            named["port_range_min"] = named["port_range_max"] = None
        return tuple(named.values())

    def create(self, values: Mapping[str, Any], wanted: Resource) -> str:
        given = self.cloud.given_rules.get(values["security_group_id"], [])
        for rule in tuple(given):  # others take theirs at the same time
            if self.is_given(rule, values):
                given.remove(rule)
                return str(rule["id"])
        return str(self.proxy.create_security_group_rule(**values).id)

    def is_given(self, rule: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
        """Tell whether a rule that the API made by itself is the one that is wanted. Each cloud has its own: everything
        out as a rule, and whatever else its administrator wants all groups to begin with."""
        if values.get("description"):  # which no rule can be given later
            return False
        return self.key(SecurityGroupRule.existing(**rule)) == self.wanted_key(values)


def limits_egress(values: Mapping[str, Any]) -> bool:
    """Tell whether a rule lets out less than everything of its IP version."""
    said = {**values, "remote_ip_prefix": remote_prefix(values.get("remote_ip_prefix"))}
    unlimited = ("security_group_id", "direction", "ether_type", "description")
    return any(value is not None for name, value in said.items() if name not in unlimited)


class AddressGroups(NetworkOperations):
    def update(self, raw: Any, values: Mapping[str, Any]) -> None:
        """Addresses are added and removed by calls of their own."""
        wanted = {str(ipaddress.ip_network(each, strict=False)) for each in values.get("addresses", raw.addresses)}
        there = {str(ipaddress.ip_network(each, strict=False)) for each in raw.addresses}
        super().update(raw, {k: v for k, v in values.items() if k != "addresses"})
        if wanted - there:
            self.proxy.add_addresses_to_address_group(raw.id, sorted(wanted - there))
        if there - wanted:
            self.proxy.remove_addresses_from_address_group(raw.id, sorted(there - wanted))
