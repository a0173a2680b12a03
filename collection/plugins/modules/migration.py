#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: migration
short_description: Moves a machine into OpenStack
version_added: "0.1.0"
description:
  - Begins a migration unless the machine is moved or on its way already, and waits for its end.
  - A migration goes on when the playbook is broken off; the next run finds it again.
author:
  - Longshore (@longshore)
options:
  machine:
    description:
      - Name, inventory path or reference of the machine.
    type: str
    required: true
  source:
    description:
      - The provider that it comes from.
    type: str
    required: true
  target:
    description:
      - The provider that it goes to.
    type: str
    required: true
  request:
    description:
      - What is asked for it, as C(POST /v1/migrations) takes it.
    type: dict
    default: {}
  state:
    description:
      - V(moved) begins it where needed. V(cut_over) has a warm one that is under way cut over. V(cancelled) takes back
        what has been made of one that is under way.
    type: str
    choices: [moved, cut_over, cancelled]
    default: moved
  wait:
    description:
      - Whether to wait for its end, or, of a warm one, until it waits for its cutover.
    type: bool
    default: true
  timeout:
    description:
      - Hours to wait. The migration goes on after that, and the next run waits for it again.
    type: float
    default: 24
extends_documentation_fragment:
  - longshore.longshore.longshore
attributes:
  check_mode:
    support: full
    description: Says whether one would be begun, and fails where one would be refused.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Move a machine
  longshore.longshore.migration:
    cloud: mine
    url: catalog
    machine: web01
    source: vc
    target: here
    request:
      type: cold
      networks:
        VM Network: private
"""

RETURN = r"""
migration:
  description: As it is now.
  returned: when there is one
  type: dict
server_id:
  description: The server that has become of it.
  returned: when it has landed
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.longshore.longshore.plugins.module_utils.client import (
    Refused,
    api,
    argument_spec,
    keep_names_readable,
    part,
)

ENDED = ("done", "failed", "cancelled")
MOVES = ("cold", "warm")


def latest(ask, asked):
    """Return the last real move of the machine from there to there, if there ever was one."""
    found = ask.all("/v1/migrations", "id", machine=asked["machine"], provider=asked["source"], short="true")
    mine = [m for m in found if (m["source"], m["target"]) == (asked["source"], asked["target"]) and m["type"] in MOVES]
    return ask("GET", "/v1/migrations/" + part(mine[-1]["id"])) if mine else None


def waited(ask, migration, asked, fail):
    """Wait until it has ended; of one that is to be moved also until it waits for its cutover."""
    stops = asked["state"] == "moved"
    until = time.monotonic() + asked["timeout"] * 3600
    pause = 0.5
    while migration["status"] not in ENDED and not (stops and migration["waits_for_cutover"]):
        if time.monotonic() > until:
            fail(
                msg="Migration %s goes on: it is %s." % (migration["id"], migration["phase"]),
                code="timeout",
                migration=migration,
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 10)
        migration = ask("GET", "/v1/migrations/" + part(migration["id"]))
    return migration


def main():
    module = AnsibleModule(
        argument_spec(
            machine=dict(type="str", required=True),
            source=dict(type="str", required=True),
            target=dict(type="str", required=True),
            request=dict(type="dict", default={}),
            state=dict(type="str", default="moved", choices=["moved", "cut_over", "cancelled"]),
            wait=dict(type="bool", default=True),
            timeout=dict(type="float", default=24),
        ),
        supports_check_mode=True,
    )
    keep_names_readable(module)
    asked = module.params
    ask = api(asked, module.fail_json)
    try:
        last = latest(ask, asked)
        on_its_way = last is not None and last["status"] not in ENDED
        if asked["state"] == "cancelled":
            changed = on_its_way and not last["cancel_requested"]
            if changed and not module.check_mode:
                last = ask("POST", "/v1/migrations/%s/cancel" % part(last["id"]))
        elif asked["state"] == "cut_over":
            if last is None or last["status"] in ("failed", "cancelled"):
                module.fail_json(msg="Nothing of %s is under way to be cut over." % asked["machine"], migration=last)
            changed = on_its_way and last["type"] == "warm" and not last["cutover_requested"]
            if changed and not module.check_mode:
                last = ask("POST", "/v1/migrations/%s/cutover" % part(last["id"]))
        else:
            changed = last is None or last["status"] in ("failed", "cancelled")
            body = {name: asked[name] for name in ("machine", "source", "target", "request")}
            if changed and module.check_mode:
                found = ask("POST", "/v1/migrations/check", body)
                against = [one["text"] for one in found if one["severity"] == "blocker"]
                if against:
                    module.fail_json(msg=" ".join(against), concerns=found)
            elif changed:
                last = ask("POST", "/v1/migrations", body)
        if asked["wait"] and last is not None and not module.check_mode:
            last = waited(ask, last, asked, module.fail_json)
    except Refused as refused:
        if module.check_mode and refused.status == 404:  # an earlier task would have made it
            module.exit_json(changed=True, migration=None, server_id=None)
        module.fail_json(msg=str(refused), code=refused.code)
    failed = last is not None and last["status"] in ("failed", "cancelled")
    if asked["wait"] and asked["state"] != "cancelled" and failed and not module.check_mode:
        module.fail_json(msg="Migration %s: %s" % (last["id"], last["error"] or last["status"]), migration=last)
    module.exit_json(changed=changed, migration=last, server_id=last["server_id"] if last else None)


if __name__ == "__main__":
    main()
