#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: tenancy_import
short_description: A project's resources made of files
version_added: "0.1.0"
description:
  - Needs Longshore on the host itself, without O(url), since a server reads no files.
  - Gives a project what the files say, which M(longshore.longshore.tenancy_export) or OS-Migrate has written. What is
    there already as they say stays.
author:
  - Longshore (@longshore)
options:
  passwords:
    description:
      - A file for the new passwords of users who are made. Without it they have none.
    type: path
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.tenancy
attributes:
  check_mode:
    support: full
    description: Compares files and cloud, and fails where an import would.
  diff_mode:
    support: full
    description: Shows what is made and changed.
"""

EXAMPLES = r"""
- name: The same elsewhere
  longshore.longshore.tenancy_import:
    provider: new
    directory: /srv/tenant
    only: [networks, subnets, security_groups, security_group_rules]
"""

RETURN = r"""
rows:
  description: What became, or would become, of each resource.
  returned: when it could be compared
  type: list
  elements: dict
  contains:
    action:
      description: V(made), V(changed), V(left) or V(skipped); of a check V(make), V(change), V(leave) or V(skip).
      type: str
    kind:
      description: What it is.
      type: str
    name:
      description: Its name.
      type: str
    said:
      description: What is different, or why it was left out.
      type: str
notes:
  description: What was left out, and why.
  returned: when it could be compared
  type: list
  elements: str
code:
  description: What went wrong, for programs.
  returned: when it failed
  type: str
"""

import os

from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, run
from ansible_collections.longshore.longshore.plugins.module_utils.tenancy import CHOSEN, carry

CHANGES = {"make": "made", "change": "changed"}


def changes(report):
    """Return what is made and changed, in the words of what is done."""
    rows = [(CHANGES.get(row["action"], row["action"]), row) for row in report["rows"]]
    return {
        "%s %s" % (row["kind"], row["name"]): ("%s: %s" % (action, row["said"])).rstrip(": ")
        for action, row in rows
        if action in CHANGES.values()
    }


def do(module, ask):
    asked = module.params
    if module.check_mode and not os.path.isdir(asked["directory"]):
        return dict(changed=True)  # an earlier task would have made it
    if module.check_mode:
        report = carry(ask, asked, "diff", asked["timeout"])
    else:
        report = carry(ask, asked, "import", asked["timeout"], passwords=asked["passwords"])
    lost = [row for row in report["rows"] if row["action"] in ("conflict", "failed")]
    if lost:
        said = " ".join("%s %s: %s" % (row["kind"], row["name"], row["said"]) for row in lost)
        raise Failed("Not all can be imported. %s" % said, "not-imported", **report)
    made = changes(report)
    return dict(changed=bool(made), diff={"before": {}, "after": made}, **report)


def main():
    run(
        do,
        dict(
            CHOSEN,
            passwords=dict(type="path", no_log=False),
            timeout=dict(type="float", default=24),
        ),
    )


if __name__ == "__main__":
    main()
