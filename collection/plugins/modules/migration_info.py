#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_info
short_description: Which migrations there are
version_added: "0.1.0"
description:
  - Lists migrations, oldest first, dry runs and restores among them.
author:
  - Longshore (@longshore)
options:
  id:
    description:
      - Only the one of this id.
    type: str
  machine:
    description:
      - Only those of the machine of this name or reference.
    type: str
  plan:
    description:
      - Only those of this plan.
    type: str
  status:
    description:
      - Only those that stand so, as V(failed), V(waits-for-cutover).
    type: list
    elements: str
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.info
"""

EXAMPLES = r"""
- name: What waits for the weekend
  longshore.longshore.migration_info:
    cloud: mine
    url: catalog
    plan: shop
    status: [waits-for-cutover]
  register: waiting
"""

RETURN = r"""
migrations:
  description: The migrations, as the API has them.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.module import run

FILTERS = ("machine", "plan", "status")


def do(module, ask):
    asked = module.params
    if asked["id"] is not None:
        found = ask.found("/v1/jobs/" + part(asked["id"]))
        return dict(changed=False, migrations=[] if found is None else [found])
    said = {name: asked[name] for name in FILTERS if asked[name]}
    return dict(changed=False, migrations=ask.all("/v1/migrations", "id", **said))


def main():
    run(
        do,
        dict(
            id=dict(type="str"),
            machine=dict(type="str"),
            plan=dict(type="str"),
            status=dict(type="list", elements="str"),
        ),
        mutually_exclusive=[("id", name) for name in FILTERS],
    )


if __name__ == "__main__":
    main()
