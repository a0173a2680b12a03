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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.longshore.longshore.plugins.module_utils.client import (
    Refused,
    api,
    argument_spec,
    keep_names_readable,
    part,
)


def main():
    module = AnsibleModule(
        argument_spec(
            name=dict(type="str", required=True),
            state=dict(type="str", default="present", choices=["present", "absent"]),
            plan=dict(type="dict"),
        ),
        required_if=[("state", "present", ["plan"])],
        supports_check_mode=True,
    )
    keep_names_readable(module)
    asked = module.params
    ask = api(asked, module.fail_json)
    path = "/v1/plans/" + part(asked["name"])
    try:
        there = ask.found(path)
        before = there["plan"] if there else {}
        if asked["state"] == "absent":
            if there is not None and not module.check_mode:
                ask("DELETE", path)
            module.exit_json(changed=there is not None, diff={"before": before, "after": {}})
        dry = "?dry_run=true" if module.check_mode else ""
        answer = ask("PUT", path + dry, dict(asked["plan"], name=asked["name"]))
    except Refused as refused:
        module.fail_json(msg=str(refused), code=refused.code)
    module.exit_json(
        changed=answer["changed"], diff={"before": before, "after": answer["plan"]}, plan=answer["plan"]
    )


if __name__ == "__main__":
    main()
