#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: A machine made of a backup
version_added: "0.1.0"
description:
  - Restores a point of a vault unless that has been done, or is under way, and waits for its end.
  - It goes on when the playbook is broken off; the next run finds it again. One that has failed, was cancelled or undone
    is begun anew. Once it is done it counts as long as Longshore has its record, whatever has become of the server.
author:
  - Longshore (@longshore)
options:
  vault:
    description:
      - The vault.
    type: str
    required: true
  point:
    description:
      - Name of the point, the part of that behind the slash, or the machine's name for its newest one. Of a machine's name
        any earlier restore of the machine to O(target) counts.
    type: str
    required: true
  target:
    description:
      - The provider that it is restored to.
    type: str
    required: true
  disk:
    description:
      - Only this disk, the first is 1, as a volume.
    type: int
  request:
    description:
      - What is asked for it, as C(POST /v1/restores) takes it. Its C(type) is V(cold), V(dry-run) or V(in-place).
    type: dict
    default: {}
  state:
    description:
      - V(restored) restores it where needed; one in place is waited for until it is up, and waits for a decision.
      - V(committed) keeps what was restored in place. V(undone) gives its ports back to the server that it was before.
    type: str
    choices: [restored, committed, undone]
    default: restored
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.waiting
attributes:
  check_mode:
    support: full
    description: Says whether one would be begun, and fails where one would be refused.
  diff_mode:
    support: full
    description: Shows how the restore stands, and what is asked of it.
"""

EXAMPLES = r"""
- name: The newest backup of the shop, as a machine
  longshore.longshore.restore:
    cloud: mine
    url: catalog
    vault: archive
    point: web01
    target: here
    request:
      networks:
        VM Network: private
"""

RETURN = r"""
id:
  description: Id of the restore.
  returned: when there is one
  type: str
status:
  description: How it stands, as V(done), V(rehearsed) of a dry run, V(waits-for-decision) in place.
  returned: when there is one
  type: str
migration:
  description: As it is now.
  returned: when there is one
  type: dict
server_id:
  description: The server that has become of it.
  returned: when there is one
  type: str
code:
  description: What went wrong, for programs.
  returned: when it failed
  type: str
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.jobs import (
    ENDED,
    FOR_PERSON,
    LOST,
    WAITING,
    WITH_COPY,
    begin_where_needed,
    refuse_lost,
    told,
    waited,
)
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, run


def latest(ask, asked):
    """Return the last restore of the point, or of its machine where that is named, if there ever was one."""
    point = ask("GET", "/v1/vaults/%s/points/%s" % (part(asked["vault"]), part(asked["point"])))
    kind = "volume" if asked["disk"] else asked["request"].get("type", "cold")
    found = ask.all("/v1/jobs", "id", provider=asked["vault"], type=kind, short="true")
    name = point["name"]
    if asked["disk"]:
        names = ["volume:%s/%s" % (name, key) for key in point["disks"][asked["disk"] - 1 : asked["disk"]]]
        mine = [one for one in found if one["machine_ref"] in names]
    elif asked["point"] in (name, name.rpartition("/")[2]):
        mine = [one for one in found if one["machine_ref"] == name]
    else:
        mine = [one for one in found if one["machine_ref"].rpartition("/")[0] == name.rpartition("/")[0]]
    mine = [one for one in mine if (one["source"], one["target"]) == (asked["vault"], asked["target"])]
    return ask("GET", "/v1/jobs/" + part(mine[-1]["id"])) if mine else None


def restore(ask, asked, last, check_mode):
    """Begin it where needed. Return it, and whether it was begun now."""
    body = {name: asked[name] for name in ("vault", "point", "target", "disk", "request")}
    return begin_where_needed(ask, "/v1/restores", body, last, lambda: latest(ask, asked), check_mode)


def decide(ask, asked, last, check_mode):
    """Commit or undo one in place. Return it, and whether that was asked for now."""
    commits = asked["state"] == "committed"
    if last is None or (commits and last["status"] in LOST):
        if check_mode:  # an earlier task would have begun it
            return last, True
        raise Failed("No restore of %s in place is there to be decided about." % asked["point"], "conflict", **told(last))
    decided = last["cutover_requested"] or last["status"] == "done" if commits else last["cancel_requested"]
    if decided or (not commits and last["status"] in LOST):
        return last, False
    if check_mode:
        return last, True
    if commits and asked["wait"] and last["status"] not in ENDED:
        last = waited(ask, last["id"], asked["timeout"], FOR_PERSON)
    verb = "commit" if commits else "undo"
    return ask("POST", "/v1/restores/%s/%s" % (part(last["id"]), verb)), True


def do(module, ask):
    asked = module.params
    restores = asked["state"] == "restored"
    if not restores:
        asked["request"] = dict(asked["request"], type="in-place")
    last = latest(ask, asked)
    before = {asked["point"]: last["status"] if last else "not begun"}
    found, changed = (restore if restores else decide)(ask, asked, last, module.check_mode)
    if asked["wait"] and found is not None and not module.check_mode:
        found = waited(ask, found["id"], asked["timeout"], FOR_PERSON if restores else (WITH_COPY,))
        if asked["state"] != "undone":
            refuse_lost(found)
    after = {asked["point"]: asked["state"]} if changed else before
    return dict(changed=changed, diff={"before": before, "after": after}, **told(found))


def main():
    run(
        do,
        dict(
            vault=dict(type="str", required=True),
            point=dict(type="str", required=True),
            target=dict(type="str", required=True),
            disk=dict(type="int"),
            request=dict(type="dict", default={}),
            state=dict(type="str", default="restored", choices=["restored", "committed", "undone"]),
            **WAITING,
        ),
    )


if __name__ == "__main__":
    main()
