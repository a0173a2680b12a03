# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

"""Jobs that carry a tenant's resources between a cloud and files of this host."""

from __future__ import annotations

from ansible_collections.longshore.longshore.plugins.module_utils.client import part
from ansible_collections.longshore.longshore.plugins.module_utils.jobs import settled
from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed

CHOSEN = dict(
    provider=dict(type="str", required=True),
    directory=dict(type="path", required=True),
    only=dict(type="list", elements="str", default=[]),
    filters=dict(type="list", elements="str", default=[]),
)


def carry(ask, asked, act, hours, **more):
    """Do an act, "export", "diff" or "import", or wait for the same one where it is under way. Return its report.
    Raises Failed when it fails, or takes too long; it goes on then."""
    path = "/v1/tenancy/jobs/"
    id_ = under_way(ask, asked, act)
    if id_ is None:
        body = dict({name: asked[name] for name in CHOSEN}, **more)
        id_ = ask("POST", "/v1/tenancy/%ss" % act, body)["id"]
    found, over = settled(lambda: ask("GET", path + part(id_)), lambda one: one["state"] != "running", hours)
    if not over:
        raise Failed("Job %s goes on: it is %s." % (id_, found["doing"]), "timeout", id=id_)
    if found["state"] == "failed" or found["error"]:
        raise Failed(found["error"], found["error_code"], id=id_)
    return dict(found["report"], id=id_)


def under_way(ask, asked, act):
    """Return the id of the job that does this already, as one that an interrupted playbook has begun."""
    for one in ask.all("/v1/jobs", "id", type="tenant-" + act, provider=asked["provider"]):
        wanted = one["request"]
        same = wanted["directory"] == asked["directory"]
        if same and all(list(wanted[name]) == asked[name] for name in ("only", "filters")):
            if one["status"] in ("queued", "running"):
                return one["id"]
    return None
