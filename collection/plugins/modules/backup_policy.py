#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_policy
short_description: Machines that are backed up on a schedule
version_added: "0.1.0"
description:
  - Makes, changes or deletes a policy of backups. Points that it has made stay when it is deleted.
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
  source:
    description:
      - The provider whose machines these are. Needed to make one; it stays.
    type: str
  vault:
    description:
      - The vault that they are backed up to. Needed to make one; it stays.
    type: str
  machines:
    description:
      - Their names, inventory paths or references. This or O(filter) is needed to make one.
    type: list
    elements: str
  filter:
    description:
      - What finds them at each run, as the API has it; with nothing in it, every machine of the source.
    type: dict
  schedule:
    description:
      - When they are backed up, as V(daily 02:00 Europe/Berlin). Needed to make one.
    type: str
  retention:
    description:
      - Which points stay, as V(daily 7, weekly 4). Needed to make one.
    type: str
  verification:
    description:
      - When the vault is verified, as a schedule, or V(never). The API's C(verify), which is another option here.
    type: str
  copy_to:
    description:
      - A second vault that its points are copied to, or V(never).
    type: str
  prove:
    description:
      - When its newest points are restored, booted and taken away again, as a schedule, or V(never).
    type: str
  prove_on:
    description:
      - The cloud where that happens.
    type: str
  prove_networks:
    description:
      - Networks of that cloud, by the machines' networks.
    type: dict
  before:
    description:
      - A playbook on Longshore's host that is run before each snapshot, or V(never).
    type: str
  after:
    description:
      - A playbook on Longshore's host that is run after it, or V(never).
    type: str
  paused:
    description:
      - Whether it rests. Without it, that stays as it is.
    type: bool
extends_documentation_fragment:
  - longshore.longshore.longshore
attributes:
  check_mode:
    support: full
    description: The service says what would be made or changed, and does nothing.
  diff_mode:
    support: full
    description: Shows the policy before and after.
"""

EXAMPLES = r"""
- name: Each night, the machines of the shop
  longshore.longshore.backup_policy:
    cloud: mine
    url: catalog
    name: nightly
    source: vc
    vault: archive
    filter:
      folder: Shop
    schedule: daily 02:00 Europe/Berlin
    retention: daily 7, weekly 4
    verification: weekly sunday 05:00 Europe/Berlin
"""

RETURN = r"""
policy:
  description: As it is now, with its last run.
  returned: when it is there
  type: dict
id:
  description: Its id.
  returned: when it is there
  type: str
code:
  description: What went wrong, for programs.
  returned: when it failed
  type: str
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, dry, run

POLICIES = "/v1/backup-policies"
FIXED = ("source", "vault")
CHANGEABLE = (
    "machines",
    "filter",
    "schedule",
    "retention",
    "verify",
    "copy_to",
    "prove",
    "prove_on",
    "prove_networks",
    "before",
    "after",
)


def shown(found):
    return {name: found[name] for name in (*FIXED, *CHANGEABLE, "paused")} if found else {}


def make(module, ask, asked):
    missing = [name for name in (*FIXED, "schedule", "retention") if asked[name] is None]
    if missing:
        raise Failed("There is no policy %s yet: say its %s." % (asked["name"], ", ".join(missing)))
    body = {name: asked[name] for name in ("name", *FIXED, *CHANGEABLE) if asked[name] not in (None, "never")}
    made = ask("POST", POLICIES + dry(module), body)
    if not asked["paused"]:
        return made
    if module.check_mode:
        return dict(made, paused=True)
    return ask("PATCH", "%s/%s" % (POLICIES, part(made["id"])), {"paused": True})


def do(module, ask):
    asked = dict(module.params, verify=module.params["verification"])
    found = next((one for one in ask("GET", POLICIES) if one["name"] == asked["name"]), None)
    before = shown(found)
    path = "%s/%s" % (POLICIES, part(asked["name"]))
    if asked["state"] == "absent":
        if found and not module.check_mode:
            ask("DELETE", path)
        return dict(changed=bool(found), diff={"before": before, "after": {}}, policy=None, id=None)
    if found is None:
        now = make(module, ask, asked)
        return dict(changed=True, diff={"before": {}, "after": shown(now)}, policy=now, id=now["id"])
    for name in FIXED:
        if asked[name] not in (None, found[name]):
            raise Failed("Policy %s has %s as its %s, which stays." % (asked["name"], found[name], name), "conflict")
    changes = {name: asked[name] for name in (*CHANGEABLE, "paused") if asked[name] is not None}
    now = ask("PATCH", path + "?dry_run=true", changes) if changes else found
    changed = shown(now) != before
    if changed and not module.check_mode:
        now = ask("PATCH", path, changes)
    return dict(changed=changed, diff={"before": before, "after": shown(now)}, policy=now, id=now["id"])


def main():
    run(
        do,
        dict(
            name=dict(type="str", required=True),
            state=dict(type="str", default="present", choices=["present", "absent"]),
            source=dict(type="str"),
            vault=dict(type="str"),
            machines=dict(type="list", elements="str"),
            filter=dict(type="dict"),
            schedule=dict(type="str"),
            retention=dict(type="str"),
            verification=dict(type="str"),
            copy_to=dict(type="str"),
            prove=dict(type="str"),
            prove_on=dict(type="str"),
            prove_networks=dict(type="dict"),
            before=dict(type="str"),
            after=dict(type="str"),
            paused=dict(type="bool"),
        ),
        mutually_exclusive=[("machines", "filter")],
    )


if __name__ == "__main__":
    main()
