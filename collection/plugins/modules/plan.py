#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: A plan of many machines
version_added: "0.1.0"
description:
  - Keeps a plan as it is said here, in the place of what was there; or deletes it. Nothing of it is started.
author:
  - Longshore (@longshore)
options:
  name:
    description:
      - Its name.
    type: str
    required: true
  state:
    description:
      - Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  plan:
    description:
      - The plan as its file has it (C(longshore plan export)), without its name. Needed where it is to be there.
    type: dict
extends_documentation_fragment:
  - longshore.longshore.longshore
attributes:
  check_mode:
    support: full
    description: The service says what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows the plan before and after. Texts that may hold passwords are marks in it.
"""

EXAMPLES = r"""
- name: The shop, in one go
  longshore.longshore.plan:
    cloud: mine
    url: catalog
    name: shop
    plan:
      source: vc
      target: here
      mappings:
        networks:
          VM Network: private
      machines:
        - machine: web01
        - machine: db01
          wave: 2
"""

RETURN = r"""
plan:
  description: As it is kept.
  returned: when it is there
  type: dict
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.module import dry, run


def do(module, ask):
    asked = module.params
    path = "/v1/plans/" + part(asked["name"])
    there = ask.found(path)
    before = there["plan"] if there else {}
    if asked["state"] == "absent":
        if there is not None and not module.check_mode:
            ask("DELETE", path)
        return dict(changed=there is not None, diff={"before": before, "after": {}})
    answer = ask("PUT", path + dry(module), dict(asked["plan"], name=asked["name"]))
    return dict(changed=answer["changed"], diff={"before": before, "after": answer["plan"]}, plan=answer["plan"])


def main():
    run(
        do,
        dict(
            name=dict(type="str", required=True),
            state=dict(type="str", default="present", choices=["present", "absent"]),
            plan=dict(type="dict"),
        ),
        required_if=[("state", "present", ["plan"])],
    )


if __name__ == "__main__":
    main()
