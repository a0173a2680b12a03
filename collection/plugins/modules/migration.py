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
  - A migration goes on when the playbook is broken off; the next run finds it again. One that has failed or was
    cancelled is begun anew; one that has kept its copy when its cutover failed tries again with that.
  - A warm one is waited for until it waits for its cutover.
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
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.waiting
attributes:
  check_mode:
    support: full
    description: Says whether one would be begun, and fails where one would be refused.
  diff_mode:
    support: full
    description: Shows how the migration stands, and what is asked of it.
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
id:
  description: Its id.
  returned: when there is one
  type: str
status:
  description: How it stands, as V(done), V(rehearsed) of a dry run, V(waits-for-cutover).
  returned: when there is one
  type: str
migration:
  description: As it is now.
  returned: when there is one
  type: dict
code:
  description: What went wrong, for programs.
  returned: when it failed
  type: str
server_id:
  description: The server that has become of it.
  returned: when it has landed
  type: str
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.jobs import (
    FOR_PERSON,
    LOST,
    WAITING,
    WITH_COPY,
    begin_where_needed,
    reference,
    refuse_lost,
    told,
    turned,
    waited,
)
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, run

MOVES = ("cold", "warm")


def latest(ask, asked):
    """Return the last migration of the machine from there to there, if there ever was one: a real one, or a dry run if
    one is asked for."""
    machine = reference(ask, asked["source"], asked["machine"])
    kinds = ("dry-run",) if asked["request"].get("type") == "dry-run" else MOVES
    found = ask.all("/v1/migrations", "id", machine=machine, provider=asked["source"], short="true")
    mine = [m for m in found if (m["source"], m["target"]) == (asked["source"], asked["target"]) and m["type"] in kinds]
    return ask("GET", "/v1/migrations/" + part(mine[-1]["id"])) if mine else None


def move(ask, asked, last, check_mode):
    """Begin it where needed. Return it, and whether it was begun now."""
    body = {name: asked[name] for name in ("machine", "source", "target", "request")}
    return begin_where_needed(ask, "/v1/migrations", body, last, lambda: latest(ask, asked), check_mode)


def turn(ask, asked, last, check_mode):
    """Have it cut over or cancelled. Return it, and whether that was asked for now."""
    if asked["state"] == "cut_over" and (last is None or last["status"] in LOST):
        if check_mode:  # an earlier task would have begun it
            return last, True
        raise Failed("Nothing of %s is under way to be cut over." % asked["machine"], "conflict", **told(last))
    if last is None or not turned(last)[asked["state"]]:
        return last, False
    verb = {"cut_over": "cutover", "cancelled": "cancel"}[asked["state"]]
    return last if check_mode else ask("POST", "/v1/migrations/%s/%s" % (part(last["id"]), verb)), True


def do(module, ask):
    asked = module.params
    moves = asked["state"] == "moved"
    last = latest(ask, asked)
    before = {asked["machine"]: last["status"] if last else "not begun"}
    found, changed = (move if moves else turn)(ask, asked, last, module.check_mode)
    if asked["wait"] and found is not None and not module.check_mode:
        found = waited(ask, found["id"], asked["timeout"], FOR_PERSON if moves else (WITH_COPY,))
        if asked["state"] != "cancelled":
            refuse_lost(found)
    after = {asked["machine"]: asked["state"]} if changed else before
    return dict(changed=changed, diff={"before": before, "after": after}, **told(found))


def main():
    run(
        do,
        dict(
            machine=dict(type="str", required=True),
            source=dict(type="str", required=True),
            target=dict(type="str", required=True),
            request=dict(type="dict", default={}),
            state=dict(type="str", default="moved", choices=["moved", "cut_over", "cancelled"]),
            **WAITING,
        ),
    )


if __name__ == "__main__":
    main()
