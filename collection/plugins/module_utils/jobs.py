# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

"""Jobs that go on for hours: how a module finds them again, waits for them, and tells how they ended."""

from __future__ import annotations

import time

from ansible_collections.longshore.longshore.plugins.module_utils.client import AWAY, Refused, part
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, refuse_blocked

WAITING = dict(wait=dict(type="bool", default=True), timeout=dict(type="float", default=24))
LOST = ("failed", "cancelled")
ENDED = (*LOST, "done", "rehearsed")
WITH_COPY = "waits-with-copy"  # its cutover has failed: a person is to say whether it is tried again
FOR_PERSON = ("waits-for-cutover", WITH_COPY, "waits-for-decision")
MOST_AT_ONCE = 1000  # ids that one request may have


def reference(ask, source, machine):
    """Return what tells a machine in lists: the reference of one that is named by its path, since others may be called
    alike; else what it is named by."""
    if "/" not in machine:
        return machine
    there = ask.found("/v1/providers/%s/machines/%s" % (part(source), part(machine)))
    return there["ref"] if there else machine.rpartition("/")[2]


def settled(ask_again, is_settled, hours):
    """Ask again and again, until it is settled or the hours are over. Return the last answer, and whether it is."""
    until = time.monotonic() + hours * 3600
    pause = 0.5
    while True:
        found = ask_again()
        if is_settled(found):
            return found, True
        if time.monotonic() > until:
            return found, False
        time.sleep(pause)
        pause = min(pause * 1.5, 10)


def job(ask, id_):
    """Return a job of any kind as it is now. Where its engine was ended with the host, it goes on."""
    path = "/v1/jobs/" + part(id_)
    found = ask("GET", path)
    if found["interrupted"]:
        try:
            return ask("POST", "/v1/migrations/%s/resume" % part(id_))
        except Refused as refused:
            if refused.status != 409 and refused.code not in AWAY:
                raise
            found = ask("GET", path)  # it has ended just now, or is asked once more
    return found


def waited(ask, id_, hours, stops=(WITH_COPY,)):
    """Return a migration once it has ended, or waits for a person with one of these. Raises Failed when the hours are
    over; it goes on then."""
    found, over = settled(lambda: job(ask, id_), lambda one: one["status"] in ENDED + tuple(stops), hours)
    if not over:
        why = found["stranded"] or found["parked"] or "it is %s" % found["phase"]
        raise Failed("Migration %s goes on: %s." % (found["id"], why.rstrip(".")), "timeout", **told(found))
    return found


def refuse_lost(found):
    """Raise Failed for a migration that has come to nothing, or whose cutover has failed."""
    if found["status"] in (*LOST, WITH_COPY):
        said = "Migration %s: %s" % (found["id"], found["error"] or found["status"])
        raise Failed(said, found["error_code"] or found["status"], **told(found))


def told(found):
    """Return what is answered of a migration, or of none."""
    if found is None:
        return dict(migration=None, id=None, status=None, server_id=None)
    return dict(migration=found, id=found["id"], status=found["status"], server_id=found["server_id"])


def turned(found):
    """Return what can be done about a migration to have it end, by the state that a module is asked for."""
    on_its_way = found["status"] not in ENDED
    return {
        "cancelled": on_its_way and not found["cancel_requested"],
        "cut_over": on_its_way and found["type"] == "warm" and not found["cutover_requested"],
    }


def begin_where_needed(ask, path, body, last, look, check_mode):
    """Begin what is neither done nor under way, and have what has kept its copy when its cutover failed try again with
    that. Return it, and whether anything was begun or tried. `last`: what was begun last; `look` finds that anew."""
    if last is not None and last["status"] == WITH_COPY:
        return last if check_mode else ask("POST", "/v1/migrations/%s/retry" % part(last["id"])), True
    if last is not None and last["status"] not in LOST:
        return last, False
    if check_mode:
        refuse_blocked(ask("POST", path + "/check", body))
        return last, True

    def others():
        found = look()
        return None if found is None or found["status"] in LOST else found

    return begun(lambda: ask("POST", path, body), others)


def begun(begin, look):
    """Begin what isn't there. Return it, and whether it was this that began it: another playbook may be first."""
    try:
        return begin(), True
    except Refused as refused:
        there = look() if refused.status == 409 else None
        if there is None:
            raise
        return there, False
