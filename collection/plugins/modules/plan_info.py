#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_info
short_description: Which plans there are
version_added: "0.1.0"
description:
  - Lists plans with how far each is. Of one that is named it tells all of it, and how far each machine is.
author:
  - Longshore (@longshore)
options:
  name:
    description:
      - Only the one of this name.
    type: str
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.info
"""

EXAMPLES = r"""
- name: What there is
  longshore.longshore.plan_info:
    cloud: mine
    url: catalog
  register: found
"""

RETURN = r"""
plans:
  description: The plans, as the API has them.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.longshore.longshore.plugins.module_utils.module import run_info


def main():
    run_info("/v1/plans", "plans", "name")


if __name__ == "__main__":
    main()
