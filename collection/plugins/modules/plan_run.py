#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_run
short_description: Moves the machines of a plan
version_added: "0.1.0"
description:
  - Starts what isn't moved or on its way yet of a plan, a wave or some machines, and waits for it.
  - It goes on when the playbook is broken off; the next run finds it again, and starts what has failed or was cancelled
    anew. What has kept its copy when its cutover failed tries again with that.
  - Warm migrations are waited for until they wait for their cutover. A wave begins when all lower ones have ended, so what
    is to be copied beforehand belongs into one wave; what is queued behind a cutover isn't waited for.
author:
  - Longshore (@longshore)
options:
  name:
    description:
      - Name of the plan.
    type: str
    required: true
  wave:
    description:
      - Only machines of this wave.
    type: int
  machines:
    description:
      - Only these machines, as the plan calls them, or by their references.
    type: list
    elements: str
  type:
    description:
      - How they are moved; else as the plan says.
    type: str
    choices: [dry-run, cold, warm]
  accept:
    description:
      - Codes of blockers that are taken upon oneself, besides those that the plan accepts.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(started) starts what is left to start. V(waited) starts nothing, and waits for what somebody has started.
      - V(cut_over) has warm migrations cut over, at once or as soon as they are copied. V(cancelled) takes back what has
        been made of those that are under way.
    type: str
    choices: [started, waited, cut_over, cancelled]
    default: started
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.waiting
attributes:
  check_mode:
    support: full
    description: Says what would be started, and fails where that would be refused.
  diff_mode:
    support: full
    description: Shows how each machine stands, and what is asked of it.
"""

EXAMPLES = r"""
- name: Copy the first wave while its machines run
  longshore.longshore.plan_run:
    cloud: mine
    url: catalog
    name: shop
    wave: 1
    type: warm

- name: At the weekend, stop these of them and end it
  longshore.longshore.plan_run:
    cloud: mine
    url: catalog
    name: shop
    machines: [web01, web02]
    state: cut_over
    timeout: 4
"""

RETURN = r"""
machines:
  description: How each of these machines stands now, with the id of its migration.
  returned: always
  type: list
  elements: dict
  contains:
    machine:
      description: As the plan calls it.
      type: str
    status:
      description: How it stands, as V(planned), V(running), V(waits-for-cutover), V(done).
      type: str
    migration:
      description: Id of its last migration.
      type: str
    error:
      description: Why that has failed.
      type: str
counts:
  description: How many of them are in each state.
  returned: always
  type: dict
code:
  description: What went wrong, for programs.
  returned: when it failed
  type: str
"""

from collections import Counter

from ansible_collections.longshore.longshore.plugins.module_utils.client import Refused, part
from ansible_collections.longshore.longshore.plugins.module_utils.jobs import (
    ENDED,
    FOR_PERSON,
    LOST,
    MOST_AT_ONCE,
    WAITING,
    WITH_COPY,
    settled,
    turned,
)
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, refuse_blocked, run


class Run:
    """The machines that are meant of a plan, as the service tells of them now."""

    def __init__(self, ask, asked):
        self._ask, self._asked = ask, asked
        self._path = "/v1/plans/" + part(asked["name"])
        self._kinds, self._held = {}, None
        self.states = []
        self.look()

    def look(self):
        view = self._ask("GET", self._path)
        if view["unreadable"]:
            raise Failed("Plan %s can't be read: %s" % (self._asked["name"], view["unreadable"]), "plan-refused")
        usual = self._asked["type"] or view["plan"].get("defaults", {}).get("type")
        self._kinds = {one["machine"]: self._asked["type"] or one.get("type", usual) for one in view["plan"]["machines"]}
        # A wave begins when all lower ones have ended
        self._held = min([one["wave"] for one in view["machines"] if one["status"] in FOR_PERSON], default=None)
        self.states = [one for one in view["machines"] if self._meant(one, usual)]
        if not self.states:
            raise Failed("Plan %s has no such machine." % self._asked["name"])
        return self

    def _meant(self, state, usual):
        named = self._asked["machines"]
        if named and not {state["machine"], state["ref"]} & set(named):
            return False
        if usual == "dry-run" and state["machine"].startswith("volume:"):  # which moves none
            return False
        return self._asked["wave"] in (None, state["wave"])

    def only_tried(self, state):
        """Tell whether a dry run is all that there was, and not all that is wanted."""
        return state["status"] == "rehearsed" and self._kinds.get(state["machine"]) != "dry-run"

    @property
    def left(self):
        """Return the machines that are neither moved nor on their way."""
        return [one for one in self.states if one["status"] in ("planned", *LOST) or self.only_tried(one)]

    def start(self, check_mode):
        """Start what is left, and have what kept its copy try again. Return which that was."""
        kept = {one["migration"]: one["machine"] for one in self.states if one["status"] == WITH_COPY}
        left = [one["machine"] for one in self.left]
        if left:
            body = {"type": self._asked["type"], "accept": self._asked["accept"], "machines": left}
            if check_mode:
                refuse_blocked(self._ask("POST", self._path + "/check", body))
            else:
                left = self._started(body)
        if not check_mode:
            self._ask_each("retry", list(kept))
        return [*left, *kept.values()]

    def _started(self, body):
        """Start these machines. Return which that was."""
        try:
            self._ask("POST", self._path + "/start", body)
        except Refused as refused:
            if refused.status != 409 or self.look().left:  # another playbook was first
                raise
            return []
        return body["machines"]

    def _ask_each(self, verb, ids):
        """Ask for the same of several migrations. Raises Failed where one refuses."""
        for start in range(0, len(ids), MOST_AT_ONCE):
            for answer in self._ask("POST", "/v1/migrations/" + verb, {"ids": ids[start : start + MOST_AT_ONCE]}):
                if answer["error"]:
                    raise Failed(answer["error"]["message"], answer["error"]["code"], **self.told())

    def turn(self, check_mode):
        """Have those that it can be done to cut over or cancelled. Return which these were."""
        state = self._asked["state"]
        if state == "cut_over" and self.left:
            names = [one["machine"] for one in self.left]
            if check_mode:  # an earlier task would have started them
                return names
            raise Failed("Nothing of %s is under way to be cut over." % ", ".join(names), "conflict", **self.told())
        names = {one["migration"]: one["machine"] for one in self.states}
        under_way = [m for m in self._ask("GET", self._path + "/migrations") if m["id"] in names]
        ids = [m["id"] for m in under_way if turned(m)[state]]
        if not check_mode:
            self._ask_each({"cut_over": "cutover", "cancelled": "cancel"}[state], ids)
        return [names[id_] for id_ in ids]

    def wait(self):
        """Wait until all that was started has ended, or waits for a person, itself or behind a wave that does. Raises
        Failed when that takes too long."""
        moves = self._asked["state"] in ("started", "waited")
        over = ("planned", *ENDED, *(FOR_PERSON if moves else (WITH_COPY,)))

        def behind(one):
            return one["status"] == "queued" and self._held is not None and one["wave"] > self._held

        def still():
            return [one for one in self.states if one["status"] not in over and not behind(one)]

        if still():
            self._resume()
        _last, done = settled(lambda: self.look() and still(), lambda found: not found, self._asked["timeout"])
        if not done:
            why = ["%s is %s" % (one["machine"], one["stranded"] or one["phase"]) for one in still()]
            raise Failed("Plan %s goes on: %s." % (self._asked["name"], ", ".join(why)), "timeout", **self.told())

    def _resume(self):
        """Have it go on where its engine was ended with the host."""
        try:
            self._ask("POST", self._path + "/resume")
        except Refused as refused:
            if refused.status != 409:  # it has ended just now
                raise

    def refuse_lost(self):
        """Raise Failed where one has come to nothing, or where only a dry run was under way."""
        starts = self._asked["state"] == "started"
        lost = [one for one in self.states if one["status"] in (*LOST, WITH_COPY) or (starts and self.only_tried(one))]
        if lost:
            said = ["%s: %s" % (one["machine"], one["error"] or one["status"]) for one in lost]
            where = (self._asked["name"], len(lost), len(self.states))
            raise Failed(" ".join(["Plan %s: %d of %d aren't moved." % where, *said]), "not-moved", **self.told())

    def told(self):
        return dict(machines=self.states, counts=dict(Counter(one["status"] for one in self.states)))


def do(module, ask):
    asked = module.params
    state = asked["state"]
    meant = Run(ask, asked)
    before = {one["machine"]: one["status"] for one in meant.states}
    if state == "started":
        names = meant.start(module.check_mode)
    else:
        names = [] if state == "waited" else meant.turn(module.check_mode)
    if not module.check_mode:
        meant.look()
        if asked["wait"]:
            meant.wait()
            if state != "cancelled":
                meant.refuse_lost()
    after = dict(before, **dict.fromkeys(names, state))
    return dict(changed=bool(names), diff={"before": before, "after": after}, **meant.told())


def main():
    run(
        do,
        dict(
            name=dict(type="str", required=True),
            wave=dict(type="int"),
            machines=dict(type="list", elements="str"),
            type=dict(type="str", choices=["dry-run", "cold", "warm"]),
            accept=dict(type="list", elements="str", default=[]),
            state=dict(type="str", default="started", choices=["started", "waited", "cut_over", "cancelled"]),
            **WAITING,
        ),
    )


if __name__ == "__main__":
    main()
