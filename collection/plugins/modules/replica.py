#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: replica
short_description: A machine that is copied again and again
version_added: "0.1.0"
description:
  - Keeps a replica of a machine on a target as it is said here, or deletes it with its points.
  - It is as an entry of C(longshore replica apply). What isn't said is as the command has it, and what can't be changed of
    a replica that is there is refused.
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
      - The provider that it is on.
    type: str
    required: true
  target:
    description:
      - The provider that it is copied to.
    type: str
    required: true
  state:
    description:
      - Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  schedule:
    description:
      - When it is copied, as V(every 15m).
    type: str
    default: every 15m
  retention:
    description:
      - Which points stay, as V(last 24).
    type: str
    default: last 24
  rpo:
    description:
      - How old its newest point may become, as V(30m).
    type: str
  prove:
    description:
      - When its newest point is tried, as a schedule.
    type: str
  audit:
    description:
      - When everything is read and compared, as a schedule.
    type: str
  options:
    description:
      - What is asked for the machines that are made of its points, as C(networks).
    type: dict
    default: {}
  paused:
    description:
      - Whether syncs rest. Without it, that stays as it is.
    type: bool
  wait:
    description:
      - Whether to wait for its first usable point, or, where it is to be absent, until all of it is gone.
    type: bool
    default: true
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.waiting
attributes:
  check_mode:
    support: full
    description: The service says what would be made or changed, and does nothing.
  diff_mode:
    support: full
    description: Shows when it is copied, and what is kept, before and after.
"""

EXAMPLES = r"""
- name: A copy of the database, half an hour old at most
  longshore.longshore.replica:
    cloud: mine
    url: catalog
    machine: db01
    source: vc
    target: here
    schedule: every 15m
    retention: last 4, daily 7
    rpo: 30m
    options:
      networks:
        VM Network: private
"""

RETURN = r"""
id:
  description: Its id.
  returned: when there is one
  type: str
status:
  description: At which stage it is, as V(first-sync), V(protected).
  returned: when there is one
  type: str
replica:
  description: As it is now.
  returned: when there is one
  type: dict
code:
  description: What went wrong, for programs.
  returned: when it failed
  type: str
"""

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.jobs import ENDED, WAITING, job, reference, settled
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, run

FILE = "/v1/replica-file"
KEPT = ("schedule", "retention", "rpo", "prove", "audit")


def look(ask, id_):
    """Return a replica as it is now. Where its engine was ended with the host, it goes on."""
    found = ask("GET", "/v1/replicas/" + part(id_))
    if found["status"] not in ENDED:
        job(ask, id_)
    return found


def told(found):
    if found is None:
        return dict(replica=None, id=None, status=None)
    return dict(replica=found, id=found["id"], status=found["stage"])


def shown(ask, found):
    """Return what a difference shows of it: what can be changed."""
    if found is None:
        return {}
    (entry,) = ask("GET", "%s?replica=%s" % (FILE, part(found["id"])))["replicas"]
    return dict({name: entry.get(name) for name in KEPT}, paused=found["paused"])


def keep(module, ask):
    asked = module.params
    entry = {name: asked[name] for name in ("machine", "source", "target", *KEPT) if asked[name] is not None}
    wanted = {"replicas": [dict(asked["options"], **entry)]}
    (foreseen,) = ask("PUT", FILE + "?dry_run=true", wanted)
    found = look(ask, foreseen["id"]) if foreseen["id"] else None
    before = shown(ask, found)
    paused = bool(found and found["paused"])
    turns = asked["paused"] is not None and asked["paused"] != paused
    changes = foreseen["what"] != "as it was"
    if module.check_mode:
        after = {name: asked[name] for name in KEPT} if changes else before
        return found, changes or turns, before, dict(after, paused=not paused if turns else paused)
    if changes:
        (foreseen,) = ask("PUT", FILE, wanted)
    if turns:
        ask("POST", "/v1/replicas/%s/%s" % (part(foreseen["id"]), "pause" if asked["paused"] else "resume"))
    found = look(ask, foreseen["id"])
    return found, changes or turns, before, shown(ask, found)


def wait_for_point(ask, found, hours):
    """Return it once it has a usable point. Raises Failed where its first sync has failed, or takes too long."""
    found, _over = settled(lambda: look(ask, found["id"]), lambda one: one["points"] or one["failures"], hours)
    if found["points"]:
        return found
    why = found["error"] if found["failures"] else "it is %s." % found["phase"]
    code = found["error_code"] if found["failures"] else "timeout"
    raise Failed("Replica %s has no point yet: %s" % (found["id"], why), code, **told(found))


def there(ask, asked):
    """Return the replica of the machine from there to there, if there is one, or anything of it is left."""
    machine = reference(ask, asked["source"], asked["machine"])
    for one in ask("GET", "/v1/replicas?figures=false"):
        if (one["source"], one["target"]) == (asked["source"], asked["target"]):
            if machine in (one["machine_ref"], one["machine_name"]):
                return one
    return None


def delete(module, ask):
    """Delete it, or clear away what is left of it. Return whether there was anything to do."""
    found = there(ask, module.params)
    if found is None:
        return False
    if found["status"] in ENDED:
        if not module.check_mode:
            ask("POST", "/v1/migrations/%s/cleanup" % part(found["id"]))
        return True
    if job(ask, found["id"])["cancel_requested"]:
        return False
    if not module.check_mode:
        ask("DELETE", "/v1/replicas/" + part(found["id"]))
    return True


def wait_until_gone(ask, asked):
    """Raise Failed where something is left of it."""

    def left():
        found = there(ask, asked)
        return found and look(ask, found["id"])

    found, _over = settled(left, lambda one: one is None or one["status"] in ENDED, asked["timeout"])
    found = found and left()
    if found:
        why = found["error"] or "it is %s." % found["phase"]
        raise Failed("Something of replica %s is left: %s" % (found["id"], why), found["error_code"], **told(found))


def do(module, ask):
    asked = module.params
    waits = asked["wait"] and not module.check_mode
    if asked["state"] == "absent":
        changed = delete(module, ask)
        if waits:
            wait_until_gone(ask, asked)
        return dict(changed=changed, diff={"before": {"there": changed}, "after": {"there": False}}, **told(None))
    found, changed, before, after = keep(module, ask)
    if waits and not asked["paused"]:
        found = wait_for_point(ask, found, asked["timeout"])
    return dict(changed=changed, diff={"before": before, "after": after}, **told(found))


def main():
    run(
        do,
        dict(
            machine=dict(type="str", required=True),
            source=dict(type="str", required=True),
            target=dict(type="str", required=True),
            state=dict(type="str", default="present", choices=["present", "absent"]),
            schedule=dict(type="str", default="every 15m"),
            retention=dict(type="str", default="last 24"),
            rpo=dict(type="str"),
            prove=dict(type="str"),
            audit=dict(type="str"),
            options=dict(type="dict", default={}),
            paused=dict(type="bool"),
            **WAITING,
        ),
    )


if __name__ == "__main__":
    main()
