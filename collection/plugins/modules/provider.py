#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: provider
short_description: A cloud that machines come from or go to
version_added: "0.1.0"
description:
  - Adds, changes or removes a provider. Only a cloud that lets Longshore in is kept.
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
  kind:
    description:
      - What it is, as V(vsphere), V(openstack), V(files) or V(vault). Needed to make one.
    type: str
  settings:
    description:
      - How it is reached. Only what is named here is compared and changed.
    type: dict
    default: {}
  secrets:
    description:
      - Its passwords. Longshore never tells them, so they can't be compared.
    type: dict
    default: {}
  update_secrets:
    description:
      - When O(secrets) are sent for a provider that is there already. V(always) counts as a change only where they are
        others than before.
    type: str
    choices: [on_create, always]
    default: on_create
extends_documentation_fragment:
  - longshore.longshore.longshore
attributes:
  check_mode:
    support: full
    description: Logs in as it would, says what would be done, and does nothing.
  diff_mode:
    support: full
    description: Shows the settings before and after.
"""

EXAMPLES = r"""
- name: A vCenter
  longshore.longshore.provider:
    cloud: mine
    url: catalog
    name: vc
    kind: vsphere
    settings:
      host: vcenter.example
      username: migrator@vsphere.local
    secrets:
      password: "{{ vcenter_password }}"
"""

RETURN = r"""
provider:
  description: As it is now.
  returned: when it is there
  type: dict
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, dry, run


def wanted_changes(there, wanted):
    """Return those of the wanted settings that are otherwise there; of tables within, what they name."""
    found = {}
    for name, value in wanted.items():
        now = there.get(name)
        if isinstance(value, dict) and isinstance(now, dict):
            if wanted_changes(now, value):
                found[name] = dict(now, **value)
        elif now != value:
            found[name] = value
    return found


def shown(there):
    return {} if there is None else {"kind": there["kind"], "settings": there["settings"]}


def do(module, ask):
    asked = module.params
    path = "/v1/providers/" + part(asked["name"])
    there = ask.found(path)
    before = shown(there)
    if asked["state"] == "absent":
        if there is not None and not module.check_mode:
            ask("DELETE", path)
        return dict(changed=there is not None, diff={"before": before, "after": {}})
    if there is None:
        if asked["kind"] is None:
            raise Failed("There is no provider %s yet: say of which kind it is." % asked["name"])
        body = {name: asked[name] for name in ("name", "kind", "settings", "secrets")}
        made = ask("POST", "/v1/providers" + dry(module), body)["provider"]
        return dict(changed=True, diff={"before": {}, "after": shown(made)}, provider=made)
    if asked["kind"] not in (None, there["kind"]):
        raise Failed("Provider %s is of kind %s." % (asked["name"], there["kind"]))
    changes = wanted_changes(there["settings"], asked["settings"])
    # With a change of where it is, its secrets have to be said again
    secrets = asked["secrets"] if changes or asked["update_secrets"] == "always" else {}
    if not changes and not secrets:
        return dict(changed=False, diff={"before": before, "after": before}, provider=there)
    answer = ask("PATCH", path + dry(module), {"settings": changes, "secrets": secrets})
    after = answer["provider"]
    return dict(changed=answer["changed"], diff={"before": before, "after": shown(after)}, provider=after)


def main():
    run(
        do,
        dict(
            name=dict(type="str", required=True),
            state=dict(type="str", default="present", choices=["present", "absent"]),
            kind=dict(type="str"),
            settings=dict(type="dict", default={}),
            secrets=dict(type="dict", default={}, no_log=True),
            update_secrets=dict(type="str", default="on_create", choices=["on_create", "always"], no_log=False),
        ),
    )


if __name__ == "__main__":
    main()
