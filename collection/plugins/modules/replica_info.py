#!/usr/bin/python
# Copyright: Contributors to Longshore
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: replica_info
short_description: Which replicas there are
version_added: "0.1.0"
description:
  - Lists replicas with their conditions, or one of them.
author:
  - Longshore (@longshore)
options:
  name:
    description:
      - Only the one of this id, or of the machine of this name.
    type: str
extends_documentation_fragment:
  - longshore.longshore.longshore
  - longshore.longshore.info
"""

EXAMPLES = r"""
- name: What there is
  longshore.longshore.replica_info:
    cloud: mine
    url: catalog
  register: found
"""

RETURN = r"""
replicas:
  description: The replicas, as the API has them.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.longshore.longshore.plugins.module_utils.module import run_info


def main():
    run_info("/v1/replicas", "replicas")


if __name__ == "__main__":
    main()
