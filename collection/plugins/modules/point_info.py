#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: point_info
short_description: Which backups a vault has
version_added: "0.1.0"
description:
  - Lists the points of a vault, oldest first, which M(longshore.longshore.restore) makes machines of.
author:
  - Longshore (@longshore)
options:
  vault:
    description:
      - The vault.
    type: str
    required: true
  machine:
    description:
      - Only those of machines of this name.
    type: str
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.info
"""

EXAMPLES = r"""
- name: Of when the backups are
  longshore.longshore.point_info:
    cloud: mine
    url: catalog
    vault: archive
    machine: web01
  register: backups
"""

RETURN = r"""
points:
  description: The points, as the API has them.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.module import run


def do(module, ask):
    machine = module.params["machine"]
    found = ask("GET", "/v1/vaults/%s/points" % part(module.params["vault"]))
    return dict(changed=False, points=[one for one in found if machine in (None, one["machine_name"])])


def main():
    run(do, dict(vault=dict(type="str", required=True), machine=dict(type="str")))


if __name__ == "__main__":
    main()
