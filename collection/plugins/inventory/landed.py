# Copyright: Contributors to Longshore
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: landed
short_description: Machines that Longshore has moved into OpenStack
version_added: "0.1.0"
description:
  - Each machine whose last move is done is a host. Its file is called C(*.longshore.yml) or C(*.longshore.yaml).
author:
  - Longshore (@longshore)
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [longshore.longshore.landed]
  url:
    description: Address of the server.
    type: str
    env:
      - name: LONGSHORE_URL
  auth:
    description: What logs in to Keystone.
    type: dict
  cloud:
    description: Name of an entry of C(clouds.yaml).
    type: str
    env:
      - name: OS_CLOUD
  state_dir:
    description: State directory of an installation without a server.
    type: path
    env:
      - name: LONGSHORE_STATE
  command:
    description: The command C(longshore), for an installation without a server.
    type: str
    default: longshore
  floating:
    description:
      - Whether the clouds are asked for floating IPs. C(ansible_host) is one of these then, where there is one.
    type: bool
    default: false
  target:
    description: Only machines that went to this provider.
    type: str
  plan:
    description: Only machines of this plan.
    type: str
  hostnames:
    description: What a host is called, the first of these that there is and that no other host has.
    type: list
    elements: str
    choices: [server_name, machine, server_id]
    default: [server_name, machine, server_id]
extends_documentation_fragment:
  - constructed
  - inventory_cache
"""

EXAMPLES = r"""
plugin: longshore.longshore.landed
url: https://cloud.example:9797
cloud: mine
keyed_groups:
  - key: longshore.plan
    prefix: plan
  - key: longshore.wave
    prefix: wave
groups:
  web: longshore.machine is match('web')
"""

from collections import Counter

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.longshore.longshore.plugins.module_utils.client import Refused, api

# What a module has an option for and this plugin hasn't
REST = {
    "auth_type": None,
    "region_name": None,
    "interface": "public",
    "validate_certs": None,
    "ca_cert": None,
    "api_timeout": 600,
}
NAMES = {"server_name": "server_name", "machine": "machine_name", "server_id": "server_id"}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "longshore.longshore.landed"

    def verify_file(self, path):
        return super().verify_file(path) and path.endswith((".longshore.yml", ".longshore.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        key, wanted = self.get_cache_key(path), cache and self.get_option("cache")
        found = None
        if wanted:
            try:
                found = self._cache[key]
            except KeyError:  # it isn't there yet, or too old
                found = None
        if found is None:
            found = self._landed()
            if self.get_option("cache"):
                self._cache[key] = found
        for name, one in named(found, self.get_option("hostnames")):
            self._add(name, one)

    def _landed(self):
        params = {name: self.get_option(name) for name in ("url", "auth", "cloud", "state_dir", "command")}

        def fail(msg):
            raise AnsibleParserError(msg)

        asked = {name: self.get_option(name) for name in ("plan", "target") if self.get_option(name)}
        if self.get_option("floating"):
            asked["floating"] = "true"
        try:
            return api(dict(REST, **params), fail).all("/v1/landed", "migration", **asked)
        except Refused as refused:
            raise AnsibleParserError(str(refused)) from None

    def _add(self, name, one):
        self.inventory.add_host(name)
        variables = {"longshore": dict(one, addresses=fixed(one))}
        reached = floating(one) + fixed(one)
        if reached:
            variables["ansible_host"] = reached[0]
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def named(found, hostnames):
    """Yield each machine with its name as a host: the first of these that no other machine has."""
    taken = {what: Counter(one[NAMES[what]] for one in found) for what in hostnames}
    for one in found:
        free = (one[NAMES[what]] for what in hostnames if taken[what][one[NAMES[what]]] == 1)
        yield next(free, one["server_id"]), one


def fixed(one):
    return [address for port in one["ports"] for address in port["addresses"]]


def floating(one):
    return [address for port in one["ports"] for address in port["floating"] or ()]
