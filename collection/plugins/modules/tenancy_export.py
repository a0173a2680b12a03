#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: tenancy_export
short_description: A project's resources as files
version_added: "0.1.0"
description:
  - Needs Longshore on the host itself, without O(url), since a server writes no files.
  - Writes networks, routers, security groups, images and the other resources of a project to files, in the format of
    OS-Migrate. Machines are moved by M(longshore.longshore.plan_run).
author:
  - Longshore (@longshore)
options:
  overwrite:
    description:
      - Whether files that are there are written anew. Else they stay as they are, since somebody may have edited them,
        and nothing is exported.
    type: bool
    default: false
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.tenancy
attributes:
  check_mode:
    support: partial
    description: Says whether something would be written.
    details: The cloud isn't asked, so what would be written anew counts as changed.
  diff_mode:
    support: full
    description: Shows which files have changed.
"""

EXAMPLES = r"""
- name: What the tenant has
  longshore.longshore.tenancy_export:
    provider: old
    directory: /srv/tenant
"""

RETURN = r"""
files:
  description: How many resources are in each file.
  returned: when something was exported
  type: dict
notes:
  description: What was left out, and why.
  returned: when something was exported
  type: list
  elements: str
code:
  description: What went wrong, for programs.
  returned: when it failed
  type: str
"""

import hashlib
import os

from ansible_collections.longshore.longshore.plugins.module_utils.module import Failed, run
from ansible_collections.longshore.longshore.plugins.module_utils.tenancy import CHOSEN, carry


def files(asked):
    """Return the digest of each file that is there, of those that are asked for."""
    directory = asked["directory"]
    found = {}
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
        kind, suffix = os.path.splitext(name)
        if suffix == ".yml" and (not asked["only"] or kind in asked["only"]):
            with open(os.path.join(directory, name), "rb") as file:
                found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def do(module, ask):
    asked = module.params
    before = files(asked)
    if before and not asked["overwrite"]:
        return dict(changed=False, diff={"before": before, "after": before})
    if module.check_mode:
        return dict(changed=True)
    report = carry(ask, asked, "export", asked["timeout"], overwrite=asked["overwrite"])
    if report["rows"]:
        said = ", ".join("%s %s" % (row["kind"], row["name"]) for row in report["rows"])
        raise Failed("Not all could be exported: %s." % said, "not-exported", **report)
    after = files(asked)
    return dict(changed=after != before, diff={"before": before, "after": after}, **report)


def main():
    run(do, dict(CHOSEN, overwrite=dict(type="bool", default=False), timeout=dict(type="float", default=24)))


if __name__ == "__main__":
    main()
